//! What is asked.

use super::{Column, Predicate, Value};

/// The highest number that every store understands.
const MOST: u64 = i64::MAX.unsigned_abs();

/// A question about the flows of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub range: Range,
    /// Rows inserted later than this, in milliseconds since 1970, do not exist: what a first page
    /// has fixed for the pages behind it.
    pub as_of_ms: Option<u64>,
    pub filter: Predicate,
    pub wanted: Wanted,
    pub limits: Limits,
}

impl Query {
    /// Every row that passes, whole ([`Column::all_stored`]) and as it is stored, however many there
    /// are.
    pub fn rows(range: Range, filter: Predicate) -> Self {
        let listing = Listing {
            columns: Column::all_stored(),
            order: RowOrder::AsStored,
            limit: MOST,
            after: None,
        };
        let limits = Limits { rows: u64::MAX, ..Limits::default() };
        Self { range, as_of_ms: None, filter, wanted: Wanted::Rows(listing), limits }
    }
}

/// When flows ended (`flowEndMilliseconds`): from `since_ms`, up to but without `until_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub since_ms: u64,
    pub until_ms: u64,
}

impl Range {
    /// All times.
    pub const ALL: Self = Self { since_ms: 0, until_ms: MOST };

    pub fn contains(self, time_ms: u64) -> bool {
        (self.since_ms..self.until_ms).contains(&time_ms)
    }

    pub fn len_ms(self) -> u64 {
        self.until_ms.saturating_sub(self.since_ms)
    }
}

/// What one query may take; beyond it, it fails and says what to narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes held for groups, their names and the sets of what is distinct, or for a page.
    pub memory: usize,
    /// Rows looked at, whether they match or not.
    pub rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 512 << 20, rows: 2_000_000_000 }
    }
}

/// What the rows become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Rows(Listing),
    Groups(Grouping),
}

/// Rows as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    pub columns: Vec<Column>,
    pub order: RowOrder,
    /// At most so many rows. A page that is ordered has at most [`Self::MAX_PAGE`].
    pub limit: u64,
    /// Where the page before ended; for ordered rows.
    pub after: Option<Cursor>,
}

impl Listing {
    pub const MAX_PAGE: u64 = 10_000;
}

/// Rows are ordered by flow end, flow id and then the values that are shown, in the order of the
/// columns; all three ascending, or all three descending. Rows alike in all of this cannot be
/// told apart, so that the order is total as far as anyone can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    NewestFirst,
    OldestFirst,
    /// As they come, batch by batch: for exports. There is no next page.
    AsStored,
}

/// The end of a page: the next one begins behind it, whatever was inserted meanwhile (see
/// [`Query::as_of_ms`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Flow end and flow id of the last row.
    pub end_ms: u64,
    pub flow_id: u64,
    /// How many rows with this end and id the pages so far have shown.
    pub seen: u64,
}

/// Rows put together by what they have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// At most [`Self::MAX_KEYS`], at most one of them a time. Without any, all rows are one
    /// group, which is there even if there are no rows.
    pub keys: Vec<Key>,
    /// At most [`Self::MAX_AGGREGATES`].
    pub aggregates: Vec<Aggregate>,
    pub order: GroupOrder,
    /// How many *series* are shown: groups whose keys are equal, the time aside.
    pub limit: usize,
    /// Whether what the series that are not shown amount to is told.
    pub others: bool,
}

impl Grouping {
    pub const MAX_KEYS: usize = 8;
    pub const MAX_AGGREGATES: usize = 16;
    pub const MAX_SERIES: usize = 100_000;
    /// So many intervals, at most, does [`Key::Time`] cut the range into.
    pub const MAX_INTERVALS: u64 = 10_000;
}

/// What groups have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Column(Column),
    /// The interval of so many milliseconds, counted from 1970, in which flows ended; as a value,
    /// its beginning.
    Time {
        step_ms: u64,
    },
}

/// Which series come first, and so which are shown. Each series' intervals follow each other,
/// oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupOrder {
    /// By the keys, the time aside, in their order and ascending.
    Keys,
    /// By an aggregate, by its position, of the series over all of its intervals, the largest
    /// first or the smallest; then by the keys.
    Aggregate { index: usize, descending: bool },
}

/// What is computed of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    pub function: Function,
    /// Of those rows only; of all if there is none.
    pub only: Option<Predicate>,
}

impl From<Function> for Aggregate {
    fn from(function: Function) -> Self {
        Self { function, only: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Rows.
    Count,
    /// Of a [`super::Kind::Number`], modulo 2^64.
    Sum(Column),
    /// Sum per second: `sum as f64 * 1000.0 / milliseconds as f64`. The milliseconds are those of
    /// the query's range, or, of a group with a time, those its interval has in common with it.
    Rate(Column),
    /// The smallest number, port or time that is not absent; [`Value::None`] if there is none.
    Min(Column),
    Max(Column),
    /// How many different values are not absent; exact.
    Distinct(Column),
}

impl Function {
    pub fn column(self) -> Option<Column> {
        match self {
            Self::Count => None,
            Self::Sum(column)
            | Self::Rate(column)
            | Self::Min(column)
            | Self::Max(column)
            | Self::Distinct(column) => Some(column),
        }
    }

    /// The rate of a sum.
    pub fn rate(sum: u64, milliseconds: u64) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "defined as this rounding")]
        Value::Real(sum as f64 * 1000.0 / milliseconds as f64)
    }
}
