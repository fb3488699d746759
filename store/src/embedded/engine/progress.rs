//! How far a query is, and when it must stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::query::{AskError, Limits};

/// How far a query is, for others to see, and whether they want it to go on. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    rows: AtomicU64,
    bytes: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// Rows looked at.
    pub fn rows(&self) -> u64 {
        self.0.rows.load(Relaxed)
    }

    /// Bytes read from files.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    /// Stops the query at its next batch of rows.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Relaxed);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Relaxed)
    }

    pub(super) fn add_bytes(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Relaxed);
    }
}

/// What the threads of one query share.
#[derive(Debug)]
pub(super) struct Control {
    pub progress: Progress,
    limits: Limits,
    memory: AtomicUsize,
}

impl Control {
    pub(super) fn new(progress: Progress, limits: Limits) -> Self {
        Self { progress, limits, memory: AtomicUsize::new(0) }
    }

    pub(super) fn check(&self) -> Result<(), AskError> {
        if self.progress.is_cancelled() { Err(AskError::Cancelled) } else { Ok(()) }
    }

    /// Counts rows that are going to be looked at.
    pub(super) fn add_rows(&self, rows: u64) -> Result<(), AskError> {
        let before = self.progress.0.rows.fetch_add(rows, Relaxed);
        if before.saturating_add(rows) > self.limits.rows {
            return Err(AskError::Rows { limit: self.limits.rows });
        }
        self.check()
    }

    /// Tells how much a thread holds now, in the place of `told`, what it has told before.
    pub(super) fn hold(&self, told: &mut usize, bytes: usize) -> Result<(), AskError> {
        let before = std::mem::replace(told, bytes);
        // Wrapping: the sum of what all threads have told is never negative.
        let change = bytes.wrapping_sub(before);
        let all = self.memory.fetch_add(change, Relaxed).wrapping_add(change);
        if all > self.limits.memory {
            return Err(AskError::Memory { limit: self.limits.memory });
        }
        Ok(())
    }
}
