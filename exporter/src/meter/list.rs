//! Doubly linked lists of slots, as numbers in one array.
//!
//! Every slot is in one list or in none: the living in the timing wheel, the others where they wait
//! for nothing. A list is a ring with a head of its own, so that a slot leaves its list without
//! knowing which one that is. Nothing is allocated but a pair of numbers per slot.

use std::ops::Range;

/// A list, by its number.
pub(super) type List = u32;

/// Slots nobody uses.
pub(super) const FREE: List = 0;
/// Closed connections without anything to report, of which more may be heard.
pub(super) const TOMBSTONES: List = 1;
/// What the wheel has taken from its current bucket and not yet passed on.
pub(super) const EXPIRING: List = 2;
/// The wheel's buckets.
pub(super) const BUCKETS: Range<List> = 3..3 + super::wheel::BUCKET_COUNT;

#[derive(Debug, Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
}

/// Heads of lists come first, then one link per slot.
#[derive(Debug)]
pub(super) struct Lists {
    links: Vec<Link>,
}

const HEADS: u32 = BUCKETS.end;

impl Lists {
    pub(super) fn new() -> Self {
        Self { links: (0..HEADS).map(Link::alone).collect() }
    }

    /// Makes room for `more` slots, without the slack that doubling would leave.
    pub(super) fn reserve(&mut self, more: usize) {
        if self.links.capacity() - self.links.len() < more {
            self.links.reserve_exact(more.max(self.links.len() / 16));
        }
    }

    /// Adds the link of the next slot, in no list.
    pub(super) fn grow(&mut self) {
        let node = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        self.links.push(Link::alone(node));
    }

    /// `slot` must be in no list.
    pub(super) fn push_back(&mut self, list: List, slot: u32) {
        let node = node(slot);
        let before = self.link(list).before;
        *self.link_mut(node) = Link { before, after: list };
        self.link_mut(before).after = node;
        self.link_mut(list).before = node;
    }

    /// Takes `slot` out of the list it is in, if it is in one.
    pub(super) fn unlink(&mut self, slot: u32) {
        let node = node(slot);
        let Link { before, after } = *self.link(node);
        self.link_mut(before).after = after;
        self.link_mut(after).before = before;
        *self.link_mut(node) = Link::alone(node);
    }

    pub(super) fn front(&self, list: List) -> Option<u32> {
        slot_at(self.link(list).after)
    }

    /// The slot that follows `slot` in its list.
    pub(super) fn after(&self, slot: u32) -> Option<u32> {
        slot_at(self.link(node(slot)).after)
    }

    pub(super) fn pop_front(&mut self, list: List) -> Option<u32> {
        let slot = self.front(list)?;
        self.unlink(slot);
        Some(slot)
    }

    /// Moves everything in `from` to `to`, which must be empty.
    pub(super) fn take(&mut self, to: List, from: List) {
        let Link { before: last, after: first } = *self.link(from);
        if first == from {
            return;
        }
        *self.link_mut(to) = Link { before: last, after: first };
        self.link_mut(first).before = to;
        self.link_mut(last).after = to;
        *self.link_mut(from) = Link::alone(from);
    }

    fn link(&self, node: u32) -> &Link {
        &self.links[node as usize]
    }

    fn link_mut(&mut self, node: u32) -> &mut Link {
        &mut self.links[node as usize]
    }
}

const fn node(slot: u32) -> u32 {
    slot + HEADS
}

/// The slot at a node, unless the node is the head of a list.
const fn slot_at(node: u32) -> Option<u32> {
    node.checked_sub(HEADS)
}

impl Link {
    fn alone(node: u32) -> Self {
        Self { before: node, after: node }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(lists: &mut Lists, list: List) -> Vec<u32> {
        std::iter::from_fn(|| lists.pop_front(list)).collect()
    }

    #[test]
    fn slots_leave_in_order_or_from_the_middle() {
        let mut lists = Lists::new();
        (0..4).for_each(|_| lists.grow());
        (0..4).for_each(|slot| lists.push_back(TOMBSTONES, slot));
        lists.unlink(2);
        lists.unlink(2);
        lists.take(EXPIRING, TOMBSTONES);
        assert_eq!(drain(&mut lists, TOMBSTONES), Vec::<u32>::new());
        assert_eq!(drain(&mut lists, EXPIRING), [0, 1, 3]);
    }
}
