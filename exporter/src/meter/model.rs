//! Whatever order things happen in, the deltas handed out add up to what the kernel has counted.
//!
//! The model is a kernel in miniature: connections that count packets, events in a socket that can
//! overrun, dumps that are filled one chunk ahead of what has been read.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use proptest::prelude::*;

use super::*;
use crate::conntrack::{Counters, Tuple};

const TUPLES: u16 = 4;
const CHUNK: usize = 2;
const SECOND: u64 = 1_000_000_000;

#[derive(Debug, Clone)]
enum Happening {
    Begin(u16),
    Traffic(usize, u64),
    End(usize),
    ReadEvents(usize),
    LoseEvents,
    StartDump,
    ReadChunk,
    AbandonDump,
    Take(usize),
    Wait(u64),
}

/// A connection as the kernel has it.
#[derive(Debug, Clone)]
struct Known {
    entry: Entry,
    packets: u64,
    destroy_lost: bool,
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
    /// By start time: the packets that the meter has been told of.
    told: HashMap<u64, u64>,
    /// By start time: the packets handed out, and whether the end was.
    taken: HashMap<u64, (u64, EndReason)>,
}

impl Known {
    fn tell(&self, kind: Kind) -> Entry {
        let packets = self.packets;
        let counters = Counters { packets, octets: packets, reverse_packets: 0, reverse_octets: 0 };
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
        let known = Known { entry, packets: 1, destroy_lost: false };
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
        let timeouts = Timeouts::new(Duration::from_secs(5), Duration::from_secs(8));
        Self {
            kernel: Kernel::default(),
            meter: Meter::new(timeouts, Limits { connections: 10_000 }),
            dump: None,
            filled: Vec::new(),
            now: 1000 * SECOND,
            told: HashMap::new(),
            taken: HashMap::new(),
        }
    }

    fn happen(&mut self, happening: &Happening) {
        let alive = self.kernel.alive.len();
        match *happening {
            Happening::Begin(port) => self.kernel.begin(port),
            Happening::Traffic(index, packets) if alive > 0 => {
                self.kernel.alive[index % alive].packets += packets;
            }
            Happening::End(index) if alive > 0 => self.kernel.end(index),
            Happening::Traffic(..) | Happening::End(_) => {}
            Happening::ReadEvents(count) => self.read_events(count),
            Happening::LoseEvents => self.kernel.lose_events(),
            Happening::StartDump => self.start_dump(),
            Happening::ReadChunk => self.read_chunk(),
            Happening::AbandonDump => {
                self.dump = None;
                self.meter.dump_finished(0, false);
            }
            Happening::Take(max) => self.take(max),
            Happening::Wait(seconds) => self.now += seconds * SECOND,
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
            let told = self.told.entry(start).or_default();
            *told = counters.packets.max(*told);
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

    fn take(&mut self, max: usize) {
        let taken = &mut self.taken;
        let handed_out = self.meter.due(self.now, max, |due| {
            assert!(due.deltas.packets > 0, "a record without news");
            let first = (0, EndReason::ActiveTimeout);
            let (packets, reason) = taken.entry(due.start_ns).or_insert(first);
            assert_ne!(*reason, EndReason::EndOfFlow, "a record after the end");
            *packets += due.deltas.packets;
            *reason = due.reason;
            assert_eq!(*packets, due.totals.packets);
        });
        assert!(handed_out <= max);
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
        for (start, known) in &self.kernel.over {
            let taken = self.taken.get(start).map_or(0, |&(packets, _)| packets);
            let told = self.told.get(start).copied().unwrap_or(0);
            assert_eq!(taken, told, "{known:?}");
            assert!(known.destroy_lost || told == known.packets, "{known:?}");
        }
        let strangers = self.taken.keys().filter(|start| !self.kernel.over.contains_key(start));
        assert_eq!(strangers.count(), 0);
        assert_eq!(self.meter.stats().counter_resets, 0);
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let any_index = 0..100_usize;
    prop_oneof![
        4 => (0..TUPLES).prop_map(Happening::Begin),
        4 => (any_index.clone(), 1..100_u64).prop_map(|(at, n)| Happening::Traffic(at, n)),
        3 => any_index.prop_map(Happening::End),
        4 => (0..5_usize).prop_map(Happening::ReadEvents),
        1 => Just(Happening::LoseEvents),
        2 => Just(Happening::StartDump),
        6 => Just(Happening::ReadChunk),
        1 => Just(Happening::AbandonDump),
        2 => (0..4_usize).prop_map(Happening::Take),
        2 => (0..8_u64).prop_map(Happening::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn deltas_add_up(happenings in prop::collection::vec(happening(), 0..120)) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
        world.finish();
    }
}
