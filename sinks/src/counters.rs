//! What became of the records that a sink was given.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts records, except where it says otherwise. Whoever runs the sink exports them.
///
/// Every record taken from the queue is in exactly one of `delivered`, `refused`, `abandoned` and
/// `held`, or in the one batch that is being written.
#[derive(Debug, Default)]
pub struct DeliveryCounters {
    /// Durable at the far end.
    pub delivered: AtomicU64,
    /// Taken by the sink and not yet durable; goes down again.
    pub held: AtomicU64,
    /// Lost: the far end refused them for good.
    pub refused: AtomicU64,
    /// Lost: the far end was still away when the process had to end.
    pub abandoned: AtomicU64,
    /// Attempts that failed and were, or will be, repeated.
    pub retries: AtomicU64,
}

// One task delivers to a sink, and it alone changes `held`: no step here can be overtaken.
impl DeliveryCounters {
    pub(crate) fn taken(&self, records: usize) {
        self.held.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(crate) fn holds_any(&self) -> bool {
        self.held.load(Ordering::Relaxed) > 0
    }

    /// Returns how many records the sink held, and forgets them.
    pub(crate) fn release(&self) -> u64 {
        self.held.swap(0, Ordering::Relaxed)
    }
}
