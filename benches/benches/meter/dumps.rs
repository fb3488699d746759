//! Every connection again and again: the observer's whole way from the kernel into the store.

use std::{
    cell::{Cell, RefCell},
    io,
    thread::{self, JoinHandle},
    time::Duration,
};

use benches::{Goals, cpu_time, median};
use exporter::{
    conntrack::{Counters, Entry, Kind},
    export::Batch,
    meter::{Due, Limits, Meter, Offer, Set, Timeouts},
    observe::Target,
};
use tokio::sync::mpsc;

use crate::{
    HEAP, ROUNDS, entry, least, node, row,
    watch::{self, destination, nanoseconds, now},
};

const POLL: Duration = Duration::from_secs(5);
/// Nothing is due before the end.
const ACTIVE: Duration = Duration::from_hours(1000);
/// With the same timeouts, and told everything.
const DESTINATIONS: u64 = 8;

const MOST_RATIO: f64 = 1.3;
const MOST_NS: f64 = 350.0;
const MOST_BYTES: f64 = 400.0;
const SIXTEEN: [u64; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MADE_UP: u32 = 100_000;

/// Memory of the store per connection.
pub(crate) fn memory(goals: &mut Goals) -> io::Result<()> {
    let cases: [(&str, &[u64]); 5] = [
        ("bytes of heap per connection, 1 destination", &[1]),
        ("bytes, 8 destinations", &[1; 8]),
        ("bytes, 8 destinations, timeouts of 2 kinds", &[1, 1, 1, 1, 2, 2, 2, 2]),
        ("bytes, 8 destinations, timeouts of 8 kinds", &[1, 2, 3, 4, 5, 6, 7, 8]),
        ("bytes, 16 destinations, timeouts of 16 kinds", &SIXTEEN),
    ];
    for (what, kinds) in cases {
        goals.result(what, bytes(kinds)?, MOST_BYTES);
    }
    goals.result("bytes, 8 kinds, each told at another moment", apart(1 << 20), MOST_BYTES);
    let far = apart(1 << 31);
    println!("{:<52} {far:>9.2}", "bytes, 8 kinds, each behind by 2 GiB or more");
    Ok(())
}

/// With made-up connections: each kind of timeouts has been told at another moment, and there were
/// `octets` more on each connection every time.
fn apart(octets: u64) -> f64 {
    let before = HEAP.bytes();
    let mut meter = Meter::new(Limits { connections: 2_000_000 });
    let active = |kind| Duration::from_hours(100 + kind);
    let kinds = (1..=8).map(|kind| Timeouts::new(active(kind), Duration::MAX));
    let ids: Vec<_> = kinds.filter_map(|timeouts| meter.add(timeouts, 0)).collect();
    (0..MADE_UP).for_each(|number| meter.observe(&entry(Kind::New, number), 0));
    for (kind, id) in (1..).zip(ids) {
        let now = nanoseconds(active(kind));
        meter.dump_started(0);
        for number in 0..MADE_UP {
            let counters = Counters { octets: octets * kind, ..Counters::default() };
            let entry = entry(Kind::Dump, number);
            meter.observe(&Entry { start_ns: Some(1), counters: Some(counters), ..entry }, now);
        }
        meter.dump_finished(0, true);
        let report = |_: &Due<'_>, offer: Offer| {
            assert!(offer.to.contains(id));
            Set::EMPTY
        };
        let told = meter.due(now, usize::MAX, Set::ALL, |_| false, report);
        assert_eq!(told, MADE_UP as usize);
    }
    (HEAP.bytes() - before) as f64 / f64::from(MADE_UP)
}

fn bytes(kinds: &[u64]) -> io::Result<f64> {
    let targets = kinds
        .iter()
        .zip(0..)
        .map(|(kind, number)| destination(number, ACTIVE * u32::try_from(*kind).unwrap_or(1)));
    let (targets, _queues): (Vec<_>, Vec<_>) =
        targets.map(|(target, queue, batches)| (target, (queue, batches))).unzip();
    let mut observer = watch::observer(&targets, POLL, now());
    let before = HEAP.bytes();
    watch::begin(&mut observer, now())?;
    // Twice, since the meter remembers the order of two dumps.
    for _ in 0..2 {
        let goal = observer.rounds() + 1;
        let later = now() + goal * nanoseconds(POLL);
        while observer.rounds() < goal {
            observer.observe(later).map_err(io::Error::other)?;
        }
    }
    Ok((HEAP.bytes() - before) as f64 / observer.meter.stats().stored as f64)
}

