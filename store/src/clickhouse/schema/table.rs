//! Tables that hold rows.

use flow::{ROLL_UP_TIME, RollUp, TIME_INSERTED, TableColumn};

use super::name::quoted;
use super::{Column, Keep, Schema, Tier};

/// What our tables say of themselves, so that they are told from those of others.
pub const COMMENT: &str = "Fyke";

/// Has a table refuse rows with the error 252, after which every writer tries again.
const CLOSED: &str = "max_parts_in_total = 0";

/// What stands before the time in the comment of a column.
const SINCE: &str = "every flow since ";

/// Since when a roll-up knows every flow, by what its count of them says: from its beginning, unless
/// it says otherwise.
pub(in crate::clickhouse) fn since(comment: &str) -> u64 {
    let told = comment.strip_prefix(SINCE);
    told.map_or(0, |since| since.parse().unwrap_or(u64::MAX))
}

/// Inserts whose retries a table recognises.
const REMEMBERED_INSERTS: u32 = 1000;

/// A table that holds rows.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// The table's family without `Replicated`.
    engine: &'static str,
    /// What finds rows, and what else they are sorted by.
    primary_key: Vec<String>,
    pub sorting_key: Vec<String>,
    keep: Keep,
    schema: Schema,
}

impl Table {
    pub(super) fn flows(schema: &Schema) -> Self {
        // Dashboards and questions go by the end of flows; within an hour by who talked.
        let mut sorting_key = vec![format!("toStartOfHour({ROLL_UP_TIME}, 'UTC')")];
        sorting_key.extend(TableColumn::sorted_by().iter().map(|name| (*name).to_owned()));
        let primary_key = sorting_key.clone();
        sorting_key.push(ROLL_UP_TIME.to_owned());
        Self {
            name: schema.table_name("flows"),
            columns: TableColumn::all().into_iter().map(Column::of_flows).collect(),
            engine: "MergeTree",
            primary_key,
            sorting_key,
            keep: schema.retention.flows,
            schema: schema.clone(),
        }
    }

    pub(super) fn roll_up(schema: &Schema, roll_up: &RollUp, tier: Tier) -> Self {
        let keys: Vec<_> = roll_up.keys().into_iter().map(Column::of_key).collect();
        let mut sorting_key = vec![ROLL_UP_TIME.to_owned(), TIME_INSERTED.to_owned()];
        sorting_key.extend(keys.iter().map(|column| column.name.to_owned()));
        let mut columns = vec![Column::time(ROLL_UP_TIME), Column::time(TIME_INSERTED)];
        columns.extend(keys);
        columns.push(Column::sum(super::RECORDS));
        columns.extend(RollUp::sums().map(|field| Column::sum(field.name)));
        columns.extend(RollUp::latest().map(|field| Column::latest(field.name)));
        Self {
            name: schema.table_name(&tier.table(roll_up)),
            columns,
            engine: "SummingMergeTree",
            primary_key: vec![ROLL_UP_TIME.to_owned()],
            sorting_key,
            keep: schema.retention.of(tier),
            schema: schema.clone(),
        }
    }

    /// Makes the table unless it is there.
    pub fn create(&self) -> String {
        self.create_as(&self.name)
    }

    /// The same, but it takes no rows before [`Self::open`].
    pub fn create_closed(&self) -> String {
        self.created(&self.name, Some(CLOSED))
    }

    /// Makes the table under another name unless that is there.
    pub fn create_as(&self, name: &str) -> String {
        self.created(name, None)
    }

    /// Has the table of another name refuse rows.
    pub fn close_as(&self, name: &str) -> String {
        self.alter_as(name, &[format!("MODIFY SETTING {CLOSED}")])
    }

    /// Has the table take rows.
    pub fn open(&self) -> String {
        self.alter(&["RESET SETTING max_parts_in_total".to_owned()])
    }

