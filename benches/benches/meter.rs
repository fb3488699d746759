//! What it costs to keep up with the kernel's conntrack table.
//!
//! Against a reader that does the least there is to do: receive the same dump through a buffer of
//! the same size and walk the top-level attributes. Both run in turns on the same 100,000 real
//! connections, so that whatever else the machine does hits both.
//!
//! `cargo bench -p benches --bench meter` prints a table; with `-- --check` it fails if a goal is
//! missed. Needs root, `iproute2` and `nftables`.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]

#[path = "meter/node.rs"]
mod node;

use std::{
    hint::black_box,
    io,
    net::IpAddr,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use benches::{Counting, Goals, cpu_time, median};
use exporter::{
    conntrack::{
        ConnectionSource, Counters, DumpProgress, Entry, Kind, NetlinkOptions, NetlinkSource, Tuple,
    },
    meter::{Limits, Meter, Set, Timeouts},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

const CONNECTIONS: u32 = 100_000;
const ROUNDS: usize = 9;
/// With the same timeouts.
const DESTINATIONS: usize = 8;
const BUFFER: usize = 64 * 1024;

const MOST_RATIO: f64 = 1.3;
const MOST_BYTES: f64 = 400.0;

#[global_allocator]
static HEAP: Counting = Counting::new();

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    node::enter();
    let mut goals = Goals::default();
    dumps(&mut goals)?;
    churn(&mut goals);
    Ok(goals.verdict())
}

fn dumps(goals: &mut Goals) -> Result<(), Box<dyn std::error::Error>> {
    node::send_on_each(CONNECTIONS)?;
    let mut source = NetlinkSource::open(NetlinkOptions { events: false, ..Default::default() })?;
    let mut begun = Vec::new();
    dump(&mut source, |entry| begun.push(Entry { kind: Kind::New, ..*entry }))?;
    // Connections begin in another order than a dump shows them in. Ids are hashes.
    begun.sort_unstable_by_key(|entry| entry.id);
    let before = HEAP.bytes();
    let mut meter = new_meter();
    for entry in &begun {
        meter.observe(entry, now());
    }
    // Twice, since the meter remembers the order of two dumps.
    observe_dump(&mut source, &mut meter)?;
    observe_dump(&mut source, &mut meter)?;
    let stored = meter.stats().stored;
    let bytes = (HEAP.bytes() - before) as f64 / stored as f64;

    let [mut least, mut parsed, mut idle, mut busy] =
        [(); 4].map(|()| Vec::with_capacity(2 * ROUNDS));
    let mut allocations = 0;
    for _ in 0..ROUNDS {
        least.push(timed(|| read_least(stored))?);
        parsed.push(timed(|| dump(&mut source, |entry| _ = black_box(entry)))?);
        let before = HEAP.allocations();
        idle.push(timed(|| observe_dump(&mut source, &mut meter))?);
        allocations += HEAP.allocations() - before;
        node::send_on_each(CONNECTIONS)?;
        least.push(timed(|| read_least(stored))?);
        let before = HEAP.allocations();
        busy.push(timed(|| observe_dump(&mut source, &mut meter))?);
        allocations += HEAP.allocations() - before;
    }
    let mut packets = 0;
    let told = meter.flush(usize::MAX, Set::ALL, |due, _| {
        packets += due.deltas.packets;
        Set::EMPTY
    });
    assert_eq!(told as u64, stored);
    assert_eq!(packets, stored * (ROUNDS as u64 + 1), "not every round was seen by the meter");
    let [least, parsed, idle, busy] = [least, parsed, idle, busy].map(median);
    println!("{stored} connections, median CPU time of {ROUNDS} rounds in turns");
    row("least reader, top-level attributes only", least, stored);
    row("dump parsed and thrown away", parsed, stored);
    row("dump into the meter, nothing has changed", idle, stored);
    row("dump into the meter, all counters have", busy, stored);
    goals.result("ratio, nothing has changed", ratio(idle, least), MOST_RATIO);
    goals.result("ratio, all counters have", ratio(busy, least), MOST_RATIO);
    goals.result("bytes of heap per connection", bytes, MOST_BYTES);
    goals.result("allocations per dump", allocations as f64 / (2 * ROUNDS) as f64, 0.0);
    Ok(())
}

/// Connections come and go at the same pace.
fn churn(goals: &mut Goals) {
    const ALIVE: u32 = 10_000;
    let mut meter = new_meter();
    let mut next = 0..;
    let mut step = |meter: &mut Meter, count: u32| {
        for id in next.by_ref().take(count as usize) {
            meter.observe(&entry(Kind::New, id), now());
            if let Some(old) = id.checked_sub(ALIVE) {
                meter.observe(&entry(Kind::Destroy, old), now());
            }
            meter.due(now(), 256, Set::ALL, |_| false, |_, _| Set::EMPTY);
        }
    };
    // The table may grow once more before it settles.
    step(&mut meter, 10 * ALIVE);
    let (before, start) = (HEAP.allocations(), cpu_time());
    step(&mut meter, 10 * ALIVE);
    let (took, allocations) = (cpu_time().saturating_sub(start), HEAP.allocations() - before);
    row("a connection begins, ends and is handed out", took, u64::from(10 * ALIVE));
    goals.result("allocations of 100,000 of those", allocations as f64, 0.0);
}

/// With several destinations that keep up.
fn new_meter() -> Meter {
    let timeouts = Timeouts::new(Duration::from_hours(1), Duration::from_hours(1));
    let mut meter = Meter::new(Limits { connections: 1_000_000 });
    for _ in 0..DESTINATIONS {
        meter.add(timeouts, now()).expect("room for one more");
    }
    meter
}

fn entry(kind: Kind, id: u32) -> Entry {
    let [a, b, c, d] = id.to_be_bytes();
    let (client, server) = (IpAddr::from([10 + a, b, c, d]), IpAddr::from([10, 0, 0, 1]));
    let counters = Counters { packets: 1, octets: 99, ..Counters::default() };
    Entry {
        id,
        counters: (kind == Kind::Destroy).then_some(counters),
        ..Entry::new(
            kind,
            Tuple::new((client, 4000), (server, 53), 17),
            Tuple::new((server, 53), (client, 4000), 17),
        )
    }
}

fn observe_dump(source: &mut NetlinkSource, meter: &mut Meter) -> io::Result<()> {
    let now = now();
    meter.dump_started(0);
    dump(source, |entry| meter.observe(entry, now))?;
    meter.dump_finished(0, true);
    Ok(())
}

fn dump(source: &mut NetlinkSource, mut visit: impl FnMut(&Entry)) -> io::Result<()> {
    source.start_dump(&[0]).map_err(io::Error::other)?;
    while source.next_chunk(&mut visit).map_err(io::Error::other)? == DumpProgress::More {}
    Ok(())
}

/// Receives a dump and walks what the kernel wrote at the top level, as little as one can do.
fn read_least(expected: u64) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&dump_request(), 0)?;
    let mut buffer = Vec::with_capacity(BUFFER);
    let (mut entries, mut attributes) = (0, 0);
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        let mut rest = &buffer[..];
        while let [l0, l1, _, _, k0, k1, ..] = *rest {
            if u16::from_ne_bytes([k0, k1]) == 3 {
                assert_eq!(entries, expected, "the table has changed; {attributes} attributes");
                return Ok(());
            }
            let length = usize::from(u16::from_ne_bytes([l0, l1]));
            attributes += walk(&rest[20..length]);
            entries += 1;
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
    }
}

