//! Whatever order things happen in, the deltas handed out add up to what the kernel has counted.
//!
//! The model is a kernel in miniature: connections that count packets, events in a socket that can
//! overrun, dumps that are filled one chunk ahead of what has been read. And several destinations,
//! each with a ledger of its own: they come and go, change their timeouts, and take nothing for
//! as long as they like.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use proptest::prelude::*;

use super::*;
use crate::conntrack::{Counters, Tuple, tcp_state};

mod steps; // what happens, one step at a time

use steps::happening;

const TUPLES: u16 = 4;
const CHUNK: usize = 2;
const SECOND: u64 = 1_000_000_000;

/// What one destination has been told.
struct Ledger {
    id: Id,
    is_stalled: bool,
    /// How much of a connection it is not told at least, by start time.
    least: HashMap<u64, u64>,
    /// What others had been told of when this one came.
    others: HashSet<u64>,
    /// What was over by then.
    over: HashSet<u64>,
    /// By start time.
    told: HashMap<u64, Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    /// The totals less the deltas of the first record: what others had been told before.
    inherited: u64,
    packets: u64,
    reason: EndReason,
}

/// A connection as the kernel has it.
#[derive(Debug, Clone)]
struct Known {
    entry: Entry,
    /// Since they were zeroed.
    packets: u64,
    is_zeroed: bool,
    destroy_lost: bool,
}

/// What the meter has been told of a connection.
#[derive(Default)]
struct Heard {
    /// The counter as it was last, and what it had come to whenever it was zeroed.
    last: u64,
    before: u64,
    is_over: bool,
    has_ended: bool,
}

#[derive(Default)]
struct Kernel {
    alive: Vec<Known>,
    /// By start time, which is unique here.
    over: HashMap<u64, Known>,
    events: VecDeque<Entry>,
    starts: u64,
}

struct World {
    kernel: Kernel,
    meter: Meter,
    dump: Option<VecDeque<u64>>,
    filled: Vec<Entry>,
    now: u64,
    /// By start time.
    heard: HashMap<u64, Heard>,
    resets: u64,
    ledgers: Vec<Ledger>,
    /// Somebody has been told of these, by start time.
    known: HashSet<u64>,
}

impl Known {
    fn tell(&self, kind: Kind) -> Entry {
        let packets = self.packets;
        let counters = Counters { packets, octets: 9 * packets, ..Counters::default() };
        match kind {
            Kind::New | Kind::Update => Entry { kind, start_ns: None, ..self.entry },
            Kind::Dump => Entry { kind, counters: Some(counters), ..self.entry },
            Kind::Destroy => Entry {
                kind,
                counters: Some(counters),
                status: status::DYING,
                stop_ns: Some(self.entry.start_ns.unwrap() + 1),
                ..self.entry
            },
        }
    }

    fn start(&self) -> u64 {
        self.entry.start_ns.unwrap()
    }
}

impl Kernel {
    /// At most one living connection per tuple; its id is that of the last one with the tuple.
    fn begin(&mut self, port: u16) {
        let end = |port| ([10, 0, 0, 1].into(), port);
        let original = Tuple::new(end(port), end(1), 17);
        if self.alive.iter().any(|known| known.entry.original == original) {
            return;
        }
        self.starts += 1;
        let entry = Entry {
            start_ns: Some(self.starts * 10),
            id: u32::from(port),
            ..Entry::new(Kind::New, original, Tuple::new(end(1), end(port), 17))
        };
        let known = Known { entry, packets: 1, is_zeroed: false, destroy_lost: false };
        self.events.push_back(known.tell(Kind::New));
        self.alive.push(known);
    }

    fn end(&mut self, index: usize) {
        let known = self.alive.swap_remove(index % self.alive.len());
        self.events.push_back(known.tell(Kind::Destroy));
        self.over.insert(known.start(), known);
    }

    fn lose_events(&mut self) {
        for lost in self.events.drain(..).filter(|event| event.kind == Kind::Destroy) {
            if let Some(known) = self.over.get_mut(&lost.start_ns.unwrap()) {
                known.destroy_lost = true;
            }
        }
    }
}

