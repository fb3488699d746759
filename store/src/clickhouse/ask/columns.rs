//! Columns as expressions: what values they have, when these are absent, and how they are ordered.

use std::collections::HashSet;

use flow::{Access, Field, FlowRecord, ROLL_UP_TIME};

use super::decode::Cell;
use crate::TIME_INSERTED;
use crate::clickhouse::schema::RECORDS;
use crate::query::{Column, Derived, Kind, Range, Source};

/// The address that stands for none.
const NO_ADDRESS: &str = "toIPv6('::')";
/// The last second of ClickHouse's `DateTime`.
pub(super) const LAST_SECOND: u64 = u32::MAX as u64;

/// The columns of a table.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    table: String,
    known: HashSet<String>,
}

impl Columns {
    pub(super) fn new(table: String, known: HashSet<String>) -> Self {
        Self { table, known }
    }

    pub(super) fn table(&self) -> &str {
        &self.table
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    /// Which column tells how many flow records a row stands for, if not for one.
    pub(super) fn records(&self) -> Option<&'static str> {
        self.has(RECORDS).then_some(RECORDS)
    }

    /// Attributes that the table has no column of their own for.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let names = Field::columns().map(|field| field.name);
        names.filter(|name| !self.has(name)).collect()
    }

    /// The value: `UInt64`, `IPv6` or text.
    pub(super) fn value(&self, column: Column) -> String {
        match column.source() {
            Source::Inserted => self.inserted(),
            Source::Field(field) => self.field(field),
            Source::Derived(derived) => self.derived(derived),
        }
    }

    /// When a flow ended, in milliseconds.
    pub(super) fn end(&self) -> String {
        self.named(Column::END)
    }

    pub(super) fn flow_id(&self) -> String {
        self.named(Column::FLOW_ID)
    }

    pub(super) fn inserted(&self) -> String {
        self.seconds(TIME_INSERTED)
    }

    fn named(&self, name: &str) -> String {
        Column::by_name(name).map_or_else(|| "toUInt64(0)".to_owned(), |column| self.value(column))
    }

    /// Conditions that let the server leave out what the range cannot be in.
    pub(super) fn coarse_bounds(&self, range: Range) -> Vec<String> {
        if !self.has(ROLL_UP_TIME) {
            return Vec::new();
        }
        let (since, until) = (range.since_ms / 1000, range.until_ms / 1000);
        let mut bounds = vec![format!("{ROLL_UP_TIME} >= toDateTime({})", since.min(LAST_SECOND))];
        // Later times are stored as the last one.
        if until < LAST_SECOND {
            bounds.push(format!("{ROLL_UP_TIME} <= toDateTime({until})"));
        }
        bounds
    }

    fn field(&self, field: &Field) -> String {
        let older = || field.older_column().filter(|older| self.has(older));
        let known = self.has(field.name).then_some(field.name).or_else(older);
        let (name, is_known) = (known.unwrap_or(field.name), known.is_some());
        match field.access {
            Access::Milliseconds { .. } | Access::Seconds { .. } => self.time(name),
            Access::Ip { .. } if is_known => {
                format!(
                    "if({0} = toIPv6('::ffff:0.0.0.0'), {NO_ADDRESS}, {0})",
                    format_args!("toIPv6OrDefault(toString({name}))")
                )
            }
            Access::Ip { .. } => NO_ADDRESS.to_owned(),
            Access::Name { .. } | Access::Labels { .. } | Access::Uuid { .. } if is_known => {
                name.to_owned()
            }
            Access::Name { .. } | Access::Labels { .. } | Access::Uuid { .. } => "''".to_owned(),
            _ if is_known => format!("toUInt64({name})"),
            access => format!("toUInt64({})", unset(access)),
        }
    }

    fn time(&self, name: &str) -> String {
        if self.has(name) {
            return format!("toUInt64(toUnixTimestamp64Milli({name}))");
        }
        self.seconds(&name.replace("Milliseconds", "Seconds"))
    }

    fn seconds(&self, name: &str) -> String {
        if self.has(name) {
            format!("toUInt64(toUnixTimestamp({name})) * 1000")
        } else {
            "toUInt64(0)".to_owned()
        }
    }

    fn derived(&self, derived: Derived) -> String {
        let [first, second] = derived.inputs().map(|name| self.named(name));
        match derived {
            Derived::Verdict => format!(
                "toUInt64(multiIf({first} IN (2, 3), {first}, {second} IN (2, 3), {second}, \
                 {first} = 1 OR {second} = 1, 1, 0))"
            ),
            Derived::Octets | Derived::Packets => format!("({first} + {second})"),
            Derived::Duration => {
                format!("if({second} > {first}, toUInt64({second} - {first}), toUInt64(0))")
            }
        }
    }

    /// Whether a value is not absent; `None` if it never is.
    pub(super) fn present(&self, column: Column) -> Option<String> {
        let value = self.value(column);
        match column.kind() {
            Kind::Number => None,
            Kind::Port | Kind::Time => Some(format!("{value} != 0")),
            Kind::Address => Some(format!("{value} != {NO_ADDRESS}")),
            Kind::Text | Kind::Labels => Some(format!("{value} != ''")),
        }
    }
}

/// What is the number of a record that has none.
fn unset(access: Access) -> u64 {
    let record = FlowRecord::default();
    match access {
        Access::U8 { get, .. } => get(&record).into(),
        Access::U16 { get, .. } => get(&record).into(),
        Access::U32 { get, .. } => get(&record).into(),
        Access::U64 { get, .. } => get(&record),
        _ => 0,
    }
}

/// How values of a column come.
pub(super) fn cell(column: Column) -> Cell {
    match column.kind() {
        Kind::Number | Kind::Port | Kind::Time => Cell::Number,
        Kind::Address => Cell::Address,
        Kind::Text | Kind::Labels => Cell::Text,
    }
}

/// What values of a column that are called `alias` are sorted by, in turn.
pub(super) fn order(column: Column, alias: &str) -> Vec<String> {
    if column.kind() != Kind::Address {
        return vec![alias.to_owned()];
    }
    // None, IPv4, IPv6.
    let family = format!("multiIf({alias} = {NO_ADDRESS}, 0, {}, 1, 2)", is_v4(alias));
    vec![family, alias.to_owned()]
}

pub(super) fn is_v4(address: &str) -> String {
    format!("{address} BETWEEN toIPv6('::ffff:0.0.0.0') AND toIPv6('::ffff:255.255.255.255')")
}