fn walk(mut attributes: &[u8]) -> u64 {
    let mut count = 0;
    while let [l0, l1, _, _, ..] = *attributes {
        let length = usize::from(u16::from_ne_bytes([l0, l1])).max(4).next_multiple_of(4);
        attributes = attributes.get(length..).unwrap_or_default();
        count += 1;
    }
    count
}

/// `IPCTNL_MSG_CT_GET`, dumping zone 0.
fn dump_request() -> Vec<u8> {
    let header: [&[u8]; 5] = [
        &28_u32.to_ne_bytes(),
        &0x101_u16.to_ne_bytes(),
        &0x301_u16.to_ne_bytes(),
        &[0; 12],
        &[6_u16.to_ne_bytes(), 18_u16.to_ne_bytes()].concat(),
    ];
    [&header.concat()[..], &[0; 4]].concat()
}

fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let start = cpu_time();
    work()?;
    Ok(cpu_time().saturating_sub(start))
}

fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

fn ratio(ours: Duration, least: Duration) -> f64 {
    ours.as_secs_f64() / least.as_secs_f64()
}

fn row(what: &str, time: Duration, count: u64) {
    let each = time.as_secs_f64() * 1e9 / count as f64;
    println!("{what:<52} {:>9.2} ms, {each:>5.0} ns each", time.as_secs_f64() * 1e3);
}
