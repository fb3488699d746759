//! Connections end, and some turn out not to have.

use super::connection::State;
use super::debts::Class;
use super::list::TOMBSTONES;
use super::{Meter, Set};
use crate::conntrack::Entry;

impl Meter {
    pub(super) fn destroyed(&mut self, slot: u32, entry: &Entry, now: u64) {
        match self.store.get(slot).state {
            State::Live => {}
            State::Destroyed => return,
            State::Vanished => self.revive(slot, now),
        }
        self.update(slot, entry, now);
        self.store.get_mut(slot).end_ns = entry.stop_ns.unwrap_or(now);
        self.close(slot, State::Destroyed);
    }

    /// Undoes the closing of a connection that only seemed to have vanished.
    pub(super) fn revive(&mut self, slot: u32, now: u64) {
        self.count_live(slot, true);
        let connection = self.store.get_mut(slot);
        connection.state = State::Live;
        // Its end waits to be told, or it is a tombstone.
        self.stats.closed_waiting -= u64::from(connection.is_awaited());
        self.stats.reappeared += 1;
        for (id, track) in self.tracks.iter_mut() {
            track.ends -= usize::from(connection.waiting.contains(id));
        }
        connection.waiting = Set::EMPTY;
        self.classify_debts(slot, Class::Live);
        self.activate(slot, None, now);
    }

    pub(super) fn close(&mut self, slot: u32, state: State) {
        self.count_live(slot, false);
        let connection = self.store.get_mut(slot);
        connection.state = state;
        (connection.running, connection.waiting) = (Set::EMPTY, Set::EMPTY);
        self.lists.unlink(slot);
        let totals = connection.totals();
        for id in self.tracks.all().iter() {
            let told = self.tracks.told.get(id, slot, totals);
            let connection = self.store.get_mut(slot);
            if connection.has_news(id, &told)
                && let Some(track) = self.tracks.get_mut(id)
            {
                connection.waiting.insert(id);
                track.closed.push(slot, &self.store);
                track.ends += 1;
            }
        }
        let connection = self.store.get(slot);
        if connection.is_awaited() {
            self.stats.closed_waiting += 1;
            self.classify_debts(slot, Class::Closed);
            return self.make_room();
        }
        if connection.is_counted {
            self.stats.closed_without_news += 1;
        } else {
            self.stats.closed_without_counters += 1;
        }
        self.settle(slot);
    }

    /// Whoever is owed something of a connection is owed it of one that has ended, or has not.
    fn classify_debts(&mut self, slot: u32, class: Class) {
        let mut left = self.store.get(slot).debts;
        for member in self.members.iter_mut().flatten() {
            if left == 0 {
                return;
            }
            left -= u8::from(member.debts.classify(slot, class));
        }
    }

    /// As [`Meter::settle`], once nobody waits for a closed connection any more.
    pub(super) fn settle_if_told(&mut self, slot: u32) {
        let connection = self.store.get(slot);
        if connection.state != State::Live && !connection.is_awaited() {
            self.stats.closed_waiting -= 1;
            self.settle(slot);
        }
    }

    /// Forgets a closed connection, unless something about it may still come.
    fn settle(&mut self, slot: u32) {
        let connection = self.store.get(slot);
        let zone = connection.key.zone;
        let ghosts = self.zones.iter().any(|it| it.number == zone && it.dump.is_some());
        if ghosts || connection.state == State::Vanished {
            self.lists.push_back(TOMBSTONES, slot);
        } else {
            self.store.release(slot, &mut self.lists);
        }
    }
}
