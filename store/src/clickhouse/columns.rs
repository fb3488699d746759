//! What a table has, and what we have for it.

use flow::{Access, CLUSTER, Field, TableColumn};

use super::{ClickHouseError, Client, Reason};

/// Servers before this year's take no dictionary for a column of another type.
const FIRST_WITH_DICTIONARIES: u32 = 20;

/// A column that is written.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub(super) form: Form,
    pub(super) value: Value,
}

/// How values look on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    U8,
    U16,
    U32,
    U64,
    /// Seconds since 1970.
    DateTime,
    /// Milliseconds since 1970.
    DateTime64,
    /// A text of its own in each row.
    Text,
    /// A number in each row, and a dictionary: few different texts.
    Name,
    /// The same for a server that does not take dictionaries.
    OldName,
    Uuid,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Attribute(&'static Field),
    /// The same in each row.
    ClusterUuid,
}

/// What a table takes of what we have.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    pub(super) written: Vec<Column>,
    missing: Vec<&'static str>,
    is_deduplicating: bool,
    shards: Shards,
}

/// Where rows go that a table does not have itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shards {
    is_spread: bool,
    /// How many there are; 0 if nobody says so.
    count: u32,
}

impl Shards {
    /// What the server is to be told with each attempt to insert the block that is known by `token`;
    /// nothing if the table has its rows itself.
    pub fn settings(self, token: u64) -> Vec<(String, String)> {
        let mut settings = Vec::new();
        if self.is_spread {
            // Else it answers before the shard has the rows. By the name that servers of any age
            // know.
            settings.push(("insert_distributed_sync".to_owned(), "1".to_owned()));
        }
        if self.count > 0 {
            // The same one each time, which so knows the token.
            let shard = token % u64::from(self.count) + 1;
            settings.push(("insert_shard_id".to_owned(), shard.to_string()));
        }
        settings
    }
}

impl PartialEq for Columns {
    fn eq(&self, other: &Self) -> bool {
        let shape = |it: &Self| it.written.iter().map(|it| (it.name, it.form)).collect::<Vec<_>>();
        let table = |it: &Self| (it.is_deduplicating, it.shards);
        shape(self) == shape(other) && table(self) == table(other)
    }
}

impl Form {
    /// As blocks tell it. The server converts if its column's type is another one, such as
    /// `String` where there are few different ones.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::U8 => "UInt8",
            Self::U16 => "UInt16",
            Self::U32 => "UInt32",
            Self::U64 => "UInt64",
            Self::DateTime => "DateTime",
            Self::DateTime64 => "DateTime64(3)",
            Self::Text | Self::OldName => "String",
            Self::Name => "LowCardinality(String)",
            Self::Uuid => "UUID",
        }
    }

    /// Bytes of a value, if all have as many.
    pub(super) const fn width(self) -> Option<usize> {
        match self {
            Self::U8 => Some(1),
            Self::U16 => Some(2),
            Self::U32 | Self::DateTime => Some(4),
            Self::U64 | Self::DateTime64 => Some(8),
            Self::Uuid => Some(16),
            Self::Text | Self::Name | Self::OldName => None,
        }
    }

    /// For a column whose type is `kind`.
    fn fit(value: Value, kind: &str) -> Self {
        let kind = inner(inner(kind, "LowCardinality("), "Nullable(");
        let Value::Attribute(field) = value else { return Self::Name };
        match field.access {
            Access::U8 { .. } => Self::U8,
            Access::U16 { .. } => Self::U16,
            Access::U32 { .. } => Self::U32,
            Access::Seconds { .. } => Self::DateTime,
            Access::Milliseconds { .. } if kind.starts_with("DateTime64") => Self::DateTime64,
            Access::Milliseconds { .. } if kind.starts_with("DateTime") => Self::DateTime,
            Access::U64 { .. } | Access::Milliseconds { .. } => Self::U64,
            Access::Uuid { .. } if kind == "UUID" => Self::Uuid,
            Access::Ip { .. } if TableColumn::flow_key().contains(&field.name) => Self::Text,
            Access::Uuid { .. }
            | Access::Ip { .. }
            | Access::Name { .. }
            | Access::Labels { .. } => Self::Name,
        }
    }
}

/// The type within another.
fn inner<'a>(kind: &'a str, outer: &str) -> &'a str {
    kind.strip_prefix(outer).and_then(|rest| rest.strip_suffix(')')).unwrap_or(kind)
}

/// Everything we have, by name.
fn values() -> impl Iterator<Item = (&'static str, Value)> {
    let attributes = Field::all().map(|field| (field.name, Value::Attribute(field)));
    attributes.chain([(CLUSTER, Value::ClusterUuid)])
}

