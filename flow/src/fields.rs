//! Every attribute of a flow, described once.
//!
//! The order of the rows is a promise: the first 43 are Antrea's template, the rows behind them
//! what the `fyke` profile adds, the last ones what only the aggregator knows. A new attribute
//! goes at the end of its part.
mod antrea; // the template of Antrea's Flow Exporter
mod fyke; // what keeps two connections apart
mod aggregated; // what correlation adds
mod enriched; // what others know of it
mod orders; // orders that others expect them in
pub(crate) mod mediator; // the template of Antrea's Flow Aggregator
mod log_columns; // the columns of its log
mod click_house; // the columns of its table
mod s3_columns; // and of what it writes to S3
mod derived; // pairs that something is computed from

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipfix::encode::RecordWriter;
use ipfix::registry::InformationElement;

use crate::{Family, FlowRecord, Interner, Name, Uid};

pub use click_house::{
    ADDED, CLUSTER, KeyColumn, ROLL_UP_TIME, RollUp, TIME_INSERTED, TableColumn,
};
pub use derived::{ACTIONS, DELTA_OCTETS, DELTA_PACKETS, SPAN};
pub use log_columns::LogColumn;
pub use orders::{Contents, LogColumns, Mode};
pub use s3_columns::{S3Column, S3Columns};

/// One attribute of a flow.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Antrea's element name, or its column name where an attribute has one element per family.
    pub name: &'static str,
    pub elements: Elements,
    pub access: Access,
    /// Where Antrea's gRPC message `Flow` has it: field numbers from the outermost message in.
    /// Empty if it has no place there.
    pub path: &'static [u8],
    /// The part of a record that it is of, if that is shared.
    pub group: Option<Group>,
    /// Writes the number that each of some records has here, which is what [`Field::access`] gets,
    /// without a call for each of them. Nothing if this is no number.
    pub numbers: fn(&[FlowRecord], &mut [u64]),
}

/// The shared parts of a record that several attributes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Source,
    Destination,
    Ingress,
    Egress,
    Exit,
}

impl Group {
    pub const ALL: [Self; 5] =
        [Self::Source, Self::Destination, Self::Ingress, Self::Egress, Self::Exit];

    /// Where this part of a record is in memory, and nothing else while it is there; 0 for nothing.
    #[inline]
    pub fn place(self, record: &FlowRecord) -> usize {
        match self {
            Self::Source => record.source.place(),
            Self::Destination => record.destination.place(),
            Self::Ingress => record.ingress.place(),
            Self::Egress => record.egress.place(),
            Self::Exit => record.exit.place(),
        }
    }
}

/// The Information Elements that carry an attribute.
#[derive(Debug, Clone, Copy)]
pub enum Elements {
    One(InformationElement),
    PerFamily {
        v4: InformationElement,
        v6: InformationElement,
    },
    /// Not on the wire: nobody has registered an element for it.
    None,
}

/// How to read and write an attribute, by its type.
#[derive(Debug, Clone, Copy)]
pub enum Access {
    U8 {
        get: fn(&FlowRecord) -> u8,
        set: fn(&mut FlowRecord, u8),
    },
    U16 {
        get: fn(&FlowRecord) -> u16,
        set: fn(&mut FlowRecord, u16),
    },
    U32 {
        get: fn(&FlowRecord) -> u32,
        set: fn(&mut FlowRecord, u32),
    },
    U64 {
        get: fn(&FlowRecord) -> u64,
        set: fn(&mut FlowRecord, u64),
    },
    /// Seconds since 1970. Every such attribute has a twin in milliseconds.
    Seconds {
        get: fn(&FlowRecord) -> u32,
        set: fn(&mut FlowRecord, u32),
    },
    /// Milliseconds since 1970.
    Milliseconds {
        get: fn(&FlowRecord) -> u64,
        set: fn(&mut FlowRecord, u64),
    },
    /// An unset address is all zeros on the wire.
    Ip {
        get: fn(&FlowRecord) -> Option<IpAddr>,
        set: fn(&mut FlowRecord, Option<IpAddr>),
    },
    Name {
        get: fn(&FlowRecord) -> &Name,
        set: fn(&mut FlowRecord, Name),
    },
    /// A Pod's labels as text: a JSON object, or empty.
    Labels {
        get: fn(&FlowRecord) -> &Name,
        set: fn(&mut FlowRecord, Name),
    },
    /// 16 octets on the wire, all zeros if unset; elsewhere text.
    Uuid {
        get: fn(&FlowRecord) -> Option<Uid>,
        set: fn(&mut FlowRecord, Option<Uid>),
    },
}

