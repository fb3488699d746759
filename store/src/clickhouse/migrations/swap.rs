//! The name of an older table.
//!
//! Whoever inserts into `flows` finds a table at any time: first the older one, then ours, which
//! refuses rows (252, too many parts, after which every writer tries again) until its feeds are
//! there. So every row is in the older table, or in ours with its sums.

use super::super::found::Found;
use super::super::schema::Schema;
use super::super::{ClickHouseError, Client};
use super::older::{self, Older};

/// Where our table is until it has the name.
pub(super) const NEXT: &str = "fyke_next_flows";

/// Gives our table the name; it takes no rows yet. Each step leaves something by which the next run
/// knows where to go on.
pub(super) async fn swap(
    client: &Client,
    schema: &Schema,
    older: &Older,
) -> Result<(), ClickHouseError> {
    let mut found = Found::read(client, &schema.place.database).await?;
    let (flows, next) = (schema.full("flows"), schema.full(NEXT));
    if !found.has_ours("flows") {
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
            // What stood in front of the table has no rows of its own, but for those on their way.
            if found.get(NEXT).is_some_and(|it| it.engine == "Distributed") {
                client.execute(format!("SYSTEM FLUSH DISTRIBUTED {next}")).await?;
            }
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