/// What the rounds have come to.
#[derive(Default)]
struct Rounds {
    least: Vec<Duration>,
    parsed: Vec<Duration>,
    idle: Vec<Duration>,
    busy: Vec<Duration>,
    allocations: u64,
    /// When the round under way began, by the clocks of CPU and heap.
    began: (Duration, u64),
}

/// Runs the observer's own loop in virtual time, and the others in between.
pub(crate) fn rounds(goals: &mut Goals, connections: u32) -> io::Result<()> {
    let mut queues = Vec::new();
    let (targets, readers): (Vec<_>, Vec<_>) =
        (0..DESTINATIONS).map(|number| reader(number, &mut queues)).unzip();
    let start = now();
    let mut observer = watch::observer(&targets, POLL, start);
    // The observer has them now, and with it they end.
    drop(queues);
    watch::begin(&mut observer, start)?;
    let stored = observer.meter.stats().stored;
    assert_eq!(stored, u64::from(connections));
    let (clock, done) = (Cell::new(start), Cell::new(0));
    let rounds = RefCell::new(Rounds::default());
    let on_round = |round: u64| {
        if round > done.get() {
            done.set(round);
            rounds.borrow_mut().between(round, connections).expect("a kernel to read");
            clock.set(clock.get() + nanoseconds(POLL));
            rounds.borrow_mut().begin();
        }
    };
    let last = 2 + 2 * ROUNDS as u64;
    observer.run(|| done.get() >= last, || clock.get(), on_round).map_err(io::Error::other)?;
    for reader in readers {
        let packets = reader.join().expect("no panic");
        assert_eq!(packets, stored * (ROUNDS as u64 + 1), "what the meter saw");
    }
    rounds.into_inner().report(goals, stored);
    Ok(())
}

/// A destination, and a thread that counts the packets that it is told of.
fn reader(number: u64, queues: &mut Vec<mpsc::Sender<Batch>>) -> (Target, JoinHandle<u64>) {
    let (target, queue, mut batches) = destination(number, ACTIVE);
    queues.push(queue);
    let count = move || {
        let mut packets = 0;
        while let Some(batch) = batches.blocking_recv() {
            packets += batch.iter().map(|it| it.forward.packets_delta).sum::<u64>();
        }
        packets
    };
    (target, thread::spawn(count))
}

impl Rounds {
    /// A round has ended; nothing has changed before every other one.
    fn between(&mut self, round: u64, connections: u32) -> io::Result<()> {
        let (began, allocations) = self.began;
        let took = cpu_time().saturating_sub(began);
        // The meter needs two rounds to know the order of a dump.
        if round > 2 {
            self.allocations += HEAP.allocations() - allocations;
            let rounds = if round % 2 == 1 { &mut self.idle } else { &mut self.busy };
            rounds.push(took);
        }
        let zones = watch::zones();
        let start = cpu_time();
        assert_eq!(least::read(&zones)?, u64::from(connections), "the table has changed");
        self.least.push(cpu_time().saturating_sub(start));
        let mut source = watch::source();
        let start = cpu_time();
        least::parse(&mut source, &zones, |_| {})?;
        self.parsed.push(cpu_time().saturating_sub(start));
        if round > 2 && round % 2 == 1 {
            node::send_on_each(connections)?;
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.began = (cpu_time(), HEAP.allocations());
    }

    fn report(self, goals: &mut Goals, stored: u64) {
        let Self { least, parsed, idle, busy, allocations, .. } = self;
        let [least, parsed, idle, busy] = [least, parsed, idle, busy].map(median);
        println!("{stored} connections, median CPU time of {ROUNDS} rounds in turns");
        row("least reader: receives, and finds ends of messages", least, stored);
        row("dumps parsed and thrown away", parsed, stored);
        row("observer, nothing has changed", idle, stored);
        row("observer, all counters have", busy, stored);
        for (what, ours) in [("nothing has changed", idle), ("all counters have", busy)] {
            let ratio = ours.as_secs_f64() / least.as_secs_f64();
            goals.result(&format!("ratio, {what}"), ratio, MOST_RATIO);
            let beyond = ours.saturating_sub(least).as_secs_f64() * 1e9 / stored as f64;
            goals.result(&format!("ns beyond the least reader, {what}"), beyond, MOST_NS);
        }
        let each = allocations as f64 / (2 * ROUNDS) as f64;
        println!("{:<52} {each:>9.2}", "allocations per round of three dumps");
        goals.result("allocations per connection", each / stored as f64, 0.01);
    }
}