impl World {
    fn new() -> Self {
        Self {
            kernel: Kernel::default(),
            meter: Meter::new(Limits { connections: 10_000 }),
            dump: None,
            filled: Vec::new(),
            now: 1000 * SECOND,
            heard: HashMap::new(),
            resets: 0,
            ledgers: Vec::new(),
            known: HashSet::new(),
        }
    }

    fn read_events(&mut self, count: usize) {
        for _ in 0..count.min(self.kernel.events.len()) {
            let event = self.kernel.events.pop_front().unwrap();
            self.observe(&event);
        }
    }

    fn observe(&mut self, entry: &Entry) {
        if let (Some(start), Some(counters)) = (entry.start_ns, entry.counters) {
            let is_reset = self.heard.entry(start).or_default().hear(entry, counters.packets);
            self.resets += u64::from(is_reset);
        }
        self.meter.observe(entry, self.now);
    }

    fn start_dump(&mut self) {
        self.dump = Some(self.kernel.alive.iter().map(Known::start).collect());
        self.meter.dump_started(0);
        self.fill();
    }

    /// Prepares the next chunk of what is still alive.
    fn fill(&mut self) {
        self.filled.clear();
        let Some(dump) = &mut self.dump else { return };
        while self.filled.len() < CHUNK
            && let Some(start) = dump.pop_front()
        {
            if let Some(known) = self.kernel.alive.iter().find(|it| it.start() == start) {
                self.filled.push(known.tell(Kind::Dump));
            }
        }
    }

    fn read_chunk(&mut self) {
        if self.dump.is_none() {
            return;
        }
        let chunk = std::mem::take(&mut self.filled);
        self.fill();
        for entry in &chunk {
            self.observe(entry);
        }
        if chunk.is_empty() {
            self.dump = None;
            self.read_events(usize::MAX);
            self.meter.dump_finished(0, true);
        }
    }

    fn add(&mut self, active: u64) {
        if let Some(id) = self.meter.add(timeouts(active), self.now) {
            let least = self.least(id);
            self.ledgers.push(Ledger {
                id,
                is_stalled: false,
                least,
                others: self.known.clone(),
                over: self.kernel.over.keys().copied().collect(),
                told: HashMap::new(),
            });
        }
    }

    /// What others have been told already, which one that comes now is not told again: as much as
    /// those told together with it, or if there are none, as anybody.
    fn least(&self, id: Id) -> HashMap<u64, u64> {
        let track = |id: Id| self.meter.members[usize::from(id.0)].as_ref().map(|it| it.track);
        let far = |ledger: &Ledger, start: &u64| {
            ledger.told.get(start).map_or(0, |told| told.inherited + told.packets)
        };
        let least = |start: &u64| {
            let mates = self.ledgers.iter().filter(|it| track(it.id) == track(id));
            let mates = mates.map(|ledger| far(ledger, start)).min();
            let any = self.ledgers.iter().map(|ledger| far(ledger, start)).max();
            (*start, mates.or(any).unwrap_or(0))
        };
        self.known.iter().map(least).collect()
    }

    fn take(&mut self, max: usize) {
        let mut ready = Set::EMPTY;
        for ledger in self.ledgers.iter().filter(|ledger| !ledger.is_stalled) {
            ready.insert(ledger.id);
        }
        let Self { meter, ledgers, known, .. } = self;
        let now = self.now;
        let waits = |due: &Due<'_>| due.id.is_multiple_of(4) && now < due.end_ns + 2 * SECOND;
        let handed_out = meter.due(now, max, ready, waits, |due, offer| {
            assert!(offer.to.without(ready).is_empty(), "told to one that takes nothing");
            for ledger in ledgers.iter_mut().filter(|ledger| offer.to.contains(ledger.id)) {
                ledger.note(due);
            }
            known.insert(due.start_ns);
            offer.late
        });
        assert!(handed_out <= max);
    }

