//! The columns of the log of Antrea's Flow Aggregator, release by release.

use super::orders::LogColumns;
use super::{Access, Field};

/// One column of the log.
#[derive(Debug, Clone, Copy)]
pub enum LogColumn {
    /// The value as it is.
    Plain(Access),
    /// An IANA protocol number, which has a name.
    Protocol(Access),
    /// Antrea's action of a rule, which has a name.
    Action(Access),
    /// Antrea's kind of policy, which has a name.
    PolicyType(Access),
    /// Something that only Antrea's Agents of that time told.
    Empty,
}

/// As [`LogColumn`], by names of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Plain(&'static str),
    Protocol(&'static str),
    Action(&'static str),
    PolicyType(&'static str),
    /// `appProtocolName` and `httpVals`.
    Empty,
}

use Column::{Action, Empty, Plain, PolicyType, Protocol};

/// What all releases begin with.
#[rustfmt::skip] // one column, one line
static FIRST: [Column; 26] = [
    Plain("flowStartSeconds"),
    Plain("flowEndSeconds"),
    Plain("sourceIP"),
    Plain("destinationIP"),
    Plain("sourceTransportPort"),
    Plain("destinationTransportPort"),
    Protocol("protocolIdentifier"),
    Plain("sourcePodName"),
    Plain("sourcePodNamespace"),
    Plain("sourceNodeName"),
    Plain("destinationPodName"),
    Plain("destinationPodNamespace"),
    Plain("destinationNodeName"),
    Plain("destinationClusterIP"),
    Plain("destinationServicePort"),
    Plain("destinationServicePortName"),
    Plain("ingressNetworkPolicyName"),
    Plain("ingressNetworkPolicyNamespace"),
    Plain("ingressNetworkPolicyRuleName"),
    Action("ingressNetworkPolicyRuleAction"),
    PolicyType("ingressNetworkPolicyType"),
    Plain("egressNetworkPolicyName"),
    Plain("egressNetworkPolicyNamespace"),
    Plain("egressNetworkPolicyRuleName"),
    Action("egressNetworkPolicyRuleAction"),
    PolicyType("egressNetworkPolicyType"),
];

const EGRESS: [Column; 2] = [Plain("egressName"), Plain("egressIP")];
const EGRESS_NODE: Column = Plain("egressNodeName");
const SERVICE: Column = Plain("destinationServiceIP");

impl LogColumns {
    /// Every release that has columns of its own, oldest first.
    pub const ALL: [Self; 6] =
        [Self::V1_12, Self::V1_13, Self::V1_15, Self::V2_0, Self::V2_6, Self::V2_7];

    /// The first release that wrote these columns.
    pub const fn release(self) -> &'static str {
        match self {
            Self::V1_12 => "1.12",
            Self::V1_13 => "1.13",
            Self::V1_15 => "1.15",
            Self::V2_0 => "2.0",
            Self::V2_6 => "2.6",
            Self::V2_7 => "2.7",
        }
    }

    /// The columns, in order.
    pub fn columns(self) -> Vec<LogColumn> {
        self.names().into_iter().map(find).collect()
    }

    fn names(self) -> Vec<Column> {
        let mut columns = FIRST.to_vec();
        let last: &[Column] = match self {
            Self::V1_12 => &[],
            Self::V1_13 => &EGRESS,
            Self::V1_15 => &[EGRESS[0], EGRESS[1], Empty, Empty],
            Self::V2_0 => &[EGRESS[0], EGRESS[1], Empty, Empty, EGRESS_NODE],
            Self::V2_6 | Self::V2_7 => &[EGRESS[0], EGRESS[1], EGRESS_NODE],
        };
        columns.extend(last);
        if self == Self::V2_7 {
            let cluster = columns.iter().position(|it| *it == Plain("destinationClusterIP"));
            columns.insert(cluster.map_or(0, |place| place + 1), SERVICE);
        }
        columns
    }
}

fn find(column: Column) -> LogColumn {
    let access = |name| Field::by_name(name).map(|field| field.access);
    let found = match column {
        Plain(name) => access(name).map(LogColumn::Plain),
        Protocol(name) => access(name).map(LogColumn::Protocol),
        Action(name) => access(name).map(LogColumn::Action),
        PolicyType(name) => access(name).map(LogColumn::PolicyType),
        Empty => None,
    };
    found.unwrap_or(LogColumn::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As counted in Antrea's sources, tag by tag.
    #[test]
    fn each_release_has_as_many_columns_as_its_log() {
        let counts = LogColumns::ALL.map(|release| release.columns().len());
        assert_eq!(counts, [26, 28, 30, 31, 29, 30]);
    }

    #[test]
    fn every_name_is_in_the_table() {
        for release in LogColumns::ALL {
            let columns = release.columns();
            for (name, column) in release.names().into_iter().zip(columns) {
                let missing = matches!(column, LogColumn::Empty);
                assert_eq!(missing, name == Empty, "{name:?}");
            }
        }
    }
}
