//! How large a database becomes: what is oldest goes before its disk is full.
//!
//! Whole days go, which costs nothing and needs no room, of flows first and then of the finest sums.
//! Several that watch one database do not disturb each other: a day that is gone is not there to be
//! dropped.

use super::found::{cells, number};
use super::schema::Schema;
use super::{ClickHouseError, Client, Statement};

/// The exception for it.
const TOO_LARGE_TO_DROP: u32 = 359;

/// What a round found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Bytes of the database before.
    pub used: u64,
    /// Bytes that it may have.
    pub limit: u64,
    /// Bytes above the limit that cannot be helped: the present day stays, and so do tables of
    /// others.
    pub over: u64,
}

/// A day of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    pub table: String,
    /// Such as `20261121`.
    pub day: String,
    pub bytes: u64,
}

/// Drops the oldest days while the database has more than `most` bytes, or its disks less room than
/// `free` hundredths. Each that is gone is told at once.
pub async fn round(
    client: &Client,
    schema: &Schema,
    most: Option<u64>,
    free: u8,
    mut each: impl FnMut(&Dropped),
) -> Result<Round, ClickHouseError> {
    let client = client.in_database("system");
    let database = schema.place.database.as_str();
    let used = "SELECT sum(bytes_on_disk) FROM system.parts \
                WHERE active AND database = {database:String}";
    let used = number(&client, Statement::new(used).parameter("database", database)).await?;
    let limit = limit(&client, database, used, most, free).await?;
    let mut left = used;
    for day in days(&client, schema).await? {
        if left <= limit {
            break;
        }
        drop_day(&client, &schema.full(&day.table), &day.day).await?;
        left = left.saturating_sub(day.bytes);
        each(&day);
    }
    Ok(Round { used, limit, over: left.saturating_sub(limit) })
}

/// Servers guard what is larger than 50 GB, unless they are told otherwise; to drop it is what we
/// are for. Those before 23.12 do not know the setting, and refuse as before.
async fn drop_day(client: &Client, table: &str, day: &str) -> Result<(), ClickHouseError> {
    let statement = Statement::new(format!("ALTER TABLE {table} DROP PARTITION ID '{day}'"));
    match client.execute(statement.clone()).await {
        Err(error) if error.code() == Some(TOO_LARGE_TO_DROP) => {
            let unguarded = statement.setting("max_partition_size_to_drop", "0");
            client.execute(unguarded).await.map_err(|_| error)
        }
        dropped => dropped,
    }
}

/// Bytes that the database may have: `most`, and no more than leaves the disks some room.
async fn limit(
    client: &Client,
    database: &str,
    used: u64,
    most: Option<u64>,
    free_hundredths: u8,
) -> Result<u64, ClickHouseError> {
    // Those that it is on: room on others is of no use to it.
    let disks = "SELECT sum(free_space), sum(total_space) FROM system.disks WHERE name IN \
                 (SELECT disk_name FROM system.parts WHERE active AND database = {database:String})";
    let disks = Statement::new(disks).parameter("database", database);
    let Some(row) = client.rows(disks).await?.into_iter().next() else {
        return Err(ClickHouseError::Answer("there are no disks".to_owned()));
    };
    let [free, total] = cells(row)?.map(|value| value.parse::<u64>().unwrap_or_default());
    let spare = total / 100 * u64::from(free_hundredths);
    let most_there = (used.saturating_add(free)).saturating_sub(spare);
    Ok(most.map_or(most_there, |most| most.min(most_there)))
}

/// The days that may go, in the order in which they go.
async fn days(client: &Client, schema: &Schema) -> Result<Vec<Dropped>, ClickHouseError> {
    let text = "SELECT table, partition_id, sum(bytes_on_disk) FROM system.parts \
                WHERE active AND database = {database:String} \
                AND partition_id < toString(toYYYYMMDD(now(), 'UTC')) \
                GROUP BY table, partition_id ORDER BY partition_id";
    let asked = Statement::new(text).parameter("database", schema.place.database.as_str());
    let mut days = Vec::new();
    for row in client.rows(asked).await? {
        let [table, day, bytes] = cells(row)?;
        // What is no number of digits is none of our partitions.
        if day.bytes().all(|byte| byte.is_ascii_digit()) {
            days.push(Dropped { table, day, bytes: bytes.parse().unwrap_or_default() });
        }
    }
    // Flows, then the sums from the finest to the coarsest.
    let mut tables = schema.roll_ups();
    tables.sort_by_key(|table| tier(&table.name));
    let tables = [schema.flows()].into_iter().chain(tables).map(|table| table.name);
    let of = |name: String| days.iter().filter(move |day| day.table == name).cloned();
    Ok(tables.flat_map(of).collect())
}

fn tier(name: &str) -> usize {
    ["_1m", "_5m", "_1h"].iter().position(|end| name.contains(end)).unwrap_or_default()
}
