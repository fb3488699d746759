//! Attributes as columns.

use flow::{Access, Field, FlowRecord, KeyColumn, TIME_INSERTED, TableColumn};

use super::name::quoted;

/// Few different texts.
const NAME: &str = "LowCardinality(String)";
/// Times in seconds that grow, and counters: what is stored is the difference, and only as many
/// bits as it takes.
const TIME: &str = "CODEC(Delta(4), ZSTD(1))";
const FINE_TIME: &str = "CODEC(Delta(8), ZSTD(1))";
const COUNTER: &str = "CODEC(T64, ZSTD(1))";
const OTHER: &str = "CODEC(ZSTD(1))";

/// A column of a table, as `system.columns` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: &'static str,
    /// What a row has that does not say.
    pub default: String,
    pub codec: &'static str,
}

impl Column {
    fn new(name: &'static str, kind: &'static str, codec: &'static str) -> Self {
        Self { name, kind, default: String::new(), codec }
    }

    fn or(mut self, default: impl Into<String>) -> Self {
        self.default = default.into();
        self
    }

    /// A column of the table `flows`.
    pub(super) fn of_flows(column: TableColumn) -> Self {
        match column {
            TableColumn::Inserted => Self::new(TIME_INSERTED, "DateTime", TIME).or("now()"),
            TableColumn::Cluster => Self::new(column.name(), NAME, ""),
            TableColumn::Trusted => Self::new(column.name(), "UInt8", OTHER).or("0"),
            TableColumn::Retired(name) => Self::new(name, NAME, ""),
            TableColumn::Attribute(field) => Self::of(field),
        }
    }

    /// A column of a roll-up.
    pub(super) fn of_key(column: KeyColumn) -> Self {
        match column {
            KeyColumn::Cluster => Self::new(column.name(), NAME, ""),
            KeyColumn::Attribute(field) => Self::of(field).or(""),
        }
    }

    pub(super) fn time(name: &'static str) -> Self {
        Self::new(name, "DateTime", TIME)
    }

    pub(super) fn sum(name: &'static str) -> Self {
        Self::new(name, "UInt64", COUNTER)
    }

    pub(super) fn latest(name: &'static str) -> Self {
        Self::new(name, "SimpleAggregateFunction(max, DateTime)", TIME)
    }

    fn of(field: &'static Field) -> Self {
        let name = field.name;
        match field.access {
            Access::U8 { get, .. } => {
                // A direction that is not told is not 0.
                let column = Self::new(name, "UInt8", OTHER);
                match get(&FlowRecord::default()) {
                    0 => column,
                    unset => column.or(unset.to_string()),
                }
            }
            Access::U16 { .. } => Self::new(name, "UInt16", OTHER),
            Access::U32 { .. } => Self::new(name, "UInt32", OTHER),
            // Ids are hashes: none is near another.
            Access::U64 { .. } if name.contains("Id") => Self::new(name, "UInt64", OTHER),
            Access::U64 { .. } => Self::sum(name),
            Access::Seconds { .. } => Self::time(name),
            Access::Milliseconds { .. } => {
                let column = Self::new(name, "DateTime64(3)", FINE_TIME);
                match twin(name) {
                    Some(twin) => column.or(format!("toDateTime64({twin}, 3)")),
                    None => column,
                }
            }
            // As in Antrea's table. Those of the flow itself are many.
            Access::Ip { .. } if TableColumn::flow_key().contains(&name) => {
                Self::new(name, "String", OTHER)
            }
            Access::Ip { .. }
            | Access::Name { .. }
            | Access::Labels { .. }
            | Access::Uuid { .. } => Self::new(name, NAME, ""),
        }
    }

    /// As it stands in `CREATE TABLE` and `ADD COLUMN`.
    pub fn definition(&self) -> String {
        let mut text = format!("{} {}", quoted(self.name), self.kind);
        if !self.default.is_empty() {
            text = format!("{text} DEFAULT {}", self.default);
        }
        if !self.codec.is_empty() {
            text = format!("{text} {}", self.codec);
        }
        text
    }
}

/// The same time in seconds, which writers of others tell.
fn twin(name: &str) -> Option<&'static str> {
    let field = Field::by_name(&name.replace("Milliseconds", "Seconds"))?;
    matches!(field.access, Access::Seconds { .. }).then_some(field.name)
}