    fn created(&self, name: &str, setting: Option<&str>) -> String {
        let schema = &self.schema;
        let definitions: Vec<_> = self.columns.iter().map(Column::definition).collect();
        let mut lines = vec![
            format!("CREATE TABLE IF NOT EXISTS {}{}", schema.full(name), schema.on_cluster()),
            format!("(\n    {}\n)", definitions.join(",\n    ")),
            format!("ENGINE = {}", self.engine()),
            format!("PARTITION BY {}", Self::partition_key()),
            format!("PRIMARY KEY ({})", self.primary_key.join(", ")),
            format!("ORDER BY ({})", self.sorting_key.join(", ")),
        ];
        lines.extend(self.ttl().map(|ttl| format!("TTL {ttl}")));
        let mut settings = self.settings();
        settings.extend(setting.map(str::to_owned));
        if !settings.is_empty() {
            lines.push(format!("SETTINGS {}", settings.join(", ")));
        }
        lines.push(format!("COMMENT '{COMMENT}'"));
        lines.join("\n")
    }

    fn engine(&self) -> String {
        let engine = self.engine;
        if self.schema.place.cluster.is_none() {
            return engine.to_owned();
        }
        // By the table's UUID: a table of the same name from before may hold the other path.
        format!("Replicated{engine}('/clickhouse/tables/{{uuid}}/{{shard}}', '{{replica}}')")
    }

    /// Days by the server's clock, of whichever zone: a row's day never changes, and only one or
    /// two are written to.
    pub(in crate::clickhouse) fn partition_key() -> String {
        format!("toYYYYMMDD({TIME_INSERTED}, 'UTC')")
    }

    /// When rows expire, if they do.
    pub(in crate::clickhouse) fn ttl(&self) -> Option<String> {
        self.keep.ttl(TIME_INSERTED)
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = self.keep.settings();
        // Replicated tables recognise retries by themselves. Where rows wait, what was thrown away
        // and comes again is no retry.
        if self.schema.place.cluster.is_none() && self.schema.prefix.is_empty() {
            settings.push(format!("non_replicated_deduplication_window = {REMEMBERED_INSERTS}"));
        }
        settings
    }

    /// Adds columns that are not there yet; those that are told apart also to the end of what rows
    /// are sorted by.
    pub fn add(&self, missing: &[&Column], sorting_key: &[String]) -> String {
        let add = |column: &&Column| format!("ADD COLUMN IF NOT EXISTS {}", column.definition());
        let mut steps: Vec<_> = missing.iter().map(add).collect();
        let is_key = |column: &&&Column| self.sorting_key.iter().any(|key| key == column.name);
        let keys: Vec<_> =
            missing.iter().filter(is_key).map(|column| quoted(column.name)).collect();
        if !keys.is_empty() {
            let all = [sorting_key.to_vec(), keys].concat();
            steps.push(format!("MODIFY ORDER BY ({})", all.join(", ")));
        }
        self.alter(&steps)
    }

    /// Has rows expire when they should.
    pub fn expire(&self) -> Vec<String> {
        let ttl = self.ttl().map_or_else(|| "REMOVE TTL".into(), |ttl| format!("MODIFY TTL {ttl}"));
        let settings = self.keep.settings();
        let mut steps = Vec::new();
        if !settings.is_empty() {
            steps.push(self.alter(&[format!("MODIFY SETTING {}", settings.join(", "))]));
        }
        steps.push(self.alter(&[ttl]));
        steps
    }

    /// Has parts that came from elsewhere know when their rows expire.
    pub fn find_expired(&self) -> String {
        self.alter(&["MATERIALIZE TTL".to_owned()])
    }

    /// Has a roll-up say since when it knows every flow, in seconds since 1970 by the server's
    /// clock, where it has not always.
    pub fn tell_since(&self, since: u64) -> String {
        let column = quoted(super::RECORDS);
        self.alter(&[format!("COMMENT COLUMN {column} '{SINCE}{since}'")])
    }

    fn alter(&self, steps: &[String]) -> String {
        self.alter_as(&self.name, steps)
    }

    fn alter_as(&self, name: &str, steps: &[String]) -> String {
        let schema = &self.schema;
        let head = format!("ALTER TABLE {}{}", schema.full(name), schema.on_cluster());
        format!("{head}\n    {}", steps.join(",\n    "))
    }
}
