//! The columns that Antrea's Flow Aggregator writes to S3, release by release.

use super::{Access, Field};

/// The columns of what a release of Antrea's Flow Aggregator writes to S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum S3Columns {
    /// 1.9 to 1.12, 49 columns.
    V1_9,
    /// 1.13 and 1.14, 51 columns.
    V1_13,
    /// 1.15, 53 columns.
    V1_15,
    /// 2.0 to 2.5, 54 columns.
    V2_0,
    /// 2.6, 52 columns.
    V2_6,
    /// 2.7 and later, 53 columns.
    #[default]
    V2_7,
}

/// One column of what is written to S3.
#[derive(Debug, Clone, Copy)]
pub enum S3Column {
    /// The value as it is.
    Plain(Access),
    /// A Pod's labels, in quotes.
    Labels(Access),
    /// The UUID of the cluster.
    Cluster,
    /// When the row was made.
    Inserted,
    /// Something that only Antrea's Agents of that time told.
    Empty,
}

/// What all releases begin with, up to the address that only the last ones have.
#[rustfmt::skip] // one column, one line
const FIRST: [&str; 25] = [
    "flowStartSeconds",
    "flowEndSeconds",
    "flowEndSecondsFromSourceNode",
    "flowEndSecondsFromDestinationNode",
    "flowEndReason",
    "sourceIP",
    "destinationIP",
    "sourceTransportPort",
    "destinationTransportPort",
    "protocolIdentifier",
    "packetTotalCount",
    "octetTotalCount",
    "packetDeltaCount",
    "octetDeltaCount",
    "reversePacketTotalCount",
    "reverseOctetTotalCount",
    "reversePacketDeltaCount",
    "reverseOctetDeltaCount",
    "sourcePodName",
    "sourcePodNamespace",
    "sourceNodeName",
    "destinationPodName",
    "destinationPodNamespace",
    "destinationNodeName",
    "destinationClusterIP",
];

const SERVICE: &str = "destinationServiceIP";

/// What follows in all releases.
#[rustfmt::skip] // one column, one line
const SECOND: [&str; 23] = [
    "destinationServicePort",
    "destinationServicePortName",
    "ingressNetworkPolicyName",
    "ingressNetworkPolicyNamespace",
    "ingressNetworkPolicyRuleName",
    "ingressNetworkPolicyRuleAction",
    "ingressNetworkPolicyType",
    "egressNetworkPolicyName",
    "egressNetworkPolicyNamespace",
    "egressNetworkPolicyRuleName",
    "egressNetworkPolicyRuleAction",
    "egressNetworkPolicyType",
    "tcpState",
    "flowType",
    "sourcePodLabels",
    "destinationPodLabels",
    "throughput",
    "reverseThroughput",
    "throughputFromSourceNode",
    "throughputFromDestinationNode",
    "reverseThroughputFromSourceNode",
    "reverseThroughputFromDestinationNode",
    CLUSTER,
];

/// No attributes of a flow.
const CLUSTER: &str = "clusterUUID";
const INSERTED: &str = "timeInserted";
const APP_PROTOCOL: &str = "appProtocolName";
const HTTP: &str = "httpVals";

impl S3Columns {
    /// Every release that has columns of its own, oldest first.
    pub const ALL: [Self; 6] =
        [Self::V1_9, Self::V1_13, Self::V1_15, Self::V2_0, Self::V2_6, Self::V2_7];

    /// The first release that wrote these columns.
    pub const fn release(self) -> &'static str {
        match self {
            Self::V1_9 => "1.9",
            Self::V1_13 => "1.13",
            Self::V1_15 => "1.15",
            Self::V2_0 => "2.0",
            Self::V2_6 => "2.6",
            Self::V2_7 => "2.7",
        }
    }

    /// The columns, in order.
    pub fn columns(self) -> Vec<S3Column> {
        self.names().map(find).collect()
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let last: &[&str] = match self {
            Self::V1_9 => &[],
            Self::V1_13 => &["egressName", "egressIP"],
            Self::V1_15 => &["egressName", "egressIP", APP_PROTOCOL, HTTP],
            Self::V2_0 => &["egressName", "egressIP", APP_PROTOCOL, HTTP, "egressNodeName"],
            Self::V2_6 | Self::V2_7 => &["egressName", "egressIP", "egressNodeName"],
        };
        let service = (self == Self::V2_7).then_some(SERVICE);
        FIRST.into_iter().chain(service).chain(SECOND).chain([INSERTED]).chain(last.iter().copied())
    }
}

fn find(name: &'static str) -> S3Column {
    let found = Field::by_name(name).map(|field| match field.access {
        labels @ Access::Labels { .. } => S3Column::Labels(labels),
        plain => S3Column::Plain(plain),
    });
    found.unwrap_or(match name {
        CLUSTER => S3Column::Cluster,
        INSERTED => S3Column::Inserted,
        _ => S3Column::Empty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As counted in Antrea's sources, tag by tag.
    #[test]
    fn each_release_has_as_many_columns_as_its_files() {
        let counts = S3Columns::ALL.map(|release| release.columns().len());
        assert_eq!(counts, [49, 51, 53, 54, 52, 53]);
    }

    #[test]
    fn every_attribute_is_in_the_table() {
        for release in S3Columns::ALL {
            for (name, column) in release.names().zip(release.columns()) {
                let is_missing = matches!(column, S3Column::Empty);
                assert_eq!(is_missing, [APP_PROTOCOL, HTTP].contains(&name), "{name}");
            }
        }
    }
}
