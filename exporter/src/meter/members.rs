//! Destinations that come, go, and change their timeouts.

use super::connection::State;
use super::debts::{Class, Debts};
use super::list::CLOSED;
use super::set::{Id, MAX_DESTINATIONS, Set};
use super::settings::{Lag, Timeouts};
use super::spread::Spread;
use super::track::Track;
use super::{EndReason, Meter};
use crate::conntrack::Counters;

/// A destination: what it shares with others, and what it does not.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) track: Id,
    pub(super) debts: Debts,
    pub(super) due: u64,
    pub(super) coalesced: u64,
    pub(super) lost: u64,
}

/// The tracks there are.
#[derive(Debug)]
pub(super) struct Tracks {
    places: [Option<Track>; MAX_DESTINATIONS],
    all: Set,
}

impl Tracks {
    pub(super) fn new() -> Self {
        Self { places: [const { None }; MAX_DESTINATIONS], all: Set::EMPTY }
    }

    pub(super) const fn all(&self) -> Set {
        self.all
    }

    pub(super) fn get(&self, id: Id) -> Option<&Track> {
        self.places.get(usize::from(id.0))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Track> {
        self.places.get_mut(usize::from(id.0))?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &Track)> {
        self.all.iter().filter_map(|id| Some((id, self.get(id)?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Id, &mut Track)> {
        (0..).map(Id).zip(&mut self.places).filter_map(|(id, track)| Some((id, track.as_mut()?)))
    }

    /// There are never more tracks than destinations.
    fn add(&mut self, track: Track) -> Option<Id> {
        let (id, place) = (0..).map(Id).zip(&mut self.places).find(|(_, it)| it.is_none())?;
        *place = Some(track);
        self.all.insert(id);
        Some(id)
    }

    fn remove(&mut self, id: Id) {
        self.places[usize::from(id.0)] = None;
        self.all.remove(id);
    }
}

impl Meter {
    /// Adds a destination; `None` if there are [`MAX_DESTINATIONS`].
    ///
    /// Of a connection that somebody has been told of it is told the totals once, with deltas of
    /// zero, and deltas count from there; of any other everything. One that shares its timeouts
    /// with another destination counts from what that one has been told.
    pub fn add(&mut self, timeouts: Timeouts, now: u64) -> Option<Id> {
        let place = self.members.iter().position(Option::is_none)?;
        let id = Id(u8::try_from(place).ok()?);
        let like = self.tracks.iter().find(|(_, track)| track.timeouts == timeouts);
        let member =
            |track| Member { track, debts: Debts::default(), due: 0, coalesced: 0, lost: 0 };
        if let Some((track, _)) = like {
            self.members[place] = Some(member(track));
            self.join(id, track);
        } else {
            let track = self.tracks.add(Track::new(timeouts, id))?;
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

    /// New timeouts hold for each connection from the next time it is due. Nothing is told twice
    /// for it, and nothing is left out.
    pub fn set_timeouts(&mut self, id: Id, timeouts: Timeouts, now: u64) {
        let Some(member) = &self.members[usize::from(id.0)] else { return };
        let from = member.track;
        let Some(track) = self.tracks.get_mut(from) else { return };
        if track.timeouts == timeouts {
            return;
        }
        let mut alone = Set::EMPTY;
        alone.insert(id);
        if track.members == alone {
            track.timeouts = timeouts;
        } else {
            self.part(id, from, timeouts, now);
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
        let Some(track) = self.tracks.get(member.track) else { return 0 };
        let untold = self.store.slots().filter(|&slot| {
            let connection = self.store.get(slot);
            member.debts.get(slot).is_some()
                || connection.waiting.contains(member.track)
                || connection.state == State::Live
                    && connection.has_news(member.track, &track.told.get(slot).counters)
        });
        untold.count() as u64
    }

    /// Begins a track with what is known. Closed connections are the business of those who were
    /// there, unless they turn out to live after all.
    fn begin(&mut self, track: Id, now: u64) {
        let Some(begun) = self.tracks.get_mut(track) else { return };
        let mut spread = Spread::default();
        for slot in self.store.slots() {
            let connection = self.store.get_mut(slot);
            let is_inherited = connection.is_known;
            let told = if is_inherited { connection.totals() } else { Counters::default() };
            begun.begin(slot, told);
            if is_inherited {
                connection.announce.insert(track);
            }
            if connection.state == State::Live {
                connection.running.insert(track);
                begun.start(slot, connection.end_ns, now);
                begun.advance(slot, spread.find(), now);
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
            let is_told = joined.told.get(slot).counters != Counters::default();
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
        let Some(to) = self.tracks.add(Track::new(timeouts, id)) else { return };
        let Self { store, tracks, members, .. } = self;
        let Some(member) = &mut members[usize::from(id.0)] else { return };
        member.track = to;
        let debts = std::mem::take(&mut member.debts);
        // They become part of what is due next.
        member.coalesced += debts.len() as u64;
        for slot in store.slots() {
            let connection = store.get_mut(slot);
            let debt = debts.get(slot);
            let Some(old) = tracks.get(from) else { return };
            let told = old.told.get(slot).counters;
            let told = debt.map_or(told, |debt| told.zip(debt.deltas, u64::wrapping_sub));
            let is_announced = connection.announce.contains(from) || debt.is_some();
            let waits = connection.waiting.contains(from) || debt.is_some();
            let Some(new) = tracks.get_mut(to) else { return };
            new.begin(slot, told);
            connection.debts -= u8::from(debt.is_some());
            if is_announced {
                connection.announce.insert(to);
            }
            if connection.state == State::Live {
                connection.running.insert(to);
                new.start(slot, connection.end_ns, now);
            } else if waits {
                connection.waiting.insert(to);
                new.lists.push_back(CLOSED, slot);
                new.closed += 1;
            }
        }
        self.leave(id, from);
    }

    /// Takes a destination out of a track, which ends with its last one.
    fn leave(&mut self, id: Id, track: Id) {
        let Some(left) = self.tracks.get_mut(track) else { return };
        left.members.remove(id);
        if !left.members.is_empty() {
            return;
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
