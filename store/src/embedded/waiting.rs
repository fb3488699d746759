//! Rows that wait to be written: being collected, or complete batches.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use flow::FlowRecord;

use super::columns::{Columns, stored_time};
use super::hot::Snapshot;
use super::layout::{LAST_MS, Scope};
use super::names::Label;
use super::{Mark, WriterOptions};
use crate::StoreError;

/// What a writer holds.
#[derive(Debug)]
pub(crate) struct Waiting {
    options: WriterOptions,
    columns: Columns,
    /// Where the rows in `columns` belong.
    scope: Scope,
    /// When they were inserted, and when their flows ended: both included.
    inserted: (u64, u64),
    ends: (u64, u64),
    /// When the oldest row that waits, sealed or not, was inserted.
    oldest_ms: Option<u64>,
    sealed: VecDeque<Arc<Sealed>>,
    /// Behind the rows in `columns`.
    marked: Option<Mark>,
    /// The number of the batch that is being collected.
    next: u64,
}

/// Rows that will be one file.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub batch: RecordBatch,
    pub scope: Scope,
    pub label: Label,
    pub mark: Option<Mark>,
    text: usize,
}

impl Waiting {
    pub(crate) fn new(options: WriterOptions, next: u64) -> Self {
        Self {
            options,
            columns: Columns::new(),
            scope: Scope::hour_of(0),
            inserted: (0, 0),
            ends: (0, 0),
            oldest_ms: None,
            sealed: VecDeque::new(),
            marked: None,
            next,
        }
    }

    pub(crate) fn mark(&mut self, mark: Mark) {
        self.marked = Some(mark);
    }

    pub(crate) fn rows(&self) -> usize {
        self.sealed.iter().map(|sealed| sealed.batch.num_rows()).sum::<usize>()
            + self.columns.rows()
    }

    fn text(&self) -> usize {
        self.sealed.iter().map(|sealed| sealed.text).sum::<usize>() + self.columns.text()
    }

    /// Takes all of `records`, as inserted at `now_ms`, or none of them.
    pub(crate) fn append(&mut self, records: &[FlowRecord], now_ms: u64) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let waiting = self.rows();
        if waiting + records.len() > self.options.max_rows || self.text() > self.options.max_text {
            return Err(StoreError::Full { waiting, records: records.len() });
        }
        let now_ms = now_ms.min(LAST_MS);
        let scope = Scope::hour_of(now_ms);
        if scope != self.scope || self.columns.rows() >= self.options.flush_rows {
            self.seal()?;
            self.scope = scope;
        }
        if self.columns.rows() == 0 {
            (self.inserted, self.ends) = ((now_ms, now_ms), (u64::MAX, 0));
        }
        self.inserted = widened(self.inserted, now_ms);
        let end = |record: &FlowRecord| stored_time(record.end_ms);
        self.ends = records.iter().map(end).fold(self.ends, widened);
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
        self.columns.append(records, now_ms);
        Ok(())
    }

    pub(crate) fn due(&self, now_ms: u64) -> bool {
        let Some(oldest_ms) = self.oldest_ms else { return false };
        // The distance, not the difference: a clock that was set back must not delay the flush.
        u128::from(now_ms.abs_diff(oldest_ms)) >= self.options.flush_age.as_millis()
            || self.rows() >= self.options.flush_rows
            || self.text() >= self.options.max_text / 4
    }

    /// Closes the batch that is being collected.
    pub(crate) fn seal(&mut self) -> Result<(), StoreError> {
        let rows = self.columns.rows();
        if rows == 0 {
            return Ok(());
        }
        let text = self.columns.text();
        let label = Label {
            numbers: (self.next, self.next),
            rows: rows as u64,
            inserted: self.inserted,
            ends: self.ends,
        };
        let batch = self.columns.take()?;
        self.next += 1;
        let (scope, mark) = (self.scope, self.marked);
        self.sealed.push_back(Arc::new(Sealed { batch, scope, label, mark, text }));
        Ok(())
    }

    /// What is to be written first.
    pub(crate) fn first(&self) -> Option<Arc<Sealed>> {
        self.sealed.front().cloned()
    }

    /// What was to be written first has been.
    pub(crate) fn written(&mut self) {
        self.sealed.pop_front();
        let sealed = self.sealed.iter().map(|sealed| sealed.label.inserted.0).min();
        let collected = (self.columns.rows() > 0).then_some(self.inserted.0);
        self.oldest_ms = sealed.into_iter().chain(collected).min();
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut batches: Vec<_> = self.sealed.iter().map(|sealed| sealed.batch.clone()).collect();
        if self.columns.rows() > 0 {
            batches.push(self.columns.clone().take()?);
        }
        let first = self.sealed.front().map(|sealed| sealed.label.numbers.0);
        Ok(Snapshot { batches, from: first.unwrap_or(self.next) })
    }
}

fn widened((from, to): (u64, u64), value: u64) -> (u64, u64) {
    (from.min(value), to.max(value))
}