impl Columns {
    /// Asks which columns `table` has in the client's database.
    pub async fn read(client: &Client, table: &str) -> Result<Self, ClickHouseError> {
        let of = format!("database = currentDatabase() AND {{}} = '{}'", literal(table));
        let statement = format!(
            "SELECT name, type FROM system.columns WHERE {} AND default_kind IN ('', 'DEFAULT')",
            of.replace("{}", "table")
        );
        let rows = client.rows(statement).await?;
        let has: Vec<_> = rows.iter().filter_map(|row| Some((row.first()?, row.get(1)?))).collect();
        if has.is_empty() {
            // In the server's words, with what it says to that.
            let probe = format!("SELECT 1 FROM `{}` LIMIT 0", table.replace('`', "\\`"));
            client.execute(probe).await?;
            let why = format!("no column of {table} is visible; {}", Reason::AccessDenied.advice());
            return Err(ClickHouseError::Answer(why));
        }
        let mut columns = Self::of(has);
        let version = client.rows("SELECT version()").await?.into_iter().flatten().next();
        let major = version.and_then(|it| it.split('.').next()?.parse::<u32>().ok());
        if major.is_some_and(|major| major < FIRST_WITH_DICTIONARIES) {
            columns = columns.without_dictionaries();
        }
        let engine = engine_of(client, "currentDatabase()", table).await;
        if let Some(spread) = Spread::of(&engine) {
            let count = spread.shards(client).await?;
            columns.shards = Shards { is_spread: true, count };
            let local = engine_of(client, &spread.database(), &spread.table).await;
            columns.is_deduplicating = count > 0 && is_deduplicating(&local);
        } else {
            columns.is_deduplicating = is_deduplicating(&engine);
        }
        Ok(columns)
    }

    /// Of a table that has columns of these names and types.
    pub fn of<'a>(has: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let has: Vec<_> = has.into_iter().collect();
        let mut columns = Self::default();
        for (name, value) in values() {
            match has.iter().find(|(there, _)| *there == name) {
                Some((_, kind)) => {
                    let form = Form::fit(value, kind);
                    columns.written.push(Column { name, form, value });
                }
                None => columns.missing.push(name),
            }
        }
        columns
    }

    /// For a server that does not take them.
    pub(super) fn without_dictionaries(mut self) -> Self {
        for column in self.written.iter_mut().filter(|it| it.form == Form::Name) {
            column.form = Form::OldName;
        }
        self
    }

    /// Names of the columns that are written, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.written.iter().map(|column| column.name)
    }

    /// Columns that Antrea's Flow Aggregator writes and the table does not have.
    pub fn missing_of_antrea(&self) -> Vec<&'static str> {
        self.missing.iter().copied().filter(|name| TableColumn::is_antreas(name)).collect()
    }

    /// How many attributes have no column. Times have one in seconds or in milliseconds.
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    /// Whether the table stores nothing a second time that comes with the same token.
    pub fn is_deduplicating(&self) -> bool {
        self.is_deduplicating
    }

    /// What the table spreads its rows over, if it does not have them itself. A block that is
    /// repeated must go to the same shard, since others do not know its token.
    pub fn shards(&self) -> Shards {
        self.shards
    }
}

/// What a table is made of; nothing if the server does not tell, as servers before 19.
async fn engine_of(client: &Client, database: &str, table: &str) -> String {
    let statement = format!(
        "SELECT engine_full FROM system.tables WHERE database = {database} AND name = '{}'",
        literal(table)
    );
    let rows = client.rows(statement).await.unwrap_or_default();
    rows.into_iter().flatten().next().unwrap_or_default()
}

/// What `Distributed(cluster, database, table, …)` spreads rows over.
#[derive(Debug, PartialEq, Eq)]
struct Spread {
    cluster: String,
    database: String,
    table: String,
}

impl Spread {
    fn of(engine: &str) -> Option<Self> {
        let arguments = engine.strip_prefix("Distributed(")?;
        let mut arguments = arguments
            .split([',', ')'])
            .map(|it| it.trim().trim_matches(['\'', '`', '"']).to_owned());
        let (cluster, database, table) = (arguments.next()?, arguments.next()?, arguments.next()?);
        Some(Self { cluster, database, table })
    }

    fn database(&self) -> String {
        let is_ours = self.database.is_empty() || self.database == "currentDatabase(";
        if is_ours { "currentDatabase()".into() } else { format!("'{}'", literal(&self.database)) }
    }

