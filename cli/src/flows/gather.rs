//! Records become flows, wherever they are stored.

use std::collections::HashSet;

use anyhow::ensure;
use store::query::{
    Answer, Column, Comparison, Condition, Listing, Predicate, Query, Range, RowOrder, Value,
    Wanted, row_of,
};
use store::{Flow, Flows, TIME_INSERTED};

use crate::store::Source;

/// So many flows are put together for one answer.
const MAX_FLOWS: usize = 5_000_000;
/// Up to so many flows are looked for from the newest on; for more, all rows are read.
const MAX_SOUGHT: usize = 10_000;
/// Rows that are looked at for flows at a time, at least.
const PAGE: usize = 1_000;
/// Every record of a flow ends after the flow began, as the clock of one of its Nodes told; that
/// clock may have been set, by no more than this, in milliseconds.
const CLOCKS_MS: u64 = 3_600_000;
const STARTS: [&str; 3] = [
    "flowStartMilliseconds",
    "flowStartMillisecondsFromSourceNode",
    "flowStartMillisecondsFromDestinationNode",
];

/// Which flows are wanted.
#[derive(Debug)]
pub(super) struct Asked {
    /// Of records stored since then, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// At least one of a flow's records passes.
    pub filter: Predicate,
    /// The newest so many.
    pub limit: usize,
}

/// Flows, newest first.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub flows: Vec<Flow>,
    /// Whether the limit has left out others.
    pub is_cut: bool,
}

/// Flows that have been found, and when the first of them began.
#[derive(Debug, Default)]
struct Found {
    ids: HashSet<u64>,
    since_ms: u64,
    is_cut: bool,
}

impl Asked {
    /// Puts flows together from all of their records in the time asked for: what a record lacks,
    /// such as a Pod not yet known, does not make its deltas missing. Therefore rows are read
    /// twice, first to see which flows there are.
    pub(super) fn gather(&self, source: &Source) -> anyhow::Result<Gathered> {
        let found = if self.limit <= MAX_SOUGHT {
            Some(self.newest(source)?)
        } else if self.filter == Predicate::TRUE {
            None
        } else {
            Some(self.all(source)?)
        };
        let (mut flows, mut is_cut) = (self.flows(source, found.as_ref())?.newest_first(), false);
        if let Some(found) = found {
            is_cut = found.is_cut;
        }
        is_cut |= flows.len() > self.limit;
        flows.truncate(self.limit);
        Ok(Gathered { flows, is_cut })
    }

    /// The flows whose records end last. Each page leaves out the flows of those before it.
    fn newest(&self, source: &Source) -> anyhow::Result<Found> {
        let mut ids = Vec::new();
        let mut found = Found { since_ms: Range::ALL.until_ms, ..Found::default() };
        loop {
            let others = (!ids.is_empty()).then(|| !one_of(&ids));
            let limit = (self.limit + 1 - ids.len()).clamp(PAGE, MAX_SOUGHT);
            let columns = [Column::FLOW_ID].into_iter().chain(STARTS);
            let listing = Listing {
                columns: columns.filter_map(Column::by_name).collect(),
                order: RowOrder::NewestFirst,
                limit: limit as u64,
                after: None,
            };
            let query = Query::rows(Range::ALL, self.matching(others));
            let query = Query { wanted: Wanted::Rows(listing), ..query };
            let Answer::Rows(page) = source.ask(&query)? else { break };
            for row in &page.rows {
                let [Value::Number(id), starts @ ..] = row.as_slice() else { continue };
                if ids.len() > self.limit && !found.ids.contains(id) {
                    break;
                }
                if found.ids.insert(*id) {
                    ids.push(*id);
                }
                found.since_ms = found.since_ms.min(first(starts));
            }
            if page.next.is_none() || ids.len() > self.limit {
                break;
            }
        }
        if let Some(next) = ids.get(self.limit) {
            found.is_cut = found.ids.remove(next);
        }
        Ok(found)
    }

    /// All flows, however many.
    fn all(&self, source: &Source) -> anyhow::Result<Found> {
        let mut found = Found::default();
        let mut query = Query::rows(Range::ALL, self.matching(None));
        if let Wanted::Rows(listing) = &mut query.wanted {
            listing.columns = Column::by_name(Column::FLOW_ID).into_iter().collect();
        }
        source.rows(&query, &mut |rows| {
            found.ids.extend(rows.iter().flatten().filter_map(number));
            within_limit(found.ids.len())
        })?;
        Ok(found)
    }

    /// Reads all records of the flows that were found, or of all there are.
    fn flows(&self, source: &Source, found: Option<&Found>) -> anyhow::Result<Flows> {
        let mut flows = Flows::default();
        let (mut range, mut wanted) = (Range::ALL, Vec::new());
        wanted.extend(self.recorded());
        if let Some(found) = found {
            if found.ids.is_empty() {
                return Ok(flows);
            }
            range.since_ms = found.since_ms.saturating_sub(CLOCKS_MS);
            if found.ids.len() <= MAX_SOUGHT {
                let ids: Vec<_> = found.ids.iter().copied().collect();
                wanted.push(one_of(&ids));
            }
        }
        let columns = Column::all_stored();
        source.rows(&Query::rows(range, Predicate::And(wanted)), &mut |rows| {
            for values in rows {
                let row = row_of(&columns, &values)
                    .map_err(|column| anyhow::anyhow!("{column} cannot have its value"))?;
                if found.is_none_or(|found| found.ids.contains(&row.record.flow_id)) {
                    flows.add(row);
                }
            }
            within_limit(flows.len())
        })?;
        Ok(flows)
    }

    fn matching(&self, others: Option<Predicate>) -> Predicate {
        let filter = std::iter::once(self.filter.clone());
        Predicate::And(self.recorded().into_iter().chain(filter).chain(others).collect())
    }

    fn recorded(&self) -> Option<Predicate> {
        let (column, value) = (Column::by_name(TIME_INSERTED)?, self.since_ms?);
        let comparison = Comparison::GreaterOrEqual;
        Some(Condition::Number { column, comparison, value }.into())
    }
}

fn one_of(ids: &[u64]) -> Predicate {
    let values = ids.to_vec();
    let one_of = |column| Condition::NumberIn { column, values }.into();
    Column::by_name(Column::FLOW_ID).map_or(Predicate::TRUE, one_of)
}

fn number(value: &Value) -> Option<u64> {
    if let Value::Number(number) = value { Some(*number) } else { None }
}

/// When a flow began, of what is told of that.
fn first(starts: &[Value]) -> u64 {
    starts.iter().filter_map(number).filter(|start| *start > 0).min().unwrap_or(0)
}

fn within_limit(flows: usize) -> anyhow::Result<()> {
    ensure!(
        flows <= MAX_FLOWS,
        "more than {MAX_FLOWS} flows; ask for a shorter time or for less, such as one namespace"
    );
    Ok(())
}
