//! What destinations with the same timeouts have been told, and when they are told more.
//!
//! All of a track's members are told the same at the same time; one that cannot take a record
//! just then is owed it ([`super::debts`]). So a destination that keeps up takes no memory of its
//! own, however many there are.

use super::column::{CHUNK, Column};
use super::list::{BUCKETS, CLOSED, HELD, Lists};
use super::set::{Id, Set};
use super::settings::Timeouts;
use super::spread::Earlier;
use super::wheel::Wheel;
use crate::conntrack::Counters;

#[derive(Debug)]
pub(super) struct Track {
    pub(super) timeouts: Timeouts,
    pub(super) members: Set,
    pub(super) told: Column<Told>,
    /// The wheel's, [`CLOSED`] and [`HELD`].
    pub(super) lists: Lists,
    pub(super) wheel: Wheel,
    /// Closed connections that wait to be handed out.
    pub(super) closed: usize,
    /// How many have been held since all were last looked at, and when that was.
    pub(super) held: usize,
    looked: u64,
}

/// Connections that have ended and may be held at once: as many as can be looked at in a few
/// milliseconds.
pub(super) const MAX_HELD: usize = 16_384;
/// How often those that are held are looked at, in nanoseconds.
pub(super) const LOOK: u64 = 250_000_000;

/// How far a connection has been told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) counters: Counters,
    pub(super) active_deadline: u64,
}

impl Track {
    pub(super) fn new(timeouts: Timeouts, member: Id) -> Self {
        let mut members = Set::EMPTY;
        members.insert(member);
        Self {
            timeouts,
            members,
            told: Column::new(),
            lists: Lists::new(BUCKETS.end),
            wheel: Wheel::default(),
            closed: 0,
            held: 0,
            looked: 0,
        }
    }

    /// Lets those that are held be asked about again, if it is time.
    pub(super) fn look(&mut self, now: u64) {
        if now >= self.looked.saturating_add(LOOK) {
            self.looked = now;
            self.let_go();
        }
    }

    /// Holds nothing any more.
    pub(super) fn let_go(&mut self) {
        self.held = 0;
        // They ended before the others.
        self.lists.put_before(CLOSED, HELD);
    }

    /// Takes out the end that has waited for longest.
    pub(super) fn pop_oldest(&mut self) -> Option<u32> {
        let Some(slot) = self.lists.pop_front(HELD) else { return self.lists.pop_front(CLOSED) };
        self.held = self.held.saturating_sub(1);
        Some(slot)
    }

    /// Begins with the connection at `slot`, of which `counters` have been told.
    pub(super) fn begin(&mut self, slot: u32, counters: Counters) {
        let told = Told { counters, active_deadline: u64::MAX };
        if (slot as usize) < self.told.len() {
            *self.told.get_mut(slot) = told;
            return;
        }
        if self.told.push(told) {
            self.lists.reserve(CHUNK);
        }
        self.lists.grow();
    }

    /// Starts the timers of a connection whose counters last changed at `end`.
    ///
    /// News that come soon after there were none at a deadline are told at once: a dump may be
    /// just a little later than the deadline, again and again.
    pub(super) fn start(&mut self, slot: u32, end: u64, now: u64) {
        let active = self.timeouts.active;
        let told = self.told.get_mut(slot);
        let late_by = now.checked_sub(told.active_deadline);
        if late_by.is_none_or(|late_by| late_by >= active) {
            told.active_deadline = now.saturating_add(active);
        }
        let deadline = self.deadline(slot, end);
        self.wheel.push(&mut self.lists, slot, deadline, now);
    }

    /// Has a connection whose timers have just been started be due earlier, for the first time.
    pub(super) fn advance(&mut self, slot: u32, earlier: Earlier, now: u64) {
        let interval = self.timeouts.active.min(self.timeouts.idle);
        let Some(by) = earlier.by(interval) else { return };
        let deadline = now.saturating_add(interval - by);
        self.told.get_mut(slot).active_deadline = deadline;
        self.lists.unlink(slot);
        self.wheel.push(&mut self.lists, slot, deadline, now);
    }

    /// When it is due, if nothing happens until then.
    pub(super) fn deadline(&self, slot: u32, end: u64) -> u64 {
        self.told.get(slot).active_deadline.min(end.saturating_add(self.timeouts.idle))
    }

    /// Starts the timers again after a report, without drifting if that was in time.
    pub(super) fn renew(&mut self, slot: u32, now: u64) {
        let active = self.timeouts.active;
        let told = self.told.get_mut(slot);
        let next = told.active_deadline.saturating_add(active);
        told.active_deadline = if next > now { next } else { now.saturating_add(active) };
        self.wheel.push(&mut self.lists, slot, told.active_deadline, now);
    }
}
