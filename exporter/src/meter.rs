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
mod track; // what destinations with the same timeouts have been told
mod debts; // what one of them has not been told yet
mod members; // destinations come and go
mod telling; // what is due is told
mod spread; // what is found together is not due together
mod trail; // slots, in the order of dumps
mod wheel; // slots, found by time

#[cfg(test)]
mod model; // any interleaving adds up
#[cfg(test)]
mod tests;

use crate::conntrack::{Counters, Entry, Kind, status};
use crate::filter::ProtocolFilter;
use connection::{Connection, State};
use debts::Class;
pub use due::{Due, EndReason};
use list::{CLOSED, Lists, STORE_LISTS, TOMBSTONES};
use members::{Member, Tracks};
pub use set::{Id, MAX_DESTINATIONS, Set};
pub use settings::{Lag, Limits, Stats, Timeouts};
use spread::Spread;
use store::{Key, Store};
pub use telling::Offer;
use track::{LOOK, MAX_HELD, Track};
use trail::Trail;

/// Remembers connections until everything about them is reported.
#[derive(Debug)]
pub struct Meter {
    store: Store,
    lists: Lists,
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

/// A zone that is dumped from time to time.
#[derive(Debug)]
struct Zone {
    number: u16,
    /// The dump under way, by its place among all dumps.
    dump: Option<u32>,
    trail: Trail,
    /// Connections alive now, without those that were denied.
    live: u64,
}

impl Meter {
    /// Without a destination, to which nothing is told.
    pub fn new(limits: Limits) -> Self {
        Self {
            store: Store::new(limits.connections),
            lists: Lists::new(STORE_LISTS),
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
        let held = self.tracks.iter().map(|(_, track)| track.held as u64).sum();
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

    /// A dump of `zone` begins. One that was under way there is forgotten.
    pub fn dump_started(&mut self, zone: u16) {
        self.dump_number = self.dump_number.wrapping_add(1);
        if self.zones.iter().all(|zone| zone.dump.is_none()) {
            self.spread = Spread::default();
        }
        let number = self.dump_number;
        let zone = self.zone(zone);
        zone.dump = Some(number);
        zone.trail.restart();
    }

    fn zone(&mut self, number: u16) -> &mut Zone {
        let at = self.zones.iter().position(|it| it.number == number).unwrap_or_else(|| {
            self.zones.push(Zone { number, dump: None, trail: Trail::default(), live: 0 });
            self.zones.len() - 1
        });
        &mut self.zones[at]
    }

    /// How many connections of a zone are alive, without those that were denied.
    pub fn live_in(&self, zone: u16) -> u64 {
        self.zones.iter().find(|it| it.number == zone).map_or(0, |it| it.live)
    }

    /// One connection more is alive, or one less.
    fn count_live(&mut self, slot: u32, more: bool) {
        let connection = self.store.get(slot);
        let (zone, is_denied) = (connection.key.zone, connection.denied.is_some());
        let step = |count: &mut u64| if more { *count += 1 } else { *count -= 1 };
        step(&mut self.stats.live);
        step(if is_denied { &mut self.stats.denied } else { &mut self.zone(zone).live });
    }

    /// The dump of `zone` has ended; `complete` if it showed every connection there is.
    ///
    /// All events that the source had when the dump ended must have been observed before, lest
    /// a connection be taken for vanished whose `DESTROY` event is still unread.
    pub fn dump_finished(&mut self, zone: u16, complete: bool) {
        let known = self.zones.iter_mut().find(|it| it.number == zone);
        let Some(number) = known.and_then(|known| known.dump.take()) else { return };
        self.release_tombstones(zone);
        if !complete {
            return;
        }
        for slot in self.store.slots() {
            let connection = self.store.get(slot);
            let unseen = connection.seen.wrapping_sub(number).cast_signed() < 0;
            // No dump shows what was denied.
            let is_dumped = connection.key.zone == zone && connection.denied.is_none();
            if unseen && is_dumped && connection.state == State::Live {
                self.stats.vanished += 1;
                self.close(slot, State::Vanished);
            }
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
        let told = if connection.is_known { connection.totals() } else { Counters::default() };
        let Some(slot) = self.store.insert(hash, connection, &mut self.lists) else {
            self.stats.refused += 1;
            return None;
        };
        self.stats.inserted += 1;
        self.count_live(slot, true);
        for (_, track) in self.tracks.iter_mut() {
            track.begin(slot, told);
        }
        self.activate(slot, now);
        if entry.kind == Kind::Dump {
            let earlier = self.spread.find();
            self.tracks.iter_mut().for_each(|(_, track)| track.advance(slot, earlier, now));
        }
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

    fn destroyed(&mut self, slot: u32, entry: &Entry, now: u64) {
        match self.store.get(slot).state {
            State::Live => {}
            State::Destroyed => return,
            State::Vanished => self.revive(slot, now),
        }
        self.update(slot, entry, now);
        self.store.get_mut(slot).end_ns = entry.stop_ns.unwrap_or(now);
        self.close(slot, State::Destroyed);
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
        if is_inherited {
            connection.inherit(self.tracks.all());
            let counters = connection.totals();
            self.tracks.iter_mut().for_each(|(_, it)| it.told.get_mut(slot).counters = counters);
        }
        self.stats.counter_resets += u64::from(news.reset);
        if news.counters && connection.running != self.tracks.all() {
            self.activate(slot, now);
        }
        if entry.counters.is_some() && self.store.get(slot).is_over() {
            self.hurry(slot, now);
        }
    }

    /// What is over is due at once, wherever it has news.
    fn hurry(&mut self, slot: u32, now: u64) {
        let connection = self.store.get(slot);
        for (id, track) in self.tracks.iter_mut() {
            let told = track.told.get_mut(slot);
            if connection.has_news(id, &told.counters) && told.active_deadline > now {
                told.active_deadline = now;
                track.lists.unlink(slot);
                track.wheel.push(&mut track.lists, slot, now, now);
            }
        }
    }

    /// Starts the timers of a connection wherever they do not run.
    fn activate(&mut self, slot: u32, now: u64) {
        let connection = self.store.get_mut(slot);
        for (id, track) in self.tracks.iter_mut() {
            if !connection.running.contains(id) {
                connection.running.insert(id);
                track.start(slot, connection.end_ns, now);
            }
        }
    }

    /// Undoes the closing of a connection that only seemed to have vanished.
    fn revive(&mut self, slot: u32, now: u64) {
        self.count_live(slot, true);
        let connection = self.store.get_mut(slot);
        connection.state = State::Live;
        // Its end waits to be told, or it is a tombstone.
        self.stats.closed_waiting -= u64::from(connection.is_awaited());
        self.stats.reappeared += 1;
        self.lists.unlink(slot);
        for (id, track) in self.tracks.iter_mut() {
            track.lists.unlink(slot);
            track.closed -= usize::from(connection.waiting.contains(id));
        }
        connection.waiting = Set::EMPTY;
        self.classify_debts(slot, Class::Live);
        self.activate(slot, now);
    }

    fn close(&mut self, slot: u32, state: State) {
        self.count_live(slot, false);
        let connection = self.store.get_mut(slot);
        connection.state = state;
        connection.running = Set::EMPTY;
        for (id, track) in self.tracks.iter_mut() {
            track.lists.unlink(slot);
            if connection.has_news(id, &track.told.get(slot).counters) {
                track.lists.push_back(CLOSED, slot);
                track.closed += 1;
                connection.waiting.insert(id);
            }
        }
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
    fn settle_if_told(&mut self, slot: u32) {
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

    fn release_tombstones(&mut self, zone: u16) {
        let mut next = self.lists.front(TOMBSTONES);
        while let Some(slot) = next {
            next = self.lists.after(slot);
            if self.store.get(slot).key.zone == zone {
                self.lists.unlink(slot);
                self.store.release(slot, &mut self.lists);
            }
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
