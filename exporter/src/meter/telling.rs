//! What is due is told: to those who can take it, and to the others later.

use super::connection::State;
use super::debts::Class;
use super::due::{Due, EndReason};
use super::list::{BUCKETS, CLOSED, EXPIRING, HELD};
use super::set::{Id, Set};
use super::{LOOK, MAX_HELD, Meter, Track};

/// To whom a record is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// These take it now.
    pub to: Set,
    /// These would, but cannot; those that want it are owed it.
    pub late: Set,
}

impl Meter {
    /// Hands out to each destination in `ready` at most `max` records that are due. Returns the
    /// most that one has got.
    ///
    /// What `report` is told counts as told when it returns, to all of [`Offer::to`]. It returns
    /// which of [`Offer::late`] are to be owed the record. Where nobody is ready records wait, at
    /// most one per connection, and grow. Of a large `max` at least half is left to living
    /// connections and half to closed ones, if there are as many.
    ///
    /// A connection that has ended and `waits` is held, and asked about again a quarter of a second
    /// later, unless too many are.
    pub fn due(
        &mut self,
        now: u64,
        max: usize,
        ready: Set,
        mut waits: impl FnMut(&Due<'_>) -> bool,
        mut report: impl FnMut(&Due<'_>, Offer) -> Set,
    ) -> usize {
        let mut most = 0;
        // Where nobody is ready, too: what is held there waits for nothing else any more.
        self.tracks.iter_mut().for_each(|(_, track)| track.look(now));
        for (track, ready) in self.tracks_of(ready) {
            let living = self.due_living(track, now, max / 2, ready, &mut waits, &mut report);
            let room = max - living;
            let closed = self.due_closed(track, now, room, ready, &mut waits, &mut report);
            let rest = max - living - closed;
            let more = self.due_living(track, now, rest, ready, &mut waits, &mut report);
            most = most.max(living + closed + more);
        }
        most
    }

    /// As [`Meter::due`], for everything that has not been told, due or not.
    ///
    /// For the end of the process: call it until it returns 0. Living connections get
    /// [`EndReason::Forced`].
    pub fn flush(
        &mut self,
        max: usize,
        ready: Set,
        mut report: impl FnMut(&Due<'_>, Offer) -> Set,
    ) -> usize {
        let mut most = 0;
        for (track, ready) in self.tracks_of(ready) {
            self.tracks.get_mut(track).into_iter().for_each(Track::let_go);
            // Nothing is held any more, so what time it is makes no difference.
            let closed = self.due_closed(track, 0, max, ready, &mut |_| false, &mut report);
            most = most.max(closed + self.flush_living(track, max - closed, ready, &mut report));
        }
        most
    }

    /// Hands out at most `max` records that a destination is owed, and returns how many.
    pub fn pay(&mut self, id: Id, max: usize, mut report: impl FnMut(&Due<'_>)) -> usize {
        let mut paid = 0;
        while paid < max
            && let Some(member) = &mut self.members[usize::from(id.0)]
            && let Some(track) = self.tracks.get(member.track)
            && let Some((slot, debt)) = member.debts.pop()
        {
            let connection = self.store.get_mut(slot);
            let has_ended =
                connection.state != State::Live && !connection.waiting.contains(member.track);
            let reason = if has_ended { EndReason::EndOfFlow } else { debt.reason };
            report(&connection.due(track.told.get(slot).counters, debt.deltas, reason));
            connection.debts -= 1;
            self.settle_if_told(slot);
            paid += 1;
        }
        paid
    }

    /// The tracks in which somebody of `ready` owes nothing, and who that is.
    fn tracks_of(&self, mut ready: Set) -> impl Iterator<Item = (Id, Set)> + use<> {
        for id in ready.iter() {
            let member = self.members[usize::from(id.0)].as_ref();
            if member.is_none_or(|member| member.debts.len() > 0) {
                ready.remove(id);
            }
        }
        let mut tracks = [(Id(0), Set::EMPTY); super::MAX_DESTINATIONS];
        for ((id, track), place) in self.tracks.iter().zip(&mut tracks) {
            *place = (id, track.members.and(ready));
        }
        tracks.into_iter().filter(|(_, ready)| !ready.is_empty())
    }

    fn due_living(
        &mut self,
        id: Id,
        now: u64,
        max: usize,
        ready: Set,
        waits: &mut impl FnMut(&Due<'_>) -> bool,
        report: &mut impl FnMut(&Due<'_>, Offer) -> Set,
    ) -> usize {
        let mut handed_out = 0;
        while handed_out < max
            && let Some(track) = self.tracks.get_mut(id)
            && let Some(slot) = track.wheel.pop(&mut track.lists, now)
        {
            let connection = self.store.get_mut(slot);
            let deadline = track.deadline(slot, connection.end_ns);
            if deadline > now {
                track.wheel.push(&mut track.lists, slot, deadline, now);
                continue;
            }
            let active_deadline = track.told.get(slot).active_deadline;
            let reason = connection.live_reason(active_deadline, track.timeouts.idle);
            // What TCP has ended has no later record either.
            if reason == EndReason::EndOfFlow && self.holds(id, slot, now, waits) {
                continue;
            }
            if self.tell(id, slot, reason, ready, report) {
                handed_out += 1;
                if let Some(track) = self.tracks.get_mut(id) {
                    track.renew(slot, now);
                }
            } else {
                self.store.get_mut(slot).running.remove(id);
            }
        }
        handed_out
    }

    fn flush_living(
        &mut self,
        id: Id,
        max: usize,
        ready: Set,
        report: &mut impl FnMut(&Due<'_>, Offer) -> Set,
    ) -> usize {
        let mut handed_out = 0;
        for list in std::iter::once(EXPIRING).chain(BUCKETS) {
            while handed_out < max
                && let Some(slot) = self.pop(id, list)
            {
                self.store.get_mut(slot).running.remove(id);
                let told = self.tell(id, slot, EndReason::Forced, ready, report);
                handed_out += usize::from(told);
            }
        }
        handed_out
    }

    fn due_closed(
        &mut self,
        id: Id,
        now: u64,
        max: usize,
        ready: Set,
        waits: &mut impl FnMut(&Due<'_>) -> bool,
        report: &mut impl FnMut(&Due<'_>, Offer) -> Set,
    ) -> usize {
        let mut handed_out = 0;
        while handed_out < max
            && let Some(slot) = self.pop(id, CLOSED)
        {
            if self.holds(id, slot, now, waits) {
                continue;
            }
            self.tell(id, slot, EndReason::EndOfFlow, ready, report);
            self.no_longer_waits(id, slot);
            handed_out += 1;
        }
        handed_out
    }

    /// Holds a connection that has ended, if it waits and there is room for it.
    fn holds(
        &mut self,
        id: Id,
        slot: u32,
        now: u64,
        waits: &mut impl FnMut(&Due<'_>) -> bool,
    ) -> bool {
        let Some(track) = self.tracks.get_mut(id) else { return false };
        let connection = self.store.get(slot);
        let told = track.told.get(slot).counters;
        let totals = connection.totals();
        let deltas = totals.zip(told, u64::saturating_sub);
        let has_news = connection.has_news(id, &told);
        if !has_news || !waits(&connection.due(totals, deltas, EndReason::EndOfFlow)) {
            return false;
        }
        if track.held >= MAX_HELD {
            self.stats.not_held += 1;
            return false;
        }
        track.held += 1;
        if connection.state == State::Live {
            track.wheel.push(&mut track.lists, slot, now.saturating_add(LOOK), now);
        } else {
            track.lists.push_back(HELD, slot);
        }
        true
    }

    fn pop(&mut self, track: Id, list: super::list::List) -> Option<u32> {
        self.tracks.get_mut(track)?.lists.pop_front(list)
    }

    /// Tells a track's members what they have not been told of a connection. Returns false if
    /// there is nothing.
    fn tell(
        &mut self,
        id: Id,
        slot: u32,
        reason: EndReason,
        ready: Set,
        report: &mut impl FnMut(&Due<'_>, Offer) -> Set,
    ) -> bool {
        let Self { store, tracks, members, .. } = self;
        let Some(track) = tracks.get_mut(id) else { return false };
        let connection = store.get_mut(slot);
        let told = track.told.get_mut(slot);
        if !connection.has_news(id, &told.counters) {
            return false;
        }
        let totals = connection.totals();
        let deltas = totals.zip(told.counters, u64::saturating_sub);
        let (to, late) = (track.members.and(ready), track.members.without(ready));
        let owed = report(&connection.due(totals, deltas, reason), Offer { to, late });
        told.counters = totals;
        connection.announce.remove(id);
        connection.is_known = true;
        for id in track.members.iter() {
            if let Some(member) = &mut members[usize::from(id.0)] {
                member.due += 1;
            }
        }
        let class = if connection.state == State::Live { Class::Live } else { Class::Closed };
        for late in owed.and(late).iter() {
            let Some(member) = &mut members[usize::from(late.0)] else { continue };
            let is_first = member.debts.owe(slot, deltas, reason, class);
            connection.debts += u8::from(is_first);
            member.coalesced += u64::from(!is_first);
        }
        true
    }

    /// The end of a connection no longer waits to be told in a track.
    fn no_longer_waits(&mut self, track: Id, slot: u32) {
        self.store.get_mut(slot).waiting.remove(track);
        if let Some(track) = self.tracks.get_mut(track) {
            track.closed -= 1;
        }
        self.settle_if_told(slot);
    }

    /// Gives up the oldest ends of connections if too many wait, of whoever is most behind.
    pub(super) fn make_room(&mut self) {
        while self.stats.closed_waiting > self.limits.closed() {
            let debtor = |id: &Id| self.members[usize::from(id.0)].as_ref();
            let in_debt =
                Set::ALL.iter().map(|id| (debtor(&id).map_or(0, |it| it.debts.closed()), id));
            let waiting = self.tracks.iter().map(|(id, track): (Id, &Track)| (track.closed, id));
            let (in_debt, waiting) = (in_debt.max(), waiting.max());
            match (in_debt, waiting) {
                (Some((owed, id)), waiting) if owed > waiting.map_or(0, |(closed, _)| closed) => {
                    self.forgive(id);
                }
                (_, Some((1.., track))) => self.skip(track),
                _ => return,
            }
        }
    }

    /// Gives up the oldest thing a destination is owed.
    fn forgive(&mut self, id: Id) {
        let Some(member) = &mut self.members[usize::from(id.0)] else { return };
        let Some((slot, _)) = member.debts.pop() else { return };
        member.lost += 1;
        self.store.get_mut(slot).debts -= 1;
        self.settle_if_told(slot);
    }

    /// Gives up the oldest end that waits in a track.
    fn skip(&mut self, id: Id) {
        let Some(track) = self.tracks.get_mut(id) else { return };
        let Some(slot) = track.pop_oldest() else { return };
        for id in track.members.iter() {
            if let Some(member) = &mut self.members[usize::from(id.0)] {
                member.due += 1;
                member.lost += 1;
            }
        }
        self.no_longer_waits(id, slot);
    }
}
