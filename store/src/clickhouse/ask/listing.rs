//! Rows as statements, and pages of what comes back.

use super::columns::{Columns, cell, order};
use super::decode::Cell;
use super::{Asked, Parameters, wanted_rows};
use crate::query::{Cursor, Listing, Query, RowOrder, Rows, Value};

/// In front of the values that are shown stand the flow's end and id, by which rows are ordered,
/// and one row more than wanted tells whether there is another page.
pub(super) fn statement(columns: &Columns, query: &Query, listing: &Listing) -> Asked {
    let mut parameters = Parameters::default();
    let mut wanted = wanted_rows(columns, query, &mut parameters);
    let (end, id) = (columns.end(), columns.flow_id());
    let mut shown = vec![format!("{end} AS e"), format!("{id} AS i")];
    let mut cells = vec![Cell::Number, Cell::Number];
    let mut keys = vec!["e".to_owned(), "i".to_owned()];
    for (number, column) in listing.columns.iter().enumerate() {
        let alias = format!("c{number}");
        shown.push(format!("{} AS {alias}", columns.value(*column)));
        cells.push(cell(*column));
        keys.extend(order(*column, &alias));
    }
    let (direction, behind) = match listing.order {
        RowOrder::NewestFirst => ("DESC", "<"),
        RowOrder::OldestFirst => ("ASC", ">"),
        RowOrder::AsStored => ("", ""),
    };
    let mut seen = 0;
    if let Some(after) = listing.after {
        let Cursor { end_ms, flow_id, .. } = after;
        seen = after.seen;
        wanted = format!(
            "{wanted} AND ({end} {behind} {end_ms} OR {end} = {end_ms} AND {id} {behind}= {flow_id})"
        );
    }
    let mut text = format!("SELECT {} FROM {} WHERE {wanted}", shown.join(", "), columns.table());
    if !direction.is_empty() {
        let keys: Vec<_> = keys.iter().map(|key| format!("{key} {direction}")).collect();
        text = format!("{text} ORDER BY {}", keys.join(", "));
    }
    let limit = match listing.order {
        RowOrder::AsStored => listing.limit,
        _ => listing.limit.saturating_add(1),
    };
    let text = format!("{text} LIMIT {limit} OFFSET {seen}");
    Asked { statement: parameters.statement(text), cells, scans: 1 }
}

/// The page that the rows are, one of which may be too many.
pub(super) fn page(listing: &Listing, mut rows: Vec<Vec<Value>>) -> Rows {
    let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
    let is_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| is_more).and_then(|last| cursor(listing, last, &rows));
    let rows = rows.into_iter().map(shown).collect();
    Rows { rows, next }
}

/// What is wanted of a row.
pub(super) fn shown(row: Vec<Value>) -> Vec<Value> {
    row.into_iter().skip(2).collect()
}

fn cursor(listing: &Listing, last: &[Value], rows: &[Vec<Value>]) -> Option<Cursor> {
    let &[Value::Number(end_ms), Value::Number(flow_id), ..] = last else { return None };
    let alike = rows.iter().filter(|row| row.get(..2) == last.get(..2)).count() as u64;
    // A page may end where the one before has.
    let before = listing.after.filter(|after| (after.end_ms, after.flow_id) == (end_ms, flow_id));
    Some(Cursor { end_ms, flow_id, seen: alike + before.map_or(0, |after| after.seen) })
}