/// Which attributes an exporter sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// The 43 elements of Antrea's Flow Exporter, in its order.
    #[default]
    Antrea,
    /// Those, and what tells two connections with the same 5-tuple apart.
    Fyke,
}

impl Access {
    #[expect(
        clippy::inline_always,
        reason = "what is constant here is not in a function of its own"
    )]
    #[inline(always)]
    fn numbers(&self, records: &[FlowRecord], to: &mut [u64]) {
        let rows = to.iter_mut().zip(records);
        match self {
            Self::U8 { get, .. } => rows.for_each(|(to, record)| *to = get(record).into()),
            Self::U16 { get, .. } => rows.for_each(|(to, record)| *to = get(record).into()),
            Self::U32 { get, .. } | Self::Seconds { get, .. } => {
                rows.for_each(|(to, record)| *to = get(record).into());
            }
            Self::U64 { get, .. } | Self::Milliseconds { get, .. } => {
                rows.for_each(|(to, record)| *to = get(record));
            }
            Self::Ip { .. } | Self::Name { .. } | Self::Labels { .. } | Self::Uuid { .. } => {}
        }
    }
}

impl Profile {
    /// Writes the attributes of this profile, in the order of its templates.
    pub(crate) fn encode(self, record: &FlowRecord, family: Family, writer: &mut RecordWriter<'_>) {
        antrea::encode(record, family, writer);
        match self {
            Self::Antrea => {}
            Self::Fyke => fyke::encode(record, family, writer),
        }
    }

    /// Sets the attributes of this profile, whose values come in the order of its templates; but
    /// those that are of some [`Group`].
    pub(crate) fn decode<'a>(
        self,
        record: &mut FlowRecord,
        mut values: impl Iterator<Item = &'a [u8]>,
        names: &mut Interner,
    ) {
        antrea::decode(record, &mut values, names);
        match self {
            Self::Antrea => {}
            Self::Fyke => fyke::decode(record, &mut values, names),
        }
    }

    /// The attributes of this profile, in the order of its templates.
    pub fn fields(self) -> impl Iterator<Item = &'static Field> {
        let added: &[Field] = match self {
            Self::Antrea => &[],
            Self::Fyke => &fyke::ROWS,
        };
        antrea::ROWS.iter().chain(added)
    }
}

/// The whole table, in four parts.
pub static FIELDS: [&[Field]; 4] = [&antrea::ROWS, &fyke::ROWS, &aggregated::ROWS, &enriched::ROWS];

impl Field {
    /// Says where the gRPC message has this attribute.
    const fn at(mut self, path: &'static [u8]) -> Self {
        self.path = path;
        self
    }

    /// Says of which part this attribute is.
    const fn of(mut self, group: Group) -> Self {
        self.group = Some(group);
        self
    }

    /// Says how many records are read at once.
    const fn many(mut self, numbers: fn(&[FlowRecord], &mut [u64])) -> Self {
        self.numbers = numbers;
        self
    }

    /// Every row of the table, in order.
    pub fn all() -> impl Iterator<Item = &'static Field> {
        FIELDS.iter().copied().flatten()
    }

    /// The row of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::all().find(|field| field.name == name)
    }

    /// Unsets this attribute of a record, and with it whatever else tells the same.
    pub fn blank(&self, record: &mut FlowRecord) {
        match self.access {
            // A direction that is not told is not 0.
            Access::U8 { get, set } => set(record, get(&FlowRecord::default())),
            Access::U16 { set, .. } => set(record, 0),
            Access::U32 { set, .. } | Access::Seconds { set, .. } => set(record, 0),
            Access::U64 { set, .. } | Access::Milliseconds { set, .. } => set(record, 0),
            Access::Name { set, .. } | Access::Labels { set, .. } => set(record, Name::default()),
            Access::Uuid { set, .. } => set(record, None),
            Access::Ip { get, set } => {
                // The family decides about the template, and stays.
                let Some(told) = get(record) else { return };
                let unset = match told {
                    IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                    IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                };
                set(record, Some(unset));
                // Two rows share the Service's address, and one of them never takes its place.
                if get(record) != Some(unset) {
                    record.service.ip = None;
                }
            }
        }
    }

    /// The rows that are kept as columns: all but times in seconds, which have a twin in
    /// milliseconds.
    pub fn columns() -> impl Iterator<Item = &'static Field> {
        Self::all().filter(|field| !matches!(field.access, Access::Seconds { .. }))
    }
}

