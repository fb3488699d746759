//! Sums per minute, five minutes and hour, and views of them under Theia's names.
//!
//! Rows of the finest tier are made of flows as these are inserted, those of the others of the tier
//! before: a block of flows is read once for each kind.

use flow::{Access, ROLL_UP_TIME, RollUp, TIME_INSERTED};

use super::Schema;
use super::name::quoted;

/// How many rows of `flows` a row of a roll-up stands for.
pub(in crate::clickhouse) const RECORDS: &str = "records";

/// How long the times are that rows are summed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Minute,
    FiveMinutes,
    Hour,
}

impl Tier {
    /// The finest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::FiveMinutes, Self::Hour];

    /// The end of its tables' names.
    fn word(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }

    fn begins(self) -> &'static str {
        match self {
            Self::Minute => "toStartOfMinute",
            Self::FiveMinutes => "toStartOfFiveMinutes",
            Self::Hour => "toStartOfHour",
        }
    }

    /// What its rows are made of.
    pub(in crate::clickhouse) fn finer(self) -> Option<Self> {
        match self {
            Self::Minute => None,
            Self::FiveMinutes => Some(Self::Minute),
            Self::Hour => Some(Self::FiveMinutes),
        }
    }

    /// In milliseconds.
    pub(in crate::clickhouse) fn step_ms(self) -> u64 {
        match self {
            Self::Minute => 60_000,
            Self::FiveMinutes => 300_000,
            Self::Hour => 3_600_000,
        }
    }

    /// The name of what fills a roll-up's table.
    pub(in crate::clickhouse) fn feed(self, roll_up: &RollUp) -> String {
        format!("{}_feed", self.table(roll_up))
    }

    /// The name of a roll-up's table, as it is asked for.
    pub(in crate::clickhouse) fn table(self, roll_up: &RollUp) -> String {
        format!("flows_{}_{}", roll_up.name, self.word())
    }
}

/// What fills a roll-up: a materialized view.
#[derive(Debug, Clone)]
pub struct Feed {
    pub name: String,
    /// The columns it makes, which are the roll-up's.
    pub columns: Vec<String>,
    target: String,
    pub select: String,
    schema: Schema,
}

impl Feed {
    pub(super) fn new(schema: &Schema, roll_up: &RollUp, tier: Tier) -> Self {
        let source = tier.finer().map_or_else(|| "flows".into(), |finer| finer.table(roll_up));
        let keys: Vec<_> = roll_up.keys().iter().map(|key| quoted(key.name())).collect();
        let begins = tier.begins();
        // In UTC, as partitions are: an hour belongs to one day.
        let mut columns = vec![
            format!("{begins}({ROLL_UP_TIME}, 'UTC') AS {ROLL_UP_TIME}"),
            format!("toStartOfHour({TIME_INSERTED}, 'UTC') AS {TIME_INSERTED}"),
        ];
        columns.extend(keys.iter().cloned());
        columns.push(match tier.finer() {
            None => format!("count() AS {RECORDS}"),
            Some(_) => format!("sum({RECORDS}) AS {RECORDS}"),
        });
        columns.extend(RollUp::sums().map(|field| format!("sum({0}) AS {0}", field.name)));
        columns.extend(RollUp::latest().map(|field| format!("max({0}) AS {0}", field.name)));
        let groups = [vec![ROLL_UP_TIME.to_owned(), TIME_INSERTED.to_owned()], keys].concat();
        let select = format!(
            "SELECT\n    {}\nFROM {}\nGROUP BY {}",
            columns.join(",\n    "),
            schema.full(&schema.table_name(&source)),
            groups.join(", ")
        );
        let target = super::Table::roll_up(schema, roll_up, tier);
        Self {
            name: format!("{}{}", schema.prefix, tier.feed(roll_up)),
            columns: target.columns.iter().map(|column| column.name.to_owned()).collect(),
            target: target.name,
            select,
            schema: schema.clone(),
        }
    }

    pub fn create(&self) -> String {
        let Self { schema, name, target, select, .. } = self;
        let (name, target) = (schema.full(name), schema.full(target));
        let cluster = schema.on_cluster();
        format!("CREATE MATERIALIZED VIEW IF NOT EXISTS {name}{cluster} TO {target} AS\n{select}")
    }

    /// Has it make what it should from the next insert on.
    pub fn replace(&self) -> String {
        let Self { schema, name, select, .. } = self;
        format!("ALTER TABLE {}{} MODIFY QUERY\n{select}", schema.full(name), schema.on_cluster())
    }
}

/// A view under a name of Theia's.
#[derive(Debug, Clone)]
pub struct View {
    pub name: &'static str,
    /// Names, in order.
    pub columns: Vec<String>,
    select: String,
    schema: Schema,
}

impl View {
    pub(super) fn new(schema: &Schema, roll_up: &RollUp) -> Option<Self> {
        let name = roll_up.view?;
        let table = super::Table::roll_up(schema, roll_up, Tier::Minute);
        let rates: Vec<_> = RollUp::rates().map(|field| field.name).collect();
        let plain = |name: &'static str| {
            if rates.contains(&name) {
                // The mean of the rows, since their sum is no rate.
                format!("intDiv({name}, {RECORDS}) AS {name}")
            } else {
                quoted(name)
            }
        };
        let mut columns: Vec<_> =
            table.columns.iter().map(|it| (it.name.to_owned(), plain(it.name))).collect();
        for field in roll_up.lost() {
            let zero =
                if matches!(field.access, Access::U16 { .. }) { "toUInt16(0)" } else { "''" };
            columns.push((field.name.to_owned(), format!("{zero} AS {}", field.name)));
        }
        let (columns, selected): (_, Vec<_>) = columns.into_iter().unzip();
        let source = schema.full(&schema.front_name(&Tier::Minute.table(roll_up)));
        let select = format!("SELECT\n    {}\nFROM {source}", selected.join(",\n    "));
        Some(Self { name, columns, select, schema: schema.clone() })
    }

    /// Makes the view, in place of one of ours with other columns.
    pub fn create(&self) -> String {
        let Self { schema, name, select, .. } = self;
        let (full, cluster) = (schema.full(name), schema.on_cluster());
        format!("CREATE OR REPLACE VIEW {full}{cluster} AS\n{select}")
    }
}
