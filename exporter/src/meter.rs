//! The Metering Process (RFC 7011, section 2): what conntrack tells becomes flow records in time.
//!
//! [`Meter`] remembers every connection and what each destination has been told of it. Its
//! promise: for each destination and connection, the deltas handed out add up to the kernel's
//! final totals, and each piece of traffic is handed out once, whatever order dumps and events
//! come in. It makes no difference to the meter how slowly its caller takes records: they wait in
//! the store, at most one per connection and destination, and grow instead of queueing up.
//!
//! Destinations with the same timeouts share a track, and are told the same at the same time. One
//! that cannot take a record then is owed it, and gets it first of all when it can; it neither
//! blocks nor slows the others. Only when so many closed connections wait that there would soon be
//! no room for living ones, the oldest are given up, of whoever is most behind, and counted.
//!
//! Time is an argument: nanoseconds since 1970 that never go backwards.
//!
//! # Ghosts
//!
//! Dumps and events come by different sockets, and the kernel fills the next chunk of a dump while
//! the current one is read. So a `DESTROY` event can overtake a dump entry of the same connection.
//! While a dump of its zone is under way a closed connection therefore keeps its place as a
//! tombstone, and a dump entry never re-opens it. Outside of a dump there are no ghosts: the
//! kernel sends the event before it unlinks the connection, with the `DYING` status set already.
//!
//! # The vanished
//!
//! When events were lost, a `DESTROY` may be among them. A complete dump that did not show a
//! connection proves its end. The connection is closed with what was last known, and remembered
//! until after the next dump in case its `DESTROY` comes late.
mod connection; // one connection, in three cache lines
mod due; // what is handed out
mod set; // sets of destinations
mod list; // intrusive lists
mod column; // what there is once for each slot
mod settings; // timeouts and limits, and what became of them
mod store; // slots, found by key
mod queue; // slots that wait
mod moment; // deadlines in four bytes
mod told; // how far connections have been told
mod track; // what destinations with the same timeouts share
mod tracks; // all of them
mod debts; // what one destination has not been told yet
mod members; // destinations come and go
mod telling; // what is due is told
mod spread; // what is found together is not due together
mod trail; // slots, in the order of dumps
mod wheel; // slots, found by time
mod timers; // what is due when
mod zones; // what is dumped
mod ending; // connections end

#[cfg(test)]
mod model; // any interleaving adds up
#[cfg(test)]
mod tests;

use crate::conntrack::{Counters, Entry, Kind, status};
use crate::filter::ProtocolFilter;
use connection::{Connection, State};
pub use due::{Due, EndReason};
use list::Lists;
use members::Member;
pub use set::{Id, MAX_DESTINATIONS, Set};
pub use settings::{Lag, Limits, Stats, Timeouts};
use spread::Spread;
use store::{Key, Store};
pub use telling::Offer;
use track::Track;
use tracks::Tracks;
use wheel::Wheel;
use zones::Zone;

/// Remembers connections until everything about them is reported.
#[derive(Debug)]
pub struct Meter {
    store: Store,
    lists: Lists,
    wheel: Wheel,
    tracks: Tracks,
    members: [Option<Member>; MAX_DESTINATIONS],
    limits: Limits,
    /// Zones that have been dumped, one entry each.
    zones: Vec<Zone>,
    /// Counts dumps; a connection keeps the number at which it was last heard of.
    dump_number: u32,
    /// What the dumps under way have found.
    spread: Spread,
    /// By protocol: connections that began before belong to whoever recorded before us.
    began: Box<[u64; 256]>,
    stats: Stats,
}

impl Meter {
    /// Without a destination, to which nothing is told.
    pub fn new(limits: Limits) -> Self {
        Self {
            store: Store::new(limits.connections),
            lists: Lists::new(),
            wheel: Wheel::default(),
            tracks: Tracks::new(),
            members: [const { None }; MAX_DESTINATIONS],
            limits,
            zones: Vec::new(),
            dump_number: 0,
            spread: Spread::default(),
            began: Box::new([0; 256]),
            stats: Stats::default(),
        }
    }

    pub fn stats(&self) -> Stats {
        let held = self.tracks.iter().map(|(_, track)| track.held.len() as u64).sum();
        Stats { stored: self.store.len() as u64, held, ..self.stats }
    }