const fn one(name: &'static str, element: InformationElement, access: Access) -> Field {
    Field {
        name,
        elements: Elements::One(element),
        access,
        path: &[],
        group: None,
        numbers: |_, _| {},
    }
}

/// Nobody has registered an element for it.
const fn unregistered(name: &'static str, access: Access) -> Field {
    Field { name, elements: Elements::None, access, path: &[], group: None, numbers: |_, _| {} }
}

const fn per_family(
    name: &'static str,
    v4: InformationElement,
    v6: InformationElement,
    access: Access,
) -> Field {
    Field {
        name,
        elements: Elements::PerFamily { v4, v6 },
        access,
        path: &[],
        group: None,
        numbers: |_, _| {},
    }
}

/// Builds an [`Access`] to a plain member of [`FlowRecord`].
///
/// A macro, because a function cannot be given a path to a member.
macro_rules! member {
    ($kind:ident, $($path:ident).+) => {
        Access::$kind { get: |r| r.$($path).+, set: |r, v| r.$($path).+ = v }
    };
}

/// As [`member!`], for members of what is shared: what says nothing new makes no copy.
macro_rules! part {
    ($kind:ident, $($path:ident).+) => {
        Access::$kind {
            get: |r| r.$($path).+,
            set: |r, v| if r.$($path).+ != v { r.$($path).+ = v },
        }
    };
}

/// As [`part!`], for the members that are lent instead of copied.
macro_rules! name {
    ($($path:ident).+) => { name!(Name, $($path).+) };
    ($kind:ident, $($path:ident).+) => {
        Access::$kind {
            get: |r| &r.$($path).+,
            set: |r, v| if r.$($path).+ != v { r.$($path).+ = v },
        }
    };
}

/// A part of the table. Each row reads many records by a function of its own, in which it is a
/// constant, as it is in [`table!`].
macro_rules! rows {
    ($vis:vis static $name:ident: [Field; $count:literal] = [$($row:expr),* $(,)?];) => {
        $vis static $name: [Field; $count] = [$(
            $row.many(|records, to| const { &$row.access }.numbers(records, to))
        ),*];
    };
}

/// A part of the table that is read and written as a whole.
///
/// Beside the rows it makes `encode` and `decode`, in which each row is a constant: the compiler
/// sees which member is meant, and makes straight code where a loop over the rows would call a
/// function for each. A macro, because a function cannot take constants apart.
macro_rules! table {
    ($vis:vis static $name:ident: [Field; $count:literal] = [$($row:expr),* $(,)?];) => {
        $crate::fields::rows! { $vis static $name: [Field; $count] = [$($row),*]; }

        /// Writes these attributes of `record`, in the order of the rows.
        $vis fn encode(
            record: &$crate::FlowRecord,
            family: $crate::Family,
            writer: &mut ipfix::encode::RecordWriter<'_>,
        ) {
            $(const { &$row.access }.write(record, family, writer);)*
        }

        /// Sets these attributes of `record`, whose values come in the order of the rows; but those
        /// that are of some [`super::Group`].
        $vis fn decode<'a>(
            record: &mut $crate::FlowRecord,
            values: &mut impl Iterator<Item = &'a [u8]>,
            names: &mut $crate::Interner,
        ) {
            $(
                if let Some(value) = values.next()
                    && const { $row.group.is_none() }
                {
                    $crate::wire::read(record, const { &$row.access }, value, names);
                }
            )*
        }
    };
}

