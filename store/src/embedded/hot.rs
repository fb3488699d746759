//! Rows that wait to be written, for who asks in the same process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;

use super::waiting::Waiting;
use crate::StoreError;

/// Sees the rows that a writer of this process holds. What it has seen once stays seen: rows go
/// from here into files, and [`Snapshot::from`] tells which files have them.
#[derive(Debug, Clone)]
pub struct Hot {
    waiting: Arc<Mutex<Waiting>>,
}

/// Rows that were not yet in a file at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// With the columns of [`super::schema`].
    pub batches: Vec<RecordBatch>,
    /// Files with this number and higher ones hold these rows, or such as came later. Who lists
    /// the files after this snapshot was taken and leaves those out sees every row once.
    pub from: u64,
}

impl Hot {
    pub(crate) fn new(waiting: Arc<Mutex<Waiting>>) -> Self {
        Self { waiting }
    }

    /// Copies what is being collected; batches that are complete are shared.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        lock(&self.waiting).snapshot()
    }
}

/// Whoever panicked with it left whole rows behind, or none.
pub(crate) fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
