//! What a sink to ClickHouse has done.

use store::clickhouse::Reason;

/// What a [`super::ClickHouseSink`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClickHouseCounters {
    /// Blocks that the server has.
    pub inserts: u64,
    /// Rows in them.
    pub rows: u64,
    /// Attempts that failed, by reason, in the order of [`Reason::ALL`].
    pub failures: [u64; Reason::ALL.len()],
    /// Rows of attempts of which nobody knows whether the server has them, and that were repeated
    /// at a table that does not notice: they may be there twice.
    pub rows_in_doubt: u64,
    /// Rows that the table never takes.
    pub rows_refused: u64,
    /// Rows without a value that has no column.
    pub rows_short: u64,
    /// Times that could not be noted which records are on their way.
    pub note_failures: u64,
}

impl ClickHouseCounters {
    pub(super) fn failed(&mut self, reason: Reason) {
        let all = Reason::ALL.iter().zip(&mut self.failures);
        all.filter(|(it, _)| **it == reason).for_each(|(_, count)| *count += 1);
    }

    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.failures)
    }
}
