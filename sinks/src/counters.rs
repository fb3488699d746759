//! What became of the records that a sink was given.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts records, except where it says otherwise. Whoever runs the sink exports them.
///
/// Every record that was `given` is in exactly one of `delivered`, `queue_full`, `spool_full`,
/// `unreadable`, `refused` and `abandoned`, or waits.
#[derive(Debug, Default)]
pub struct DeliveryCounters {
    /// Meant for the sink.
    pub given: AtomicU64,
    /// Durable at the far end.
    pub delivered: AtomicU64,
    /// Taken by the sink and not yet durable; goes down again.
    pub held: AtomicU64,
    /// Lost: there was no room in the queue.
    pub queue_full: AtomicU64,
    /// Lost: dropped from the spool, whose limit was reached.
    pub spool_full: AtomicU64,
    /// Lost: damaged in the spool, or not there since the disk was full when the sink was behind.
    pub unreadable: AtomicU64,
    /// Lost: the far end refused them for good.
    pub refused: AtomicU64,
    /// Lost: the far end was still away when the sink had to end.
    pub abandoned: AtomicU64,
    /// Read back from the spool.
    pub replayed: AtomicU64,
    /// Attempts that failed and were, or will be, repeated.
    pub retries: AtomicU64,
}

// One task delivers to a sink, and it alone changes `held`: no step here can be overtaken.
impl DeliveryCounters {
    /// Records that were given and of which nobody knows yet what becomes of them.
    pub fn waiting(&self) -> u64 {
        // What becomes of a record is counted after it was given: read in the opposite order, the
        // difference is never negative.
        let done = self.delivered.load(Ordering::Relaxed) + self.lost();
        self.given.load(Ordering::Relaxed).saturating_sub(done)
    }

    /// Records that are lost to this sink.
    pub fn lost(&self) -> u64 {
        let lost =
            [&self.queue_full, &self.spool_full, &self.unreadable, &self.refused, &self.abandoned];
        lost.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn taken(&self, records: usize) {
        self.held.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(crate) fn holds_any(&self) -> bool {
        self.held.load(Ordering::Relaxed) > 0
    }

    /// The sink holds so many less.
    pub(crate) fn release_some(&self, records: u64) {
        self.held.fetch_sub(records.min(self.held.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// Returns how many records the sink held, and forgets them.
    pub(crate) fn release(&self) -> u64 {
        self.held.swap(0, Ordering::Relaxed)
    }
}
