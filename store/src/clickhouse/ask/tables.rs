//! Which table an answer comes from: the flows, or one of their roll-ups.

use std::collections::{HashMap, HashSet};

use flow::{RollUp, TIME_INSERTED};

use super::columns::{Columns, LAST_SECOND};
use crate::clickhouse::schema::Tier;
use crate::clickhouse::{ClickHouseError, Client};
use crate::query::{Query, Wanted};

/// What can be asked.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) flows: Columns,
    /// Those that know of every flow that the table has: what is cheapest to read first.
    sums: Vec<Sums>,
}

#[derive(Debug, Clone)]
struct Sums {
    columns: Columns,
    roll_up: &'static RollUp,
    step_ms: u64,
}

impl Tables {
    pub(super) async fn find(client: &Client) -> Result<Self, ClickHouseError> {
        let mut found = known(client).await?;
        let mut columns =
            |name: &str| found.remove(name).map(|columns| Columns::new(name.to_owned(), columns));
        let flows = columns("flows")
            .unwrap_or_else(|| Columns::new("flows".to_owned(), HashSet::default()));
        let tiers = Tier::ALL.into_iter().rev();
        let all = tiers.flat_map(|tier| RollUp::ALL.iter().map(move |roll_up| (tier, roll_up)));
        let sums: Vec<_> = all
            .filter_map(|(tier, roll_up)| {
                let columns = columns(&tier.table(roll_up))?;
                let is_whole = columns.records().is_some() && columns.has(TIME_INSERTED);
                is_whole.then_some(Sums { columns, roll_up, step_ms: tier.step_ms() })
            })
            .collect();
        let sums = if flows.has(TIME_INSERTED) { complete(client, sums).await? } else { vec![] };
        Ok(Self { flows, sums })
    }

    /// The coarsest sums that have all that the query is about and whose steps fit into its times,
    /// of several the fewest; else the flows.
    pub(super) fn serving(&self, query: &Query) -> &Columns {
        let serving = self.sums.iter().find(|sums| sums.serve(query));
        serving.map_or(&self.flows, |sums| &sums.columns)
    }
}

impl Sums {
    fn serve(&self, query: &Query) -> bool {
        let Wanted::Groups(grouping) = &query.wanted else { return false };
        let keys = self.roll_up.keys();
        let is_key = |name| self.columns.has(name) && keys.iter().any(|key| key.name() == name);
        let is_summed =
            |name| self.columns.has(name) && RollUp::sums().any(|field| field.name == name);
        // Flows that end later are told as ending in the last step there is.
        let last_ms = LAST_SECOND * 1000 / self.step_ms * self.step_ms;
        query.as_of_ms.is_none()
            && query.range.is_of_steps(self.step_ms)
            && query.range.until_ms <= last_ms
            && grouping.step_ms().is_none_or(|step| step.is_multiple_of(self.step_ms))
            && grouping.lacking(&query.filter, is_key, is_summed).is_none()
    }
}

/// The columns of `flows` and of what may be its roll-ups.
async fn known(client: &Client) -> Result<HashMap<String, HashSet<String>>, ClickHouseError> {
    let rows = client
        .rows(
            "SELECT table, name FROM system.columns WHERE database = currentDatabase() \
             AND (table = 'flows' OR table LIKE 'flows\\_%')",
        )
        .await?;
    let mut found: HashMap<_, HashSet<_>> = HashMap::new();
    for row in rows {
        if let Ok([table, name]) = <[String; 2]>::try_from(row) {
            found.entry(table).or_default().insert(name);
        }
    }
    Ok(found)
}

/// Those that were there before the first of the rows that `flows` still has: one that was made
/// later, or has lost more, does not know all flows. Fewest rows of a step first.
async fn complete(client: &Client, sums: Vec<Sums>) -> Result<Vec<Sums>, ClickHouseError> {
    // Of the beginning of the hour, which is what roll-ups tell. The server knows it by heart.
    let about = |table: &str| {
        format!(
            "SELECT '{table}', toUnixTimestamp(toStartOfHour(min({TIME_INSERTED}), 'UTC')), \
             count() FROM {table}"
        )
    };
    let names = sums.iter().map(|sums| sums.columns.table());
    let statements: Vec<_> = ["flows"].into_iter().chain(names).map(about).collect();
    let rows = client.rows(statements.join(" UNION ALL ")).await?;
    let numbers = |row: Vec<String>| {
        let [table, first, count] = <[String; 3]>::try_from(row).ok()?;
        Some((table, (first.parse::<u64>().ok()?, count.parse::<u64>().ok()?)))
    };
    let found: HashMap<_, _> = rows.into_iter().filter_map(numbers).collect();
    let of = |table: &str| found.get(table).copied().filter(|(_, count)| *count > 0);
    let begun = of("flows").map_or(u64::MAX, |(first, _)| first);
    let is_complete = |sums: Sums| {
        let (first, count) = of(sums.columns.table())?;
        (first <= begun).then_some((count, sums))
    };
    let mut complete: Vec<_> = sums.into_iter().filter_map(is_complete).collect();
    complete.sort_by_key(|(count, sums)| (std::cmp::Reverse(sums.step_ms), *count));
    Ok(complete.into_iter().map(|(_, sums)| sums).collect())
}
