//! Destinations that come, go, and change their timeouts.

use super::connection::State;
use super::debts::{Class, Debts};
use super::set::Id;
use super::settings::{Lag, Timeouts};
use super::spread::Spread;
use super::tracks::MAX_TRACKS;
use super::{EndReason, Meter};
use crate::conntrack::Counters;

/// A destination: what it shares with others, and what it does not.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) track: Id,
    wants: Timeouts,
    pub(super) debts: Debts,
    pub(super) due: u64,
    pub(super) coalesced: u64,
    pub(super) lost: u64,
}

impl Meter {
    /// Adds a destination; `None` if there are [`MAX_DESTINATIONS`](super::MAX_DESTINATIONS).
    ///
    /// Of a connection that somebody has been told of it is told the totals once, with deltas of
    /// zero, and deltas count from there; of any other everything. One that shares its timeouts
    /// with another destination counts from what that one has been told. So does one that finds
    /// 8 other timeouts already: both are told when either asks for it.
    pub fn add(&mut self, timeouts: Timeouts, now: u64) -> Option<Id> {
        let place = self.members.iter().position(Option::is_none)?;
        let id = Id(u8::try_from(place).ok()?);
        let like = self.tracks.iter().find(|(_, track)| track.timeouts == timeouts);
        let like = like.map(|(track, _)| track).or_else(|| self.tracks.nearest(timeouts));
        let member = |track| {
            let debts = Debts::default();
            Member { track, wants: timeouts, debts, due: 0, coalesced: 0, lost: 0 }
        };
        if let Some(track) = like {
            self.members[place] = Some(member(track));
            self.join(id, track);
            self.suit(track);
            self.hasten(track, now);
        } else {
            let track = self.tracks.add(timeouts, id)?;
            self.members[place] = Some(member(track));
            self.begin(track, now);
        }
        Some(id)
    }

    /// Forgets a destination. What it has not been told it never will be.
    pub fn remove(&mut self, id: Id) {
        let Some(mut member) = self.members[usize::from(id.0)].take() else { return };
        while let Some((slot, _)) = member.debts.pop() {
            self.store.get_mut(slot).debts -= 1;
            self.settle_if_told(slot);
        }
        self.leave(id, member.track);
    }

    /// Longer timeouts hold for each connection from the next time it is due, shorter ones at once.
    /// Nothing is told twice for it, and nothing is left out.
    pub fn set_timeouts(&mut self, id: Id, timeouts: Timeouts, now: u64) {
        let Some(member) = &mut self.members[usize::from(id.0)] else { return };
        member.wants = timeouts;
        let from = member.track;
        let Some(track) = self.tracks.get(from) else { return };
        if track.timeouts == timeouts {
            return;
        }
        if track.members.len() == 1 || self.tracks.all().len() >= MAX_TRACKS {
            self.suit(from);
            self.hasten(from, now);
        } else {
            self.part(id, from, timeouts, now);
        }
    }

    /// The timeouts that hold for a destination, which may be shorter than those it asked for.
    pub fn timeouts(&self, id: Id) -> Option<Timeouts> {
        let member = self.members[usize::from(id.0)].as_ref()?;
        Some(self.tracks.get(member.track)?.timeouts)
    }

    /// Has a track's members be told as often as any of them asks for.
    fn suit(&mut self, id: Id) {
        let members = self.members.iter().flatten().filter(|member| member.track == id);
        let wanted = members.map(|member| member.wants).reduce(Timeouts::shorter);
        if let (Some(track), Some(wanted)) = (self.tracks.get_mut(id), wanted) {
            track.timeouts = wanted;
        }
    }

    /// Has no connection wait for longer than a track's timeouts allow now.
    fn hasten(&mut self, id: Id, now: u64) {
        let mut spread = Spread::default();
        for slot in self.store.slots() {
            let connection = self.store.get(slot);
            if connection.state == State::Live && connection.running.contains(id) {
                self.tracks.hasten(id, slot, spread.find(), now);
                self.set_timer(slot, now);
            }
        }
    }

    /// How far a destination is behind.
    pub fn lag(&self, id: Id) -> Lag {
        let Some(member) = &self.members[usize::from(id.0)] else { return Lag::default() };
        let owed = member.debts.len() as u64;
        Lag { due: member.due, owed, coalesced: member.coalesced, lost: member.lost }
    }

