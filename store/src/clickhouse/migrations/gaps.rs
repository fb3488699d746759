//! Roll-ups that do not know every flow: rows came while what fills them was not there.
//!
//! They keep what they have. Each says since when it knows every flow, and is asked once `flows`
//! has no older ones.

use super::super::found::{Found, FoundTable, number};
use super::super::schema::{RECORDS, Schema, Table, since};
use super::super::{ClickHouseError, Client};

/// While nobody knows yet.
const NEVER: u64 = u32::MAX as u64;

/// Tables whose feed, or that of what they are made of, is not there though rows may come.
pub(super) fn find(schema: &Schema, found: &Found) -> Vec<Table> {
    if found.get(&schema.flows().name).is_none_or(FoundTable::is_closed) {
        return Vec::new();
    }
    let is_waiting = |table: &Table| {
        let records = found.get(&table.name).and_then(|there| there.column(RECORDS));
        records.is_some_and(|records| since(&records.comment) == NEVER)
    };
    let mut gaps = Vec::new();
    for tiers in schema.fed() {
        let mut is_fed = true;
        for (table, feed) in tiers {
            is_fed &= found.has(&feed.name);
            // A run before this may have come no further.
            if !is_fed || is_waiting(&table) {
                gaps.push(table);
            }
        }
    }
    gaps
}

/// Before the feeds are made, so that nobody takes the tables for whole meanwhile.
pub(super) async fn open(client: &Client, gaps: &[Table]) -> Result<(), ClickHouseError> {
    for table in gaps {
        client.execute(table.tell_since(NEVER)).await?;
    }
    Ok(())
}

/// When they are there.
pub(super) async fn close(client: &Client, gaps: &[Table]) -> Result<(), ClickHouseError> {
    if gaps.is_empty() {
        return Ok(());
    }
    let now = number(client, "SELECT toUnixTimestamp(now())").await?;
    for table in gaps {
        client.execute(table.tell_since(now)).await?;
    }
    Ok(())
}
