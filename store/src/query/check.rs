//! Whether a query makes sense.

use super::{
    Aggregate, Column, Comparison, Condition, Function, GroupOrder, Grouping, Key, Kind, Listing,
    Predicate, Query, RowOrder, Wanted,
};

/// Levels a filter may have.
const MAX_DEPTH: usize = 128;
/// Conditions a filter may have.
const MAX_CONDITIONS: usize = 4_000;
/// Items all lists of a filter may have together.
const MAX_ITEMS: usize = 20_000;
/// Bytes of one text in a filter.
const MAX_TEXT: usize = 16 << 10;

/// Why a query is refused before it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("the time range is empty or goes beyond what a clock can show")]
    Range,
    #[error("{what} does not apply to the column {column}")]
    Kind { what: &'static str, column: Column },
    #[error("the columns {left} and {right} cannot be compared like this")]
    Columns { left: Column, right: Column },
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: u64 },
    #[error("no {what}")]
    Nothing { what: &'static str },
    #[error("groups cannot be ordered by aggregate {index}: there are {aggregates}")]
    Order { index: usize, aggregates: usize },
    #[error("rows without an order have no next page")]
    Cursor,
}

impl Query {
    /// Refuses what has no meaning. Whoever answers queries asks this first.
    pub fn check(&self) -> Result<(), QueryError> {
        let end_of_time = u64::try_from(i64::MAX).unwrap_or(u64::MAX);
        if self.range.since_ms >= self.range.until_ms || self.range.until_ms > end_of_time {
            return Err(QueryError::Range);
        }
        check_filter(&self.filter)?;
        match &self.wanted {
            Wanted::Rows(listing) => check_listing(listing),
            Wanted::Groups(grouping) => self.check_grouping(grouping),
        }
    }

    fn check_grouping(&self, grouping: &Grouping) -> Result<(), QueryError> {
        at_most("group keys", Grouping::MAX_KEYS as u64, grouping.keys.len() as u64)?;
        at_most("aggregates", Grouping::MAX_AGGREGATES as u64, grouping.aggregates.len() as u64)?;
        at_most("series", Grouping::MAX_SERIES as u64, grouping.limit as u64)?;
        some("aggregate", grouping.aggregates.len() as u64)?;
        some("series", grouping.limit as u64)?;
        let mut times = 0;
        for key in &grouping.keys {
            if let Key::Time { step_ms } = *key {
                times += 1;
                some("length of an interval", step_ms)?;
                let intervals = self.range.len_ms() / step_ms.max(1);
                at_most("intervals", Grouping::MAX_INTERVALS, intervals)?;
            }
        }
        at_most("times among the group keys", 1, times)?;
        grouping.aggregates.iter().try_for_each(check_aggregate)?;
        match grouping.order {
            GroupOrder::Aggregate { index, .. } if index >= grouping.aggregates.len() => {
                Err(QueryError::Order { index, aggregates: grouping.aggregates.len() })
            }
            _ => Ok(()),
        }
    }
}

fn check_listing(listing: &Listing) -> Result<(), QueryError> {
    some("column", listing.columns.len() as u64)?;
    some("row", listing.limit)?;
    at_most("columns", 256, listing.columns.len() as u64)?;
    if listing.order != RowOrder::AsStored {
        at_most("rows on a page", Listing::MAX_PAGE, listing.limit)?;
    } else if listing.after.is_some() {
        return Err(QueryError::Cursor);
    }
    Ok(())
}

fn check_aggregate(aggregate: &Aggregate) -> Result<(), QueryError> {
    if let Some(only) = &aggregate.only {
        check_filter(only)?;
    }
    match aggregate.function {
        Function::Count | Function::Distinct(_) => Ok(()),
        Function::Sum(column) | Function::Rate(column) => {
            applies("a sum", column, column.kind() == Kind::Number)
        }
        Function::Min(column) | Function::Max(column) => {
            applies("a smallest or largest value", column, column.kind().is_numeric())
        }
    }
}

fn check_filter(filter: &Predicate) -> Result<(), QueryError> {
    at_most("levels in a filter", MAX_DEPTH as u64, filter.depth() as u64)?;
    let mut conditions = 0;
    let mut items = 0;
    for condition in filter.conditions() {
        conditions += 1;
        at_most("conditions", MAX_CONDITIONS as u64, conditions)?;
        items += check_condition(condition)?;
        at_most("items in lists", MAX_ITEMS as u64, items as u64)?;
    }
    Ok(())
}

/// Returns how many items it lists.
fn check_condition(condition: &Condition) -> Result<usize, QueryError> {
    match condition {
        Condition::Has(_) => Ok(1),
        Condition::Number { column, .. } => {
            applies("a comparison with a number", *column, column.kind().is_numeric()).map(|()| 1)
        }
        Condition::NumberIn { column, values } => {
            applies("a list of numbers", *column, column.kind().is_numeric())?;
            Ok(values.len())
        }
        Condition::AddressIn { column, ranges } => {
            applies("a list of addresses", *column, column.kind() == Kind::Address)?;
            Ok(ranges.len())
        }
        Condition::Text { column, test } => {
            applies("a condition on text", *column, column.kind() == Kind::Text)?;
            let (length, items) = test.size();
            at_most("bytes in a text", MAX_TEXT as u64, length as u64)?;
            Ok(items)
        }
        Condition::HasLabel { column, key } => {
            applies("a condition on labels", *column, column.kind() == Kind::Labels)?;
            at_most("bytes in a text", MAX_TEXT as u64, key.len() as u64)?;
            Ok(1)
        }
        Condition::Label { column, key, test } => {
            applies("a condition on labels", *column, column.kind() == Kind::Labels)?;
            let (length, items) = test.size();
            at_most("bytes in a text", MAX_TEXT as u64, length.max(key.len()) as u64)?;
            Ok(items)
        }
        Condition::Columns { left, comparison, right } => {
            let ordered = *comparison != Comparison::Equal;
            let comparable =
                left.kind().compares_with(right.kind()) && (!ordered || left.kind().is_numeric());
            if comparable { Ok(1) } else { Err(QueryError::Columns { left: *left, right: *right }) }
        }
    }
}

fn applies(what: &'static str, column: Column, applies: bool) -> Result<(), QueryError> {
    if applies { Ok(()) } else { Err(QueryError::Kind { what, column }) }
}

fn at_most(what: &'static str, limit: u64, found: u64) -> Result<(), QueryError> {
    if found > limit { Err(QueryError::TooMany { what, limit }) } else { Ok(()) }
}

fn some(what: &'static str, found: u64) -> Result<(), QueryError> {
    if found == 0 { Err(QueryError::Nothing { what }) } else { Ok(()) }
}
