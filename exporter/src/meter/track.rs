//! What destinations with the same timeouts share.
//!
//! All of a track's members are told the same at the same time; one that cannot take a record
//! just then is owed it ([`super::debts`]). So a destination that keeps up takes no memory of its
//! own, however many there are.

use std::collections::VecDeque;

use super::connection::State;
use super::queue::{Of, Queue};
use super::set::{Id, Set};
use super::settings::Timeouts;
use super::store::Store;

#[derive(Debug)]
pub(super) struct Track {
    pub(super) timeouts: Timeouts,
    pub(super) members: Set,
    /// Living connections that are due.
    pub(super) living: Queue,
    /// Closed ones whose end waits to be told.
    pub(super) closed: Queue,
    /// Those of either that have ended, and whose caller wants to wait before it tells of them.
    pub(super) held: VecDeque<u32>,
    /// When all that were held were last looked at.
    looked: u64,
    /// How many ends wait to be told.
    pub(super) ends: usize,
}

/// Connections that have ended and may be held at once: as many as can be looked at in a few
/// milliseconds.
pub(super) const MAX_HELD: usize = 16_384;
/// How often those that are held are looked at, in nanoseconds.
const LOOK: u64 = 250_000_000;

impl Track {
    pub(super) fn new(id: Id, timeouts: Timeouts, member: Id) -> Self {
        let mut members = Set::EMPTY;
        members.insert(member);
        Self {
            timeouts,
            members,
            living: Queue::new(id, Of::Living),
            closed: Queue::new(id, Of::Closed),
            held: VecDeque::new(),
            looked: 0,
            ends: 0,
        }
    }

    /// Lets those that are held be asked about again, if it is time.
    pub(super) fn look(&mut self, store: &Store, now: u64) {
        if now >= self.looked.saturating_add(LOOK) {
            self.looked = now;
            self.let_go(store);
        }
    }

    /// Holds nothing any more. What was held ended before what was not.
    pub(super) fn let_go(&mut self, store: &Store) {
        while let Some(slot) = self.held.pop_back() {
            self.queue_of(slot, store).put_back(slot);
        }
    }

    /// Takes out the end that has waited for longest.
    pub(super) fn pop_oldest(&mut self, store: &Store) -> Option<u32> {
        while let Some(slot) = self.held.pop_front() {
            if self.closed.wants(store.get(slot)) {
                return Some(slot);
            }
            self.queue_of(slot, store).put_back(slot);
        }
        self.closed.pop(store)
    }

    fn queue_of(&mut self, slot: u32, store: &Store) -> &mut Queue {
        let is_living = store.get(slot).state == State::Live;
        if is_living { &mut self.living } else { &mut self.closed }
    }
}
