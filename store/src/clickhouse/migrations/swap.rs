//! The name of an older table.
//!
//! Whoever inserts into `flows` finds a table at any time: first the older one, then ours, which
//! refuses rows (252, too many parts, after which every writer tries again) until its feeds are
//! there. So every row is in the older table, or in ours with its sums.

use std::time::Duration;

use super::super::found::{Found, number};
use super::super::schema::Schema;
use super::super::{ClickHouseError, Client};
use super::MigrateError;
use super::older::{self, Older};

/// Where our table is until it has the name.
pub(super) const NEXT: &str = "fyke_next_flows";
/// How long an insert may go on that began before the name was ours.
const LAST_INSERTS: u64 = 60;

/// Gives our table the name; it takes no rows yet. Each step leaves something by which the next run
/// knows where to go on.
pub(super) async fn swap(
    client: &Client,
    schema: &Schema,
    older: &Older,
) -> Result<(), MigrateError> {
    let mut found = Found::read(client, &schema.place.database).await?;
    let (flows, next) = (schema.full("flows"), schema.full(NEXT));
    if !found.has_ours("flows") {
        // What a front cannot get rid of is told while nobody is refused yet.
        flush(client, schema, &found, "flows").await?;
        client.execute(schema.flows().close_as(NEXT)).await?;
        for view in older::views(&found) {
            client.execute(format!("DROP TABLE IF EXISTS {}", schema.full(view))).await?;
        }
        let swap = if found.has("flows") {
            format!("EXCHANGE TABLES {flows} AND {next}")
        } else {
            format!("RENAME TABLE {next} TO {flows}")
        };
        client.execute(swap).await?;
        found = Found::read(client, &schema.place.database).await?;
    }
    if found.has(NEXT) && !found.has_ours(NEXT) {
        if older.name == "flows" {
            let kept_as = schema.full(&older.kept_as);
            client.execute(format!("RENAME TABLE {next} TO {kept_as}")).await?;
        } else {
            // What stood in front of the table has no rows of its own, but for those on their way:
            // of inserts that go on, and those that wait for their server.
            wait_for_inserts(client).await?;
            flush(client, schema, &found, NEXT).await?;
            client.execute(format!("DROP TABLE IF EXISTS {next}")).await?;
        }
    }
    if older.name != "flows" && found.has(&older.name) {
        let (name, kept_as) = (schema.full(&older.name), schema.full(&older.kept_as));
        client.execute(format!("RENAME TABLE {name} TO {kept_as}")).await?;
    }
    for feed in schema.feeds() {
        client.execute(feed.create()).await?;
    }
    for view in schema.views() {
        client.execute(view.create()).await?;
    }
    Ok(())
}

/// Has a table in front of others send them the rows that it has. An error if one cannot be
/// reached: they are there alone.
async fn flush(
    client: &Client,
    schema: &Schema,
    found: &Found,
    name: &str,
) -> Result<(), ClickHouseError> {
    if found.get(name).is_none_or(|table| table.engine != "Distributed") {
        return Ok(());
    }
    client.execute(format!("SYSTEM FLUSH DISTRIBUTED {}", schema.full(name))).await
}

/// Inserts that began when the name was the older table's still go to that.
pub(super) async fn wait_for_inserts(client: &Client) -> Result<(), MigrateError> {
    for second in 0..LAST_INSERTS {
        let text = format!(
            "SELECT count() FROM system.processes WHERE query_kind = 'Insert' AND elapsed >= {second}"
        );
        if number(client, text).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(MigrateError::Inserts { seconds: LAST_INSERTS })
}
