//! What is due is told: to those who can take it, and to the others later.

use super::connection::State;
use super::debts::Class;
use super::due::{Due, EndReason};
use super::set::{Id, MAX_DESTINATIONS, Set};
use super::track::MAX_HELD;
use super::{Meter, Track};

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
        self.tracks.iter_mut().for_each(|(_, track)| track.look(&self.store, now));
        for (track, ready) in self.tracks_of(ready) {
            let living = self.due_living(track, now, max / 2, ready, &mut waits, &mut report);
            let room = max - living;
            let closed = self.due_closed(track, room, ready, &mut waits, &mut report);
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
        self.expire_all();
        for (track, ready) in self.tracks_of(ready) {
            self.tracks.get_mut(track).into_iter().for_each(|it| it.let_go(&self.store));
            let closed = self.due_closed(track, max, ready, &mut |_| false, &mut report);
            most = most.max(closed + self.flush_living(track, max - closed, ready, &mut report));
        }
        most
    }

    /// Hands out at most `max` records that a destination is owed, and returns how many.
    pub fn pay(&mut self, id: Id, max: usize, mut report: impl FnMut(&Due<'_>)) -> usize {
        let mut paid = 0;
        while paid < max
            && let Some(member) = &mut self.members[usize::from(id.0)]
            && let Some((slot, debt)) = member.debts.pop()
        {
            let connection = self.store.get_mut(slot);
            let has_ended =
                connection.state != State::Live && !connection.waiting.contains(member.track);
            let reason = if has_ended { EndReason::EndOfFlow } else { debt.reason };
            let told = self.tracks.told.get(member.track, slot, connection.totals());
            report(&connection.due(told, debt.deltas, reason));
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
        let mut tracks = [(Id(0), Set::EMPTY); MAX_DESTINATIONS];
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
            && let Some(slot) = self.next_living(id, now)
        {
            let connection = self.store.get(slot);
            if self.tracks.deadline(id, slot, connection.end_ns, now) > now {
                self.set_timer(slot, now);
                continue;
            }
            let reason = self.live_reason(id, slot, now);
            // What TCP has ended has no later record either.
            if reason == EndReason::EndOfFlow && self.holds(id, slot, waits) {
                continue;
            }
            if self.tell(id, slot, reason, ready, report) {
                handed_out += 1;
                self.tracks.renew(id, slot, now);
            } else {
                self.store.get_mut(slot).running.remove(id);
            }
            self.set_timer(slot, now);
        }
        handed_out
    }

    /// Why a living connection is due.
    fn live_reason(&self, id: Id, slot: u32, now: u64) -> EndReason {
        let connection = self.store.get(slot);
        let idle = self.tracks.get(id).map_or(u64::MAX, |track| track.timeouts.idle);
        connection.live_reason(self.tracks.told.deadline(id, slot, now), idle)
    }

    fn flush_living(
        &mut self,
        id: Id,
        max: usize,
        ready: Set,
        report: &mut impl FnMut(&Due<'_>, Offer) -> Set,
    ) -> usize {
        let mut handed_out = 0;
        while handed_out < max
            && let Some(slot) = self.tracks.get_mut(id).and_then(|it| it.living.pop(&self.store))
        {
            let connection = self.store.get_mut(slot);
            connection.waiting.remove(id);
            connection.running.remove(id);
            let told = self.tell(id, slot, EndReason::Forced, ready, report);
            handed_out += usize::from(told);
        }
        handed_out
    }

    fn due_closed(
        &mut self,
        id: Id,
        max: usize,
        ready: Set,
        waits: &mut impl FnMut(&Due<'_>) -> bool,
        report: &mut impl FnMut(&Due<'_>, Offer) -> Set,
    ) -> usize {
        let mut handed_out = 0;
        while handed_out < max
            && let Some(slot) = self.tracks.get_mut(id).and_then(|it| it.closed.pop(&self.store))
        {
            if self.holds(id, slot, waits) {
                continue;
            }
            self.tell(id, slot, EndReason::EndOfFlow, ready, report);
            self.no_longer_waits(id, slot);
            handed_out += 1;
        }
        handed_out
    }

    /// Holds a connection that has ended, if it waits and there is room for it.
    fn holds(&mut self, id: Id, slot: u32, waits: &mut impl FnMut(&Due<'_>) -> bool) -> bool {
        let connection = self.store.get_mut(slot);
        let totals = connection.totals();
        let told = self.tracks.told.get(id, slot, totals);
        let deltas = totals.zip(told, u64::saturating_sub);
        let has_news = connection.has_news(id, &told);
        if !has_news || !waits(&connection.due(totals, deltas, EndReason::EndOfFlow)) {
            return false;
        }
        let Some(track) = self.tracks.get_mut(id) else { return false };
        if track.held.len() >= MAX_HELD {
            self.stats.not_held += 1;
            return false;
        }
        connection.waiting.insert(id);
        track.held.push_back(slot);
        true
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
        let connection = store.get_mut(slot);
        let totals = connection.totals();
        let told = tracks.told.get(id, slot, totals);
        if !connection.has_news(id, &told) {
            return false;
        }
        let deltas = totals.zip(told, u64::saturating_sub);
        tracks.told.set(id, slot, totals, totals);
        let Some(track) = tracks.get(id) else { return false };
        let (to, late) = (track.members.and(ready), track.members.without(ready));
        let owed = report(&connection.due(totals, deltas, reason), Offer { to, late });
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
            track.ends -= 1;
        }
        self.settle_if_told(slot);
    }

    /// Gives up the oldest ends of connections if too many wait, of whoever is most behind.
    pub(super) fn make_room(&mut self) {
        while self.stats.closed_waiting > self.limits.closed() {
            let debtor = |id: &Id| self.members[usize::from(id.0)].as_ref();
            let in_debt =
                Set::ALL.iter().map(|id| (debtor(&id).map_or(0, |it| it.debts.closed()), id));
            let waiting = self.tracks.iter().map(|(id, track): (Id, &Track)| (track.ends, id));
            let (in_debt, waiting) = (in_debt.max(), waiting.max());
            match (in_debt, waiting) {
                (Some((owed, id)), waiting) if owed > waiting.map_or(0, |(ends, _)| ends) => {
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
        let Some(slot) = track.pop_oldest(&self.store) else { return };
        for id in track.members.iter() {
            if let Some(member) = &mut self.members[usize::from(id.0)] {
                member.due += 1;
                member.lost += 1;
            }
        }
        self.no_longer_waits(id, slot);
    }
}
