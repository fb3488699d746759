//! ClickHouse's table of flows: which attributes its columns are, and what its roll-ups tell apart.

use super::Field;

/// A column of the table `flows`.
#[derive(Debug, Clone, Copy)]
pub enum TableColumn {
    /// When the server took the row, by its clock.
    Inserted,
    Attribute(&'static Field),
    /// Which cluster the flow is of.
    Cluster,
    /// Theia's mark for policy recommendation. Writers leave it alone.
    Trusted,
    /// What only Antrea 1.15 to 2.5 tells. It is there so that their INSERT is taken.
    Retired(&'static str),
}

/// A column that a roll-up tells apart.
#[derive(Debug, Clone, Copy)]
pub enum KeyColumn {
    Attribute(&'static Field),
    Cluster,
}

/// Sums of flows of a minute, five minutes or an hour.
#[derive(Debug)]
pub struct RollUp {
    /// The middle of its tables' names.
    pub name: &'static str,
    keys: &'static [&'static str],
    /// The view of Theia's that it stands for, if any.
    pub view: Option<&'static str>,
    lost: &'static [&'static str],
}

pub const TIME_INSERTED: &str = "timeInserted";
pub const CLUSTER: &str = "clusterUUID";
const TRUSTED: &str = "trusted";
const RETIRED: [&str; 2] = ["appProtocolName", ADDED[2]];

/// What tells tables of others apart: columns in the order in which releases added them.
pub const ADDED: [&str; 4] = [CLUSTER, "egressName", "httpVals", "egressNodeName"];

/// What roll-ups tell the time of, beginnings of a minute, five minutes or an hour.
pub const ROLL_UP_TIME: &str = "flowEndSeconds";

/// The columns of Antrea's own table, as its tests of v2.7 create it.
#[rustfmt::skip] // as many to a line as fit
const TABLE: [&str; 53] = [
    TIME_INSERTED, "flowStartSeconds", "flowEndSeconds", "flowEndSecondsFromSourceNode",
    "flowEndSecondsFromDestinationNode", "flowEndReason", "sourceIP", "destinationIP",
    "sourceTransportPort", "destinationTransportPort", "protocolIdentifier", "packetTotalCount",
    "octetTotalCount", "packetDeltaCount", "octetDeltaCount", "reversePacketTotalCount",
    "reverseOctetTotalCount", "reversePacketDeltaCount", "reverseOctetDeltaCount", "sourcePodName",
    "sourcePodNamespace", "sourceNodeName", "destinationPodName", "destinationPodNamespace",
    "destinationNodeName", "destinationClusterIP", "destinationServicePort",
    "destinationServicePortName", "ingressNetworkPolicyName", "ingressNetworkPolicyNamespace",
    "ingressNetworkPolicyRuleName", "ingressNetworkPolicyRuleAction", "ingressNetworkPolicyType",
    "egressNetworkPolicyName", "egressNetworkPolicyNamespace", "egressNetworkPolicyRuleName",
    "egressNetworkPolicyRuleAction", "egressNetworkPolicyType", "tcpState", "flowType",
    "sourcePodLabels", "destinationPodLabels", "throughput", "reverseThroughput",
    "throughputFromSourceNode", "throughputFromDestinationNode", "reverseThroughputFromSourceNode",
    "reverseThroughputFromDestinationNode", CLUSTER, TRUSTED, ADDED[1], "egressIP", ADDED[3],
];

/// What rows of the table are sorted by within an hour of their ends: who talks to whom.
const SORTED_BY: [&str; 4] =
    ["sourcePodNamespace", "sourcePodName", "destinationPodNamespace", "destinationPodName"];

/// Which flow a row is of, whoever wrote it.
const FLOW_KEY: [&str; 5] = [
    "sourceIP",
    "destinationIP",
    "sourceTransportPort",
    "destinationTransportPort",
    "protocolIdentifier",
];

/// What is added up.
const SUMS: [&str; 10] = [
    "packetDeltaCount",
    "octetDeltaCount",
    "reversePacketDeltaCount",
    "reverseOctetDeltaCount",
    "throughput",
    "reverseThroughput",
    "throughputFromSourceNode",
    "throughputFromDestinationNode",
    "reverseThroughputFromSourceNode",
    "reverseThroughputFromDestinationNode",
];

/// Those of them that are rates: a sum over rows means nothing, and is kept for the mean.
const FIRST_RATE: usize = 4;

/// Of what the latest is kept.
const LATEST: [&str; 2] = ["flowEndSecondsFromSourceNode", "flowEndSecondsFromDestinationNode"];

impl Field {
    /// The column that tells the same in tables that lack the attribute's own.
    pub fn older_column(&self) -> Option<&'static str> {
        (self.name == "destinationServiceIP").then_some("destinationClusterIP")
    }
}

impl TableColumn {
    /// Every column: Antrea's in its order, then ours.
    pub fn all() -> Vec<Self> {
        let antrea = TABLE.iter().map(|name| match *name {
            TIME_INSERTED => Self::Inserted,
            CLUSTER => Self::Cluster,
            TRUSTED => Self::Trusted,
            name => Field::by_name(name).map_or(Self::Retired(name), Self::Attribute),
        });
        let ours = Field::columns().filter(|field| !TABLE.contains(&field.name));
        let retired = RETIRED.into_iter().map(Self::Retired);
        antrea.chain(retired).chain(ours.map(Self::Attribute)).collect()
    }

