//! A hashed timing wheel (Varghese and Lauck): slots in buckets by the tick they are due at.
//!
//! Deadlines more than one revolution away share buckets with nearer ones; whoever takes a slot
//! out looks at its real deadline and puts it back. A connection's deadline can move on while it
//! is in the wheel, which costs nothing until the bucket comes up.

use super::list::{BUCKETS, EXPIRING, List, Lists};

/// How late a slot may be handed out.
const TICK: u64 = 100_000_000;
pub(super) const BUCKET_COUNT: u32 = 1024;

/// Where in time the wheel stands.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    /// The next tick whose bucket has not been taken; `None` before the first use.
    next: Option<u64>,
}

impl Wheel {
    /// Puts `slot`, which is in no list, where it comes up at `deadline` or the next tick.
    pub(super) fn push(&mut self, lists: &mut Lists, slot: u32, deadline: u64, now: u64) {
        let next = *self.next.get_or_insert(now / TICK);
        lists.push_back(bucket(deadline.div_ceil(TICK).max(next)), slot);
    }

    /// Takes out a slot whose bucket has come up.
    pub(super) fn pop(&mut self, lists: &mut Lists, now: u64) -> Option<u32> {
        let last = now / TICK;
        loop {
            if let Some(slot) = lists.pop_front(EXPIRING) {
                return Some(slot);
            }
            // Older ticks than one revolution ago use the same buckets over again.
            let next = self.next?.max(last.saturating_sub(u64::from(BUCKET_COUNT)));
            if next > last {
                return None;
            }
            lists.take(EXPIRING, bucket(next));
            self.next = Some(next + 1);
        }
    }
}

fn bucket(tick: u64) -> List {
    #[expect(clippy::cast_possible_truncation, reason = "less than the number of buckets")]
    let index = (tick % u64::from(BUCKET_COUNT)) as u32;
    BUCKETS.start + index
}
