//! The tracks there are, what has been told in each, and when more is.

use super::moment::Moment;
use super::set::{Id, Set};
use super::settings::Timeouts;
use super::spread::Earlier;
use super::told::Told;
use super::track::Track;
use crate::conntrack::Counters;

/// How many different timeouts are kept apart: more would take more memory per connection than
/// there is to be.
pub(super) const MAX_TRACKS: usize = 8;

#[derive(Debug)]
pub(super) struct Tracks {
    places: [Option<Track>; MAX_TRACKS],
    pub(super) told: Told,
}

impl Tracks {
    pub(super) fn new() -> Self {
        Self { places: [const { None }; MAX_TRACKS], told: Told::default() }
    }

    pub(super) const fn all(&self) -> Set {
        self.told.tracks()
    }

    pub(super) fn get(&self, id: Id) -> Option<&Track> {
        self.places.get(usize::from(id.0))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Track> {
        self.places.get_mut(usize::from(id.0))?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &Track)> {
        self.all().iter().filter_map(|id| Some((id, self.get(id)?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Id, &mut Track)> {
        (0..).map(Id).zip(&mut self.places).filter_map(|(id, track)| Some((id, track.as_mut()?)))
    }

    /// The track most like another one for which there is no room; `None` if there is.
    pub(super) fn nearest(&self, timeouts: Timeouts) -> Option<Id> {
        let is_full = self.all().len() >= MAX_TRACKS;
        let nearest = self.iter().min_by_key(|(_, track)| track.timeouts.distance(timeouts));
        nearest.filter(|_| is_full).map(|(id, _)| id)
    }

    /// There must be less than [`MAX_TRACKS`].
    pub(super) fn add(&mut self, timeouts: Timeouts, member: Id) -> Option<Id> {
        let (id, place) = (0..).map(Id).zip(&mut self.places).find(|(_, it)| it.is_none())?;
        *place = Some(Track::new(id, timeouts, member));
        self.told.insert(id);
        Some(id)
    }

    pub(super) fn remove(&mut self, id: Id) {
        self.places[usize::from(id.0)] = None;
        self.told.remove(id);
    }

    /// Begins with the connection at `slot`, of whose `totals` so much has been told.
    pub(super) fn begin(&mut self, id: Id, slot: u32, told: Counters, totals: Counters, now: u64) {
        self.told.set(id, slot, told, totals);
        self.told.set_deadline(id, slot, Moment::never(now));
    }

    /// As [`Tracks::begin`], for a new connection and all tracks.
    pub(super) fn begin_all(&mut self, slot: u32, told: Counters, totals: Counters, now: u64) {
        self.told.reach(slot);
        for id in self.all().iter() {
            self.begin(id, slot, told, totals, now);
        }
    }

    /// Starts the timers of a connection.
    ///
    /// News that come soon after there were none at a deadline are told at once: a dump may be
    /// just a little later than the deadline, again and again.
    pub(super) fn start(&mut self, id: Id, slot: u32, now: u64) {
        let active = self.timeouts(id).active;
        let late_by = now.checked_sub(self.told.deadline(id, slot, now));
        if late_by.is_none_or(|late_by| late_by >= active) {
            let deadline = Moment::at(now.saturating_add(active), now);
            self.told.set_deadline(id, slot, deadline);
        }
    }

    /// Has a connection whose timers have just been started be due earlier, for the first time.
    pub(super) fn advance(&mut self, id: Id, slot: u32, earlier: Earlier, now: u64) {
        let Timeouts { active, idle } = self.timeouts(id);
        let interval = active.min(idle);
        if let Some(by) = earlier.by(interval) {
            let deadline = Moment::at(now.saturating_add(interval - by), now);
            self.told.set_deadline(id, slot, deadline);
        }
    }

    /// Has a connection be due within an interval, whatever its timers were started with.
    pub(super) fn hasten(&mut self, id: Id, slot: u32, earlier: Earlier, now: u64) {
        let latest = now.saturating_add(self.timeouts(id).active);
        if self.told.deadline(id, slot, now) > latest {
            self.told.set_deadline(id, slot, Moment::at(latest, now));
            self.advance(id, slot, earlier, now);
        }
    }

    /// Starts the timers again after a report, without drifting if that was in time.
    pub(super) fn renew(&mut self, id: Id, slot: u32, now: u64) {
        let active = self.timeouts(id).active;
        let next = self.told.deadline(id, slot, now).saturating_add(active);
        let next = if next > now { next } else { now.saturating_add(active) };
        self.told.set_deadline(id, slot, Moment::at(next, now));
    }

    /// Has a connection be due at once. Returns false if it is already.
    pub(super) fn hurry(&mut self, id: Id, slot: u32, now: u64) -> bool {
        let is_early = self.told.deadline(id, slot, now) > now;
        if is_early {
            self.told.set_deadline(id, slot, Moment::at(now, now));
        }
        is_early
    }

    /// When a connection whose counters last changed at `end` is due, if nothing happens until
    /// then.
    pub(super) fn deadline(&self, id: Id, slot: u32, end: u64, now: u64) -> u64 {
        let idle = self.timeouts(id).idle;
        self.told.deadline(id, slot, now).min(end.saturating_add(idle))
    }

    fn timeouts(&self, id: Id) -> Timeouts {
        self.get(id).map_or(Timeouts { active: u64::MAX, idle: u64::MAX }, |it| it.timeouts)
    }
}
