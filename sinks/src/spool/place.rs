//! One sink's place in the log.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow::Batch;
use tokio::sync::mpsc::Sender;

use crate::DeliveryCounters;

/// Records that were just written, as sinks get them.
#[derive(Debug)]
pub(super) struct Published {
    /// Each with the number of its first record; none is missing in between.
    pub(super) batches: Vec<(u64, Batch)>,
    /// The number after that of the last record.
    pub(super) end: u64,
    pub(super) records: u64,
}

#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) counters: Arc<DeliveryCounters>,
    /// To the sink's queue. What does not fit it reads from the log.
    blocks: Sender<Arc<Published>>,
    /// Held for a few instructions at a time.
    position: Mutex<Position>,
    /// The number at which its queue ends; `u64::MAX` while it is open.
    closed_at: AtomicU64,
    /// It is not coming back.
    removed: AtomicBool,
    /// Nobody reads its queue any more.
    left: AtomicBool,
}

#[derive(Debug)]
struct Position {
    /// The next record to be handed out.
    next: u64,
    /// Those below are acknowledged.
    acknowledged: u64,
    /// Those below that were not handed out were dropped from the log and are counted.
    dropped: u64,
    /// The cursor on disk.
    noted: Option<u64>,
}

impl Place {
    /// A place at record `next`, from which on all records up to `end` are waiting. Those below
    /// `oldest` are in the log no longer.
    pub(super) fn new(
        name: &'static str,
        counters: Arc<DeliveryCounters>,
        blocks: Sender<Arc<Published>>,
        [next, oldest, end]: [u64; 3],
    ) -> Self {
        counters.given.fetch_add(end.saturating_sub(next), Ordering::Relaxed);
        let position = Position { next, acknowledged: next, dropped: next, noted: None };
        let place = Self {
            name,
            counters,
            blocks,
            position: Mutex::new(position),
            closed_at: AtomicU64::new(u64::MAX),
            removed: AtomicBool::default(),
            left: AtomicBool::default(),
        };
        place.drop_below(oldest.min(end));
        place
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether there was room; else the log has it.
    pub(super) fn publish(&self, block: &Arc<Published>) -> bool {
        if self.closed_at.load(Ordering::Acquire) != u64::MAX {
            return true;
        }
        self.counters.given.fetch_add(block.records, Ordering::Relaxed);
        self.blocks.try_send(Arc::clone(block)).is_ok()
    }

    /// Lets the queue look again, if it waits. It does not if there is no room.
    pub(super) fn wake(&self, end: u64) {
        let nothing = Published { batches: Vec::new(), end, records: 0 };
        drop(self.blocks.try_send(Arc::new(nothing)));
    }

    /// Lets the queue end at record `end`.
    pub(super) fn close(&self, end: u64, for_good: bool) {
        self.removed.fetch_or(for_good, Ordering::AcqRel);
        let open = u64::MAX;
        if self.closed_at.compare_exchange(open, end, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.wake(end);
        }
    }

    pub(super) fn closed_at(&self) -> u64 {
        self.closed_at.load(Ordering::Acquire)
    }

    /// The next record to be handed out.
    pub(super) fn next(&self) -> u64 {
        let position = self.position();
        position.next.max(position.dropped)
    }

    /// Takes `records` records from `first` on, if they are what comes next. Returns how many of
    /// them were passed over, since they were handed out or dropped before, or where to look for
    /// what comes in between.
    pub(super) fn hand_out(&self, first: u64, records: u64) -> Result<u64, u64> {
        let mut position = self.position();
        let next = position.next.max(position.dropped);
        if first > next {
            return Err(next);
        }
        let known = (next - first).min(records);
        position.next = next.max(first + records);
        Ok(known)
    }

    /// Passes over what cannot be read; returns how much that is.
    pub(super) fn pass_over(&self, to: u64) -> u64 {
        let mut position = self.position();
        let next = position.next.max(position.dropped);
        position.next = next.max(to);
        position.next - next
    }

    /// Everything below `record` was taken by the sink and is durable.
    pub(super) fn acknowledge(&self, record: u64) {
        let mut position = self.position();
        position.acknowledged = position.acknowledged.max(record);
    }

    pub(super) fn acknowledged(&self) -> u64 {
        let position = self.position();
        position.acknowledged.max(position.dropped.min(position.next))
    }

    /// The sink knows better how far it had come. Nothing was handed out yet.
    pub(super) fn resume_at(&self, record: u64) {
        let mut position = self.position();
        let known = record.saturating_sub(position.next.max(position.dropped));
        position.next = position.next.max(record);
        position.acknowledged = position.acknowledged.max(record);
        drop(position);
        // They were delivered, in an earlier life.
        self.counters.given.fetch_sub(known, Ordering::Relaxed);
    }

    /// Hands out again what was not acknowledged.
    pub(super) fn rewind(&self) {
        let mut position = self.position();
        // Handed out and not delivered, and the log does not have it any more.
        let gone = position.dropped.min(position.next).saturating_sub(position.acknowledged);
        self.counters.spool_full.fetch_add(gone, Ordering::Relaxed);
        position.next = position.acknowledged + gone;
        position.acknowledged = position.next;
    }

    /// The log has nothing below `oldest` any more.
    pub(super) fn drop_below(&self, oldest: u64) {
        let mut position = self.position();
        let dropped = oldest.saturating_sub(position.next.max(position.dropped));
        self.counters.spool_full.fetch_add(dropped, Ordering::Relaxed);
        position.dropped = position.dropped.max(oldest);
    }

    /// The cursor, if it is not on disk.
    pub(super) fn unnoted(&self) -> Option<u64> {
        let acknowledged = self.acknowledged();
        (self.position().noted != Some(acknowledged)).then_some(acknowledged)
    }

    pub(super) fn noted(&self, record: u64) {
        self.position().noted = Some(record);
    }

    /// Nobody reads the queue any more. What it has not taken by now nobody takes, if it is not
    /// coming back.
    pub(super) fn leave(&self) {
        if self.removed.load(Ordering::Acquire) {
            let rest = self.closed_at().saturating_sub(self.acknowledged());
            self.counters.abandoned.fetch_add(rest, Ordering::Relaxed);
        }
        self.left.store(true, Ordering::Release);
    }

    /// Whether it can be forgotten.
    pub(super) fn is_done(&self) -> bool {
        self.removed.load(Ordering::Acquire) && self.left.load(Ordering::Acquire)
    }
}
