//! How a database does: its disks, its tables, what comes in, and what the server is busy with.

use super::found::{cells, number};
use super::schema::{Place, quoted};
use super::{ClickHouseError, Client, Statement};

/// Seconds that the rate of inserts is taken over, as in Theia.
const RATE_OVER: u64 = 120;

/// What can be asked, each for itself, by the names of the flags of Theia's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    DiskInfo,
    TableInfo,
    InsertRate,
    StackTraces,
}

/// An answer: a table with a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub topic: Topic,
    pub columns: &'static [&'static str],
    pub rows: Vec<Vec<String>>,
}

impl Topic {
    pub const ALL: [Self; 4] =
        [Self::DiskInfo, Self::TableInfo, Self::InsertRate, Self::StackTraces];

    pub const fn word(self) -> &'static str {
        match self {
            Self::DiskInfo => "diskInfo",
            Self::TableInfo => "tableInfo",
            Self::InsertRate => "insertRate",
            Self::StackTraces => "stackTraces",
        }
    }

    /// Asks the server, or on many of them each.
    pub async fn ask(self, client: &Client, place: &Place) -> Result<Table, ClickHouseError> {
        let client = client.in_database("system");
        let (columns, rows) = match self {
            Self::DiskInfo => (DISKS, client.rows(disks(place)).await?),
            Self::TableInfo => (TABLES, client.rows(tables(place)).await?),
            Self::InsertRate => (RATE, vec![rate(&client, place).await?]),
            Self::StackTraces => (TRACES, client.rows(traces(place)).await?),
        };
        Ok(Table { topic: self, columns, rows })
    }
}

const DISKS: &[&str] = &["Shard", "DiskName", "Path", "Free", "Total", "Used_Percentage"];
const TABLES: &[&str] = &[
    "Shard",
    "DatabaseName",
    "TableName",
    "TotalRows",
    "TotalBytes",
    "TotalCols",
    "Parts",
    "FirstDay",
    "LastDay",
];
const RATE: &[&str] = &["Shard", "RowsPerSecond", "BytesPerSecond"];
const TRACES: &[&str] = &["Shard", "Threads", "StackTrace"];

/// A table of the server's own, here or everywhere, and what says where.
fn everywhere(place: &Place, table: &str) -> (String, &'static str) {
    match &place.cluster {
        None => (format!("system.{table}"), "1"),
        Some(cluster) => (format!("cluster({}, system.{table})", cluster.literal()), "shardNum()"),
    }
}

fn disks(place: &Place) -> Statement {
    let (disks, shard) = everywhere(place, "disks");
    Statement::new(format!(
        "SELECT {shard} AS shard, name, path, formatReadableSize(free_space), \
         formatReadableSize(total_space), \
         concat(toString(round((1 - free_space / total_space) * 100, 2)), ' %') \
         FROM {disks} ORDER BY shard, name"
    ))
}

fn tables(place: &Place) -> Statement {
    let (parts, shard) = everywhere(place, "parts");
    let text = format!(
        "SELECT shard, database, name, rows, formatReadableSize(bytes), columns, parts, first, last \
         FROM (SELECT {shard} AS shard, database, table AS name, sum(rows) AS rows, \
         sum(bytes_on_disk) AS bytes, count() AS parts, min(partition) AS first, \
         max(partition) AS last FROM {parts} WHERE active AND database = {{database:String}} \
         GROUP BY shard, database, name) AS here \
         LEFT JOIN (SELECT table AS name, count() AS columns FROM system.columns \
         WHERE database = {{database:String}} GROUP BY name) AS described USING (name) \
         ORDER BY shard, name"
    );
    Statement::new(text).parameter("database", place.database.as_str())
}

/// Flows alone, not their sums: how many, and what they take on disk.
async fn rate(client: &Client, place: &Place) -> Result<Vec<String>, ClickHouseError> {
    let flows = place.full("flows");
    let rows = format!(
        "SELECT count() FROM {flows} WHERE timeInserted > now() - {RATE_OVER} \
         AND timeInserted <= now()"
    );
    let rows = number(client, rows).await?;
    let sizes = "SELECT sum(bytes_on_disk), sum(rows) FROM system.parts \
                 WHERE active AND database = {database:String} AND table IN ('flows', 'flows_local')";
    let sizes = Statement::new(sizes).parameter("database", place.database.as_str());
    let Some(row) = client.rows(sizes).await?.into_iter().next() else {
        return Err(ClickHouseError::Answer("there is no sum".to_owned()));
    };
    let [bytes, all] = cells(row)?.map(|value| value.parse::<u64>().unwrap_or_default());
    let of_these = u128::from(bytes) * u128::from(rows) / u128::from(all.max(1));
    let shard = if place.cluster.is_some() { "all" } else { "1" };
    let per_second = |of: u128| (of / u128::from(RATE_OVER)).to_string();
    Ok(vec![shard.to_owned(), per_second(rows.into()), per_second(of_these)])
}

fn traces(place: &Place) -> Statement {
    let (traces, shard) = everywhere(place, "stack_trace");
    let trace = quoted("trace");
    Statement::new(format!(
        "SELECT {shard} AS shard, count() AS threads, \
         arrayStringConcat(arrayMap(x -> demangle(addressToSymbol(x)), {trace}), '\\n') AS symbols \
         FROM {traces} GROUP BY shard, symbols ORDER BY shard, threads DESC"
    ))
    .setting("allow_introspection_functions", "1")
}
