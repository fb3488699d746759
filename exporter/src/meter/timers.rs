//! When connections are due: one timer for each, that of the track where it is due first.

use super::list::{BUCKETS, EXPIRING};
use super::spread::Earlier;
use super::{Id, Meter};

impl Meter {
    /// Starts the timers of a connection wherever they do not run.
    pub(super) fn activate(&mut self, slot: u32, earlier: Option<Earlier>, now: u64) {
        let connection = self.store.get_mut(slot);
        for id in self.tracks.all().without(connection.running).iter() {
            connection.running.insert(id);
            self.tracks.start(id, slot, now);
            if let Some(earlier) = earlier {
                self.tracks.advance(id, slot, earlier, now);
            }
        }
        self.set_timer(slot, now);
    }

    /// What is over is due at once, wherever it has news.
    pub(super) fn hurry(&mut self, slot: u32, now: u64) {
        let connection = self.store.get_mut(slot);
        let totals = connection.totals();
        let mut is_early = false;
        for id in self.tracks.all().iter() {
            let told = self.tracks.told.get(id, slot, totals);
            if connection.has_news(id, &told) && self.tracks.hurry(id, slot, now) {
                connection.running.insert(id);
                is_early = true;
            }
        }
        if is_early {
            self.set_timer(slot, now);
        }
    }

    /// Has a living connection come up when it is due first, of the tracks where it does not wait
    /// already.
    pub(super) fn set_timer(&mut self, slot: u32, now: u64) {
        self.lists.unlink(slot);
        let connection = self.store.get(slot);
        let running = connection.running.without(connection.waiting);
        let deadlines =
            running.iter().map(|id| self.tracks.deadline(id, slot, connection.end_ns, now));
        if let Some(first) = deadlines.min() {
            self.wheel.push(&mut self.lists, slot, first, now);
        }
    }

    /// Takes out the next living connection that is due in a track.
    pub(super) fn next_living(&mut self, track: Id, now: u64) -> Option<u32> {
        loop {
            let queue = &mut self.tracks.get_mut(track)?.living;
            if let Some(slot) = queue.pop(&self.store) {
                self.store.get_mut(slot).waiting.remove(track);
                return Some(slot);
            }
            let slot = self.wheel.pop(&mut self.lists, now)?;
            let end = self.store.get(slot).end_ns;
            self.expire(slot, |meter, id| meter.tracks.deadline(id, slot, end, now) <= now);
            self.set_timer(slot, now);
        }
    }

    /// As if everything were due.
    pub(super) fn expire_all(&mut self) {
        for list in std::iter::once(EXPIRING).chain(BUCKETS) {
            while let Some(slot) = self.lists.pop_front(list) {
                self.expire(slot, |_, _| true);
            }
        }
    }

    /// Has a connection wait wherever its timers have run out.
    fn expire(&mut self, slot: u32, is_due: impl Fn(&Self, Id) -> bool) {
        let connection = self.store.get(slot);
        for id in connection.running.without(connection.waiting).iter() {
            if is_due(self, id)
                && let Some(track) = self.tracks.get_mut(id)
            {
                self.store.get_mut(slot).waiting.insert(id);
                track.living.push(slot, &self.store);
            }
        }
    }
}
