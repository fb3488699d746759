//! What comes back.

use super::{Cursor, QueryError, Value};
use crate::StoreError;
use crate::clickhouse::ClickHouseError;

/// The answer to a [`super::Query`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Rows(Rows),
    Groups(Groups),
}

/// Rows, in the order that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// The values of the columns that were asked for, in their order.
    pub rows: Vec<Vec<Value>>,
    /// Where to go on, if there is more.
    pub next: Option<Cursor>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Groups {
    /// Series by series. Intervals without rows are not among them.
    pub groups: Vec<Group>,
    /// What the other series amount to: one group, or one an interval; those keys that are not
    /// times are missing. Empty unless asked for, and if there are no other series.
    pub others: Vec<Group>,
    /// How many series are not shown.
    pub folded: u64,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub keys: Vec<Value>,
    /// The aggregates, in their order.
    pub values: Vec<Value>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Server(#[from] ClickHouseError),
    #[error("the query was cancelled")]
    Cancelled,
    #[error(
        "the query looks at more than {limit} rows; ask for a shorter time, or for less, such as one namespace"
    )]
    Rows { limit: u64 },
    #[error(
        "the query needs more than {limit} bytes of memory; ask for a shorter time, group by less, or count fewer different things"
    )]
    Memory { limit: usize },
}