    async fn shards(&self, client: &Client) -> Result<u32, ClickHouseError> {
        let name = self.cluster.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let name = match name {
            Some(name) => format!("getMacro('{}')", literal(name)),
            None => format!("'{}'", literal(&self.cluster)),
        };
        let statement =
            format!("SELECT max(shard_num) FROM system.clusters WHERE cluster = {name}");
        let rows = client.rows(statement).await?;
        Ok(rows.iter().flatten().find_map(|text| text.parse().ok()).unwrap_or(0))
    }
}

/// Replicated tables do unless they are told not to, others only if they are told to.
fn is_deduplicating(engine: &str) -> bool {
    let window = |name: &str| {
        let (_, rest) = engine.split_once(&format!("{name} = "))?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest.get(..digits)?.parse::<u64>().ok()
    };
    if engine.starts_with("Replicated") || engine.starts_with("Shared") {
        return window(" replicated_deduplication_window") != Some(0);
    }
    let name = engine.split([' ', '(']).next().unwrap_or_default();
    name.ends_with("MergeTree")
        && window(" non_replicated_deduplication_window").is_some_and(|window| window > 0)
}

pub(super) fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(has: &[(&str, &str)]) -> Columns {
        let has: Vec<_> = has.iter().map(|(n, k)| ((*n).to_owned(), (*k).to_owned())).collect();
        Columns::of(has.iter().map(|(name, kind)| (name, kind)))
    }

    #[test]
    fn each_of_antreas_columns_has_a_value() {
        for name in TableColumn::antreas() {
            assert!(values().any(|(known, _)| known == name), "{name}");
        }
        assert_eq!(of(&[]).missing_of_antrea().len(), 51);
    }

    #[test]
    fn what_the_server_sets_is_never_written() {
        let columns =
            of(&[("timeInserted", "DateTime"), ("trusted", "UInt8"), ("tcpState", "String")]);
        assert_eq!(columns.names().collect::<Vec<_>>(), ["tcpState"]);
    }

    #[test]
    fn times_and_identities_are_written_as_the_table_has_them() {
        for (kind, form) in [
            ("DateTime64(3, 'UTC')", Form::DateTime64),
            ("DateTime64(6)", Form::DateTime64),
            ("DateTime('UTC')", Form::DateTime),
            ("UInt64", Form::U64),
            ("Nullable(DateTime64(3))", Form::DateTime64),
        ] {
            let columns = of(&[("flowEndMilliseconds", kind)]);
            assert_eq!(columns.written[0].form, form, "{kind}");
        }
        for (kind, form) in [("UUID", Form::Uuid), ("LowCardinality(String)", Form::Name)] {
            assert_eq!(of(&[("sourcePodUUID", kind)]).written[0].form, form, "{kind}");
        }
    }

    #[test]
    fn who_keeps_tokens_is_told_by_the_engine() {
        let plain = "MergeTree ORDER BY a SETTINGS index_granularity = 8192";
        let replicated = "ReplicatedMergeTree('/x', 'y') ORDER BY a";
        for (engine, is_so) in [
            (plain.to_owned(), false),
            (format!("{plain}, non_replicated_deduplication_window = 1000"), true),
            (format!("{plain}, non_replicated_deduplication_window = 0"), false),
            (replicated.to_owned(), true),
            (format!("{replicated} SETTINGS replicated_deduplication_window = 0"), false),
            (format!("Shared{replicated}"), true),
            ("Null".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_deduplicating(&engine), is_so, "{engine}");
        }
    }

    #[test]
    fn a_spread_table_answers_when_its_shard_has_the_rows() {
        let told = |is_spread, count| {
            let settings = Shards { is_spread, count }.settings(8).into_iter();
            settings.map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>()
        };
        assert_eq!(told(false, 0), [""; 0]);
        assert_eq!(told(true, 0), ["insert_distributed_sync = 1"]);
        assert_eq!(told(true, 3), ["insert_distributed_sync = 1", "insert_shard_id = 3"]);
    }

    #[test]
    fn what_a_table_is_spread_over_is_told_by_its_engine() {
        for (engine, spread) in [
            (
                "Distributed('{cluster}', 'default', 'flows_local', rand())",
                Some(["{cluster}", "default", "flows_local"]),
            ),
            ("Distributed(flows, '', `local`)", Some(["flows", "", "local"])),
            ("MergeTree ORDER BY a", None),
        ] {
            let spread = spread
                .map(|it| it.map(str::to_owned))
                .map(|[cluster, database, table]| Spread { cluster, database, table });
            assert_eq!(Spread::of(engine), spread, "{engine}");
        }
    }
}
