//! Which table an answer comes from: the flows, or one of their roll-ups.

use std::collections::{HashMap, HashSet};

use flow::{RollUp, TIME_INSERTED};

use super::columns::{Columns, LAST_SECOND};
use crate::clickhouse::schema::{RECORDS, Tier, since};
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
    /// In seconds since 1970: flows before that it may not know.
    since: u64,
}

impl Tables {
    pub(super) async fn find(client: &Client) -> Result<Self, ClickHouseError> {
        let known = known(client).await?;
        let columns = |name: &str| {
            let columns = known.columns.get(name)?.clone();
            Some(Columns::new(name.to_owned(), columns))
        };
        let flows = columns("flows")
            .unwrap_or_else(|| Columns::new("flows".to_owned(), HashSet::default()));
        let tiers = Tier::ALL.into_iter().rev();
        let all = tiers.flat_map(|tier| RollUp::ALL.iter().map(move |roll_up| (tier, roll_up)));
        let sums: Vec<_> = all
            .filter_map(|(tier, roll_up)| {
                let name = tier.table(roll_up);
                let columns = columns(&name)?;
                let is_whole = columns.records().is_some() && columns.has(TIME_INSERTED);
                let since = known.since(&name);
                let sums = Sums { columns, roll_up, step_ms: tier.step_ms(), since };
                (is_whole && known.is_fed(tier, roll_up)).then_some(sums)
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

/// What the server says of `flows` and of what may be its roll-ups.
#[derive(Debug, Default)]
struct Known {
    columns: HashMap<String, HashSet<String>>,
    /// Of tables that say since when they know every flow.
    since: HashMap<String, u64>,
}

impl Known {
    /// On many servers the tables behind say it.
    fn since(&self, name: &str) -> u64 {
        let said = [name, &format!("{name}_local")].map(|name| self.since.get(name).copied());
        said.into_iter().flatten().max().unwrap_or_default()
    }

    /// Whether rows come to a roll-up, and to those it is made of.
    fn is_fed(&self, tier: Tier, roll_up: &RollUp) -> bool {
        let tiers = std::iter::successors(Some(tier), |tier| tier.finer());
        tiers.map(|tier| tier.feed(roll_up)).all(|feed| self.columns.contains_key(&feed))
    }
}

async fn known(client: &Client) -> Result<Known, ClickHouseError> {
    let rows = client
        .rows(
            "SELECT table, name, comment FROM system.columns WHERE database = currentDatabase() \
             AND (table = 'flows' OR table LIKE 'flows\\_%')",
        )
        .await?;
    let mut known = Known::default();
    for row in rows {
        if let Ok([table, name, comment]) = <[String; 3]>::try_from(row) {
            if name == RECORDS {
                known.since.insert(table.clone(), since(&comment));
            }
            known.columns.entry(table).or_default().insert(name);
        }
    }
    Ok(known)
}

/// Those that were there before the first of the rows that `flows` still has: one that was made
/// later, or has lost more, does not know all flows, nor does one that says so. Fewest rows of a
/// step first.
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
        (first <= begun && sums.since < begun).then_some((count, sums))
    };
    let mut complete: Vec<_> = sums.into_iter().filter_map(is_complete).collect();
    complete.sort_by_key(|(count, sums)| (std::cmp::Reverse(sums.step_ms), *count));
    Ok(complete.into_iter().map(|(_, sums)| sums).collect())
}