use {member, name, part, rows, table};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let mut seen = HashSet::new();
        for field in Field::all() {
            assert!(seen.insert(field.name), "{} is described twice", field.name);
        }
    }

    #[test]
    fn an_element_belongs_to_one_attribute() {
        let mut seen = HashSet::new();
        for field in Field::all() {
            let elements = match field.elements {
                Elements::One(element) => vec![element],
                Elements::PerFamily { v4, v6 } => vec![v4, v6],
                Elements::None => vec![],
            };
            for element in elements {
                assert!(
                    seen.insert((element.pen, element.id)),
                    "{} shares its element",
                    field.name
                );
            }
        }
    }

    #[test]
    fn a_name_is_the_registered_one_where_one_element_carries_the_attribute() {
        for field in Field::all() {
            if let Elements::One(element) = field.elements {
                let registered = ipfix::registry::by_name(field.name).map(|e| (e.pen, e.id));
                assert_eq!(registered, Some((element.pen, element.id)), "{}", field.name);
            }
        }
    }

    /// By the wire: the value of a blank attribute is that of one nobody has set.
    #[test]
    fn a_blank_attribute_is_told_nowhere() {
        let address = |last| Some(IpAddr::from([10, 0, 0, last]));
        for field in Field::all() {
            let mut record = FlowRecord::default();
            for other in Field::all() {
                match other.access {
                    Access::U8 { set, .. } => set(&mut record, 1),
                    Access::U16 { set, .. } => set(&mut record, 77),
                    Access::U32 { set, .. } | Access::Seconds { set, .. } => set(&mut record, 77),
                    Access::U64 { set, .. } | Access::Milliseconds { set, .. } => {
                        set(&mut record, 77_000);
                    }
                    Access::Name { set, .. } | Access::Labels { set, .. } => {
                        set(&mut record, "told".into());
                    }
                    Access::Uuid { set, .. } => set(&mut record, Some(Uid([7; 16]))),
                    Access::Ip { set, .. } => set(&mut record, address(1)),
                }
            }
            let before = record.clone();
            field.blank(&mut record);
            let is_unset = match field.access {
                Access::U8 { get, .. } => get(&record) == get(&FlowRecord::default()),
                Access::U16 { get, .. } => get(&record) == 0,
                Access::U32 { get, .. } | Access::Seconds { get, .. } => get(&record) == 0,
                Access::U64 { get, .. } | Access::Milliseconds { get, .. } => get(&record) == 0,
                Access::Name { get, .. } | Access::Labels { get, .. } => get(&record).is_empty(),
                Access::Uuid { get, .. } => get(&record).is_none(),
                Access::Ip { get, .. } => get(&record).is_none_or(|it| it.is_unspecified()),
            };
            assert!(is_unset, "{}", field.name);
            assert!(record != before, "{}", field.name);
        }
    }

    #[test]
    fn an_attribute_of_a_group_is_of_that_part_and_of_nothing_else() {
        for field in Field::all() {
            let mut record = FlowRecord::default();
            match field.access {
                Access::U8 { set, .. } => set(&mut record, 1),
                Access::Name { set, .. } | Access::Labels { set, .. } => {
                    set(&mut record, "told".into());
                }
                Access::Uuid { set, .. } => set(&mut record, Some(Uid([7; 16]))),
                _ => {
                    assert_eq!(field.group, None, "{}", field.name);
                    continue;
                }
            }
            let mut changed = Vec::new();
            let rules = [(Group::Ingress, &record.ingress), (Group::Egress, &record.egress)];
            changed.extend(rules.iter().filter(|it| !it.1.is_nothing()).map(|it| it.0));
            let ends = [(Group::Source, &record.source), (Group::Destination, &record.destination)];
            changed.extend(ends.iter().filter(|it| !it.1.is_nothing()).map(|it| it.0));
            changed.extend((!record.exit.is_nothing()).then_some(Group::Exit));
            assert_eq!(changed, Vec::from_iter(field.group), "{}", field.name);
        }
    }

    #[test]
    fn antreas_template_has_43_elements() {
        assert_eq!(Profile::Antrea.fields().count(), 43);
    }
}
