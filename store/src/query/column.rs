//! What has a name: the columns of flows, and what is computed from them.

use std::fmt;
use std::sync::LazyLock;

use flow::{Access, Field};
use hashbrown::HashMap;

use crate::TIME_INSERTED;

/// What a column holds, and with it which conditions apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A counter, an id, or the number of an enumeration; never absent.
    Number,
    /// Absent if 0.
    Port,
    /// Milliseconds since 1970; absent if 0.
    Time,
    /// Absent if all bits are zero.
    Address,
    /// A name, or a UUID in its usual form; absent if empty.
    Text,
    /// A JSON object whose values are text; absent if empty. Its keys are asked for one by one.
    Labels,
}

impl Kind {
    /// Whether values are numbers: [`super::Value::Number`].
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Number | Self::Port | Self::Time)
    }

    /// Whether 0 stands for no value.
    pub(crate) fn zero_is_absent(self) -> bool {
        matches!(self, Self::Port | Self::Time)
    }

    /// Whether values of both can be compared.
    pub(crate) fn compares_with(self, other: Self) -> bool {
        self != Self::Labels && (self == other || self.is_numeric() && other.is_numeric())
    }
}

/// Where a column's values come from.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// When the writer took the row.
    Inserted,
    /// A stored attribute.
    Field(&'static Field),
    Derived(Derived),
}

/// What is computed from stored attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Derived {
    /// What the policies of both ends made of the flow: 0 none decided, 1 allowed, 2 dropped,
    /// 3 rejected. The first of these that applies: the egress rule's action is drop or reject;
    /// the ingress rule's is; either allows. An action is 0 none, 1 allow, 2 drop, 3 reject.
    Verdict,
    /// `octetDeltaCount + reverseOctetDeltaCount`, modulo 2^64.
    Octets,
    /// `packetDeltaCount + reversePacketDeltaCount`, modulo 2^64.
    Packets,
    /// Milliseconds from flow start to flow end, 0 if the end is before the start.
    Duration,
}

impl Derived {
    const ALL: [Self; 4] = [Self::Verdict, Self::Octets, Self::Packets, Self::Duration];

    fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Octets => "octets",
            Self::Packets => "packets",
            Self::Duration => "duration",
        }
    }

    /// The stored columns it is computed from.
    pub fn inputs(self) -> [&'static str; 2] {
        match self {
            Self::Verdict => flow::ACTIONS,
            Self::Octets => flow::DELTA_OCTETS,
            Self::Packets => flow::DELTA_PACKETS,
            Self::Duration => flow::SPAN,
        }
    }

    /// Computes it from the values of [`Self::inputs`].
    pub(crate) fn of(self, [first, second]: [u64; 2]) -> u64 {
        match self {
            Self::Verdict => match (first, second) {
                (stopped @ (2 | 3), _) | (_, stopped @ (2 | 3)) => stopped,
                (1, _) | (_, 1) => 1,
                _ => 0,
            },
            Self::Octets | Self::Packets => first.wrapping_add(second),
            Self::Duration => second.saturating_sub(first),
        }
    }
}

/// A column, by its name: that of the table of fields, [`TIME_INSERTED`], or a derived one.
#[derive(Clone, Copy)]
pub struct Column {
    name: &'static str,
    kind: Kind,
    source: Source,
    /// Position in the table: what tells columns apart.
    index: u16,
}

impl Column {
    /// The column of this name, if there is one. Names are as the stored columns': case matters.
    pub fn by_name(name: &str) -> Option<Self> {
        static BY_NAME: LazyLock<HashMap<&'static str, Column>> =
            LazyLock::new(|| Column::all().map(|column| (column.name, column)).collect());
        BY_NAME.get(name).copied()
    }

    /// Every column: the time of insertion, the stored attributes in their order, derived ones.
    pub fn all() -> impl Iterator<Item = Self> {
        let inserted = (TIME_INSERTED, Kind::Time, Source::Inserted);
        let fields = Field::columns().map(|field| (field.name, kind(field), Source::Field(field)));
        let derived =
            Derived::ALL.map(|derived| (derived.name(), Kind::Number, Source::Derived(derived)));
        std::iter::once(inserted)
            .chain(fields)
            .chain(derived)
            .zip(0..)
            .map(|((name, kind, source), index)| Self { name, kind, source, index })
    }

    /// All that a row has, the time of insertion first.
    pub fn all_stored() -> Vec<Self> {
        Self::all().filter(|column| !matches!(column.source, Source::Derived(_))).collect()
    }

    /// The column that [`super::Range`] is about.
    pub const END: &'static str = "flowEndMilliseconds";
    /// The column that tells flows apart.
    pub const FLOW_ID: &'static str = "flowId";

    pub fn name(self) -> &'static str {
        self.name
    }

    pub fn kind(self) -> Kind {
        self.kind
    }

    pub fn source(self) -> Source {
        self.source
    }
}

fn kind(field: &Field) -> Kind {
    match field.access {
        Access::Milliseconds { .. } | Access::Seconds { .. } => Kind::Time,
        Access::Ip { .. } => Kind::Address,
        Access::Labels { .. } => Kind::Labels,
        Access::Name { .. } | Access::Uuid { .. } => Kind::Text,
        // Beside the ports there is only the ICMP type and code, in which 0 is an Echo Reply.
        Access::U16 { .. } if field.name.ends_with("Port") => Kind::Port,
        Access::U8 { .. } | Access::U16 { .. } | Access::U32 { .. } | Access::U64 { .. } => {
            Kind::Number
        }
    }
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for Column {}

impl std::hash::Hash for Column {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.index.hash(state);
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_found_by_its_name_and_no_name_is_taken_twice() {
        for column in Column::all() {
            assert_eq!(Column::by_name(column.name()), Some(column));
        }
        assert_eq!(Column::by_name("flowEndSeconds"), None, "its twin in milliseconds is kept");
        for name in [Column::END, Column::FLOW_ID]
            .into_iter()
            .chain(Derived::ALL.iter().flat_map(|derived| derived.inputs()))
        {
            assert!(Column::by_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn ports_are_told_from_other_numbers() {
        let ports: Vec<_> =
            Column::all().filter(|c| c.kind() == Kind::Port).map(Column::name).collect();
        assert_eq!(
            ports,
            [
                "sourceTransportPort",
                "destinationTransportPort",
                "destinationServicePort",
                "proxySnatPort"
            ]
        );
    }

    /// Egress decides first: the packet leaves its Pod before it reaches another.
    #[test]
    fn a_verdict_is_that_of_the_first_policy_that_stops_the_flow() {
        for (egress, ingress, verdict) in [
            (0, 0, 0),
            (1, 0, 1),
            (0, 1, 1),
            (1, 1, 1),
            (2, 1, 2),
            (2, 3, 2),
            (3, 2, 3),
            (1, 2, 2),
            (0, 3, 3),
            (9, 0, 0),
        ] {
            assert_eq!(Derived::Verdict.of([egress, ingress]), verdict, "{egress} {ingress}");
        }
    }
}