    /// The columns that Antrea's Flow Aggregator (v2.7) inserts, in its order.
    pub fn antreas() -> impl Iterator<Item = &'static str> {
        TABLE.into_iter().filter(|name| ![TIME_INSERTED, TRUSTED].contains(name))
    }

    /// Whether it is one of those.
    pub fn is_antreas(name: &str) -> bool {
        Self::antreas().any(|known| known == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Inserted => TIME_INSERTED,
            Self::Attribute(field) => field.name,
            Self::Cluster => CLUSTER,
            Self::Trusted => TRUSTED,
            Self::Retired(name) => name,
        }
    }

    /// What rows are sorted by within an hour.
    pub fn sorted_by() -> &'static [&'static str] {
        &SORTED_BY
    }

    /// Which flow a row is of.
    pub fn flow_key() -> &'static [&'static str] {
        &FLOW_KEY
    }
}

impl KeyColumn {
    pub fn name(self) -> &'static str {
        match self {
            Self::Attribute(field) => field.name,
            Self::Cluster => CLUSTER,
        }
    }
}

impl RollUp {
    /// What is told apart beside the time.
    pub fn keys(&self) -> Vec<KeyColumn> {
        let key = |name: &&str| match *name {
            CLUSTER => Some(KeyColumn::Cluster),
            name => Field::by_name(name).map(KeyColumn::Attribute),
        };
        self.keys.iter().filter_map(key).collect()
    }

    /// What Theia's view has and this does not: a port that differs with each connection.
    pub fn lost(&self) -> impl Iterator<Item = &'static Field> {
        self.lost.iter().filter_map(|name| Field::by_name(name))
    }

    /// What is added up over the rows.
    pub fn sums() -> impl Iterator<Item = &'static Field> {
        SUMS.iter().filter_map(|name| Field::by_name(name))
    }

    /// Those sums that are of rates.
    pub fn rates() -> impl Iterator<Item = &'static Field> {
        Self::sums().skip(FIRST_RATE)
    }

    /// Of what the latest is kept.
    pub fn latest() -> impl Iterator<Item = &'static Field> {
        LATEST.iter().filter_map(|name| Field::by_name(name))
    }

    #[rustfmt::skip] // as many to a line as fit
    pub const ALL: [Self; 4] = [
        Self {
            name: "pod",
            keys: &[
                "sourcePodNamespace", "sourcePodName", "destinationPodNamespace",
                "destinationPodName", "destinationIP", "destinationTransportPort",
                "protocolIdentifier", "destinationServicePortName", "destinationServicePort",
                "flowType", CLUSTER,
            ],
            view: Some("flows_pod_view"),
            lost: &["sourceTransportPort"],
        },
        Self {
            name: "node",
            keys: &[
                "sourceNodeName", "destinationNodeName", "sourcePodNamespace",
                "destinationPodNamespace", CLUSTER,
            ],
            view: Some("flows_node_view"),
            lost: &[],
        },
        Self {
            name: "policy",
            keys: &[
                "sourcePodNamespace", "sourcePodName", "destinationPodNamespace",
                "destinationPodName", "destinationIP", "destinationTransportPort",
                "destinationServicePortName", "destinationServicePort",
                "ingressNetworkPolicyName", "ingressNetworkPolicyNamespace",
                "ingressNetworkPolicyRuleName", "ingressNetworkPolicyRuleAction",
                "ingressNetworkPolicyType",
                "egressNetworkPolicyName", "egressNetworkPolicyNamespace",
                "egressNetworkPolicyRuleName", "egressNetworkPolicyRuleAction",
                "egressNetworkPolicyType", CLUSTER,
            ],
            view: Some("flows_policy_view"),
            lost: &["sourceTransportPort"],
        },
        // No single Pods and no outside addresses: what is asked for over months.
        Self {
            name: "workload",
            keys: &[
                "sourcePodNamespace", "sourceWorkload", "sourceNodeName", "sourceZone",
                "destinationPodNamespace", "destinationWorkload", "destinationNodeName",
                "destinationZone", "destinationTransportPort",
                "protocolIdentifier", "destinationServicePortName", "destinationServicePort",
                "ingressNetworkPolicyName", "ingressNetworkPolicyNamespace",
                "ingressNetworkPolicyRuleName", "ingressNetworkPolicyRuleAction",
                "ingressNetworkPolicyType",
                "egressNetworkPolicyName", "egressNetworkPolicyNamespace",
                "egressNetworkPolicyRuleName", "egressNetworkPolicyRuleAction",
                "egressNetworkPolicyType", "egressName", "egressNodeName", "flowType", CLUSTER,
            ],
            view: None,
            lost: &[],
        },
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_begins_with_antreas_columns_and_has_every_attribute_once() {
        let names: Vec<_> = TableColumn::all().into_iter().map(TableColumn::name).collect();
        assert_eq!(names[..TABLE.len()], TABLE);
        for field in Field::columns() {
            assert_eq!(names.iter().filter(|it| **it == field.name).count(), 1, "{}", field.name);
        }
        let strangers = TableColumn::all()
            .into_iter()
            .filter(|column| matches!(column, TableColumn::Retired(_)))
            .map(TableColumn::name);
        assert_eq!(strangers.collect::<Vec<_>>(), RETIRED);
    }

    #[test]
    fn what_is_added_up_and_sorted_by_is_in_the_table() {
        assert_eq!(RollUp::sums().count(), SUMS.len());
        assert_eq!(RollUp::latest().count(), LATEST.len());
        for name in SORTED_BY.iter().chain(&FLOW_KEY) {
            assert!(Field::by_name(name).is_some(), "{name}");
        }
        assert!(RollUp::rates().all(|field| field.name.to_lowercase().contains("throughput")));
    }
}