    fn pay(&mut self, index: usize, max: usize) {
        let count = self.ledgers.len().max(1);
        let Some(ledger) = self.ledgers.get_mut(index % count) else { return };
        if !ledger.is_stalled {
            self.meter.pay(ledger.id, max, |due| ledger.note(due));
        }
    }

    /// Everything ends, is told, and is taken.
    fn finish(mut self) {
        while !self.kernel.alive.is_empty() {
            self.kernel.end(0);
        }
        self.read_events(usize::MAX);
        // The first closes what is left, the second forgets the vanished.
        for _ in 0..2 {
            self.start_dump();
            while self.dump.is_some() {
                self.read_chunk();
            }
            self.now += 60 * SECOND;
            self.take(usize::MAX);
            for index in 0..self.ledgers.len() {
                self.ledgers[index].is_stalled = false;
                self.pay(index, usize::MAX);
            }
            self.take(usize::MAX);
        }
        self.start_dump();
        while self.dump.is_some() {
            self.read_chunk();
        }
        let stats = self.meter.stats();
        assert_eq!((stats.stored, stats.live, stats.closed_waiting), (0, 0, 0));
        self.check();
    }

    fn check(&self) {
        for ledger in &self.ledgers {
            for (start, known) in &self.kernel.over {
                let heard = self.heard.get(start).map_or(0, |heard| heard.before + heard.last);
                let all = ledger.told.get(start).map_or(0, |told| told.inherited + told.packets);
                // Who came later may have nothing to be told of what others know.
                let is_others = ledger.others.contains(start) || ledger.over.contains(start);
                assert!(all == heard || all == 0 && is_others, "{all} of {heard}: {known:?}");
                let is_whole = !known.destroy_lost && !known.is_zeroed;
                assert!(!is_whole || heard == known.packets, "{known:?}");
            }
            let mut strangers = ledger.told.keys().filter(|it| !self.kernel.over.contains_key(it));
            assert_eq!(strangers.next(), None);
        }
        assert_eq!(self.meter.stats().counter_resets, self.resets);
    }
}

impl Heard {
    /// Takes in what is said. Returns whether the counter has been zeroed.
    fn hear(&mut self, entry: &Entry, packets: u64) -> bool {
        let is_ghost = entry.kind == Kind::Dump && self.has_ended;
        let is_late = entry.kind == Kind::Dump && self.is_over && packets < self.last;
        if is_ghost || is_late {
            return false;
        }
        let is_reset = packets < self.last;
        self.before += if is_reset { self.last } else { 0 };
        self.last = packets;
        self.is_over |= entry.tcp_state.is_some();
        self.has_ended |= entry.kind == Kind::Destroy;
        is_reset
    }
}

impl Ledger {
    fn note(&mut self, due: &Due<'_>) {
        let (total, delta) = (due.totals.packets, due.deltas.packets);
        let inherited = total.checked_sub(delta).expect("no more than there is");
        let first = Told { inherited, packets: 0, reason: EndReason::ActiveTimeout };
        let is_new = !self.told.contains_key(&due.start_ns);
        let told = self.told.entry(due.start_ns).or_insert(first);
        if is_new {
            let least = self.least.get(&due.start_ns).copied().unwrap_or(0);
            assert!(inherited >= least, "told again what others know");
            assert!(
                inherited == 0 || self.others.contains(&due.start_ns),
                "something was left out"
            );
        } else {
            assert!(delta > 0, "a record without news");
        }
        assert_ne!(told.reason, EndReason::EndOfFlow, "a record after the end");
        told.packets += delta;
        told.reason = due.reason;
        assert_eq!(told.inherited + told.packets, total, "the sum of what was told");
    }
}

fn timeouts(active: u64) -> Timeouts {
    Timeouts::new(Duration::from_secs(active), Duration::from_secs(8))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn deltas_add_up_for_each_destination(first in prop::collection::vec(4..13_u64, 0..9), happenings in prop::collection::vec(happening(), 0..160)) {
        let mut world = World::new();
        for active in first {
            world.add(active);
        }
        for happening in &happenings {
            world.happen(happening);
        }
        world.finish();
    }
}