    /// How many records it would take to tell a destination everything. Looks at all connections.
    pub fn untold(&self, id: Id) -> u64 {
        let Some(member) = &self.members[usize::from(id.0)] else { return 0 };
        let untold = self.store.slots().filter(|&slot| {
            let connection = self.store.get(slot);
            let told = || self.tracks.told.get(member.track, slot, connection.totals());
            member.debts.get(slot).is_some()
                || match connection.state {
                    State::Live => connection.has_news(member.track, &told()),
                    State::Destroyed | State::Vanished => connection.waiting.contains(member.track),
                }
        });
        untold.count() as u64
    }

    /// Begins a track with what is known. Closed connections are the business of those who were
    /// there, unless they turn out to live after all.
    fn begin(&mut self, track: Id, now: u64) {
        let mut spread = Spread::default();
        for slot in self.store.slots() {
            let connection = self.store.get_mut(slot);
            let totals = connection.totals();
            let is_inherited = connection.is_known;
            let told = if is_inherited { totals } else { Counters::default() };
            self.tracks.begin(track, slot, told, totals, now);
            if is_inherited {
                connection.announce.insert(track);
            }
            if connection.state == State::Live {
                connection.running.insert(track);
                self.tracks.start(track, slot, now);
                self.tracks.advance(track, slot, spread.find(), now);
                self.set_timer(slot, now);
            }
        }
    }

    /// Lets a destination be told what the others of `track` are from now on.
    fn join(&mut self, id: Id, track: Id) {
        let Some(joined) = self.tracks.get_mut(track) else { return };
        joined.members.insert(id);
        let Some(member) = &mut self.members[usize::from(id.0)] else { return };
        for slot in self.store.slots() {
            let connection = self.store.get_mut(slot);
            let told = self.tracks.told.get(track, slot, connection.totals());
            let is_told = told != Counters::default();
            // What is announced to the others is to this one too.
            let is_silent = is_told && !connection.announce.contains(track);
            if connection.state == State::Live && connection.is_known && is_silent {
                let nothing = Counters::default();
                member.debts.owe(slot, nothing, EndReason::ActiveTimeout, Class::Live);
                connection.debts += 1;
                member.due += 1;
            }
        }
    }

    /// Gives a destination a track of its own, in which it has been told what it has been told.
    fn part(&mut self, id: Id, from: Id, timeouts: Timeouts, now: u64) {
        let Some(to) = self.tracks.add(timeouts, id) else { return };
        let Some(member) = &mut self.members[usize::from(id.0)] else { return };
        member.track = to;
        let debts = std::mem::take(&mut member.debts);
        // They become part of what is due next.
        member.coalesced += debts.len() as u64;
        for slot in self.store.slots() {
            let connection = self.store.get_mut(slot);
            let debt = debts.get(slot);
            let totals = connection.totals();
            let told = self.tracks.told.get(from, slot, totals);
            let told = debt.map_or(told, |debt| told.zip(debt.deltas, u64::wrapping_sub));
            let is_announced = connection.announce.contains(from) || debt.is_some();
            let waits = connection.waiting.contains(from) || debt.is_some();
            self.tracks.begin(to, slot, told, totals, now);
            connection.debts -= u8::from(debt.is_some());
            if is_announced {
                connection.announce.insert(to);
            }
            if connection.state == State::Live {
                connection.running.insert(to);
                self.tracks.start(to, slot, now);
                self.set_timer(slot, now);
            } else if waits && let Some(track) = self.tracks.get_mut(to) {
                connection.waiting.insert(to);
                track.closed.push(slot, &self.store);
                track.ends += 1;
            }
        }
        self.leave(id, from);
    }

    /// Takes a destination out of a track, which ends with its last one.
    fn leave(&mut self, id: Id, track: Id) {
        let Some(left) = self.tracks.get_mut(track) else { return };
        left.members.remove(id);
        if !left.members.is_empty() {
            return self.suit(track);
        }
        self.tracks.remove(track);
        for slot in self.store.slots() {
            let connection = self.store.get_mut(slot);
            connection.running.remove(track);
            connection.announce.remove(track);
            if connection.waiting.contains(track) {
                connection.waiting.remove(track);
                self.settle_if_told(slot);
            }
        }
    }
}