    /// What is first heard of connections of these protocols that began before `began` (nanoseconds
    /// since 1970) was told by an exporter before this one, or happened before anything was
    /// recorded. It is told once in totals with deltas of zero, and deltas count from there.
    pub fn inherit_before(&mut self, began: u64, protocols: &ProtocolFilter) {
        for (protocol, place) in (0..=u8::MAX).zip(self.began.iter_mut()) {
            if protocols.allows(protocol) {
                *place = began;
            }
        }
    }

    fn began(&self, entry: &Entry) -> u64 {
        self.began[usize::from(entry.original.protocol())]
    }

    /// Takes in what the kernel says about a connection.
    pub fn observe(&mut self, entry: &Entry, now: u64) {
        let key = Key::of(entry);
        let zone = match entry.kind {
            Kind::Dump => self.zones.iter_mut().find(|it| it.number == entry.zone),
            Kind::New | Kind::Update | Kind::Destroy => None,
        };
        let Some(zone) = zone.filter(|zone| zone.dump.is_some()) else {
            self.look_up(key, entry, now);
            return;
        };
        if let Some(slot) = zone.trail.follow(&self.store, &key, entry) {
            self.stats.known += 1;
            self.update(slot, entry, now);
        } else if let Some(slot) = self.look_up(key, entry, now)
            && let Some(zone) = self.zones.iter_mut().find(|it| it.number == entry.zone)
        {
            zone.trail.rejoin(&self.store, slot);
        }
    }

    /// Finds the connection by its key, or begins one. Returns where it is.
    fn look_up(&mut self, key: Key, entry: &Entry, now: u64) -> Option<u32> {
        let hash = self.store.hash(&key);
        if let Some(slot) = self.store.find(hash, &key, entry) {
            self.stats.known += 1;
            match entry.kind {
                Kind::Destroy => self.destroyed(slot, entry, now),
                Kind::Dump | Kind::New | Kind::Update => self.seen(slot, entry, now),
            }
            return Some(slot);
        }
        if entry.kind == Kind::Dump && entry.status & status::DYING != 0 {
            // The event of its end has been taken or is on its way.
            self.stats.late += 1;
            return None;
        }
        let mut connection = Connection::new(key, entry, self.dump_number, now);
        let began = self.began(entry);
        if began > 0 && is_old(entry, began) {
            connection.inherit(self.tracks.all());
        }
        let totals = connection.totals();
        let told = if connection.is_known { totals } else { Counters::default() };
        let Some(slot) = self.store.insert(hash, connection, &mut self.lists) else {
            self.stats.refused += 1;
            return None;
        };
        self.stats.inserted += 1;
        self.count_live(slot, true);
        self.tracks.begin_all(slot, told, totals, now);
        let earlier = (entry.kind == Kind::Dump).then(|| self.spread.find());
        self.activate(slot, earlier, now);
        if entry.kind == Kind::Destroy {
            self.destroyed(slot, entry, now);
        }
        Some(slot)
    }

    /// A known connection was seen in a dump, or an event says that it changed.
    fn seen(&mut self, slot: u32, entry: &Entry, now: u64) {
        match self.store.get(slot).state {
            State::Live => {}
            // A ghost.
            State::Destroyed => return,
            State::Vanished => self.revive(slot, now),
        }
        self.update(slot, entry, now);
    }

    fn update(&mut self, slot: u32, entry: &Entry, now: u64) {
        let began = self.began(entry);
        let connection = self.store.get_mut(slot);
        connection.seen = self.dump_number;
        if connection.is_ahead_of(entry) {
            return;
        }
        let is_inherited = connection.turns_out_old(entry, began);
        let news = connection.update(entry, now);
        if let Some(before) = news.strode_from {
            self.tracks.told.stride(slot, before, connection.totals());
        }
        if is_inherited {
            connection.inherit(self.tracks.all());
            let totals = connection.totals();
            for id in self.tracks.all().iter() {
                self.tracks.told.set(id, slot, totals, totals);
            }
        }
        self.stats.counter_resets += u64::from(news.reset);
        if news.counters && connection.running != self.tracks.all() {
            self.activate(slot, None, now);
        }
        if entry.counters.is_some() && self.store.get(slot).is_over() {
            self.hurry(slot, now);
        }
    }
}

/// Whether the first that is heard of a connection shows that it began before `began`.
fn is_old(entry: &Entry, began: u64) -> bool {
    match (entry.kind, entry.start_ns) {
        _ if entry.denied.is_some() => false,
        (Kind::New, _) => false,
        // Without the kernel's timestamps a connection that no event announced counts as old.
        (kind, None) => kind == Kind::Dump,
        (_, Some(start)) => start < began,
    }
}
