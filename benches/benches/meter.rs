//! What it costs to keep up with the kernel's conntrack table, and to tell of it.
//!
//! Observing is measured against a reader that does the least there is to do: receive the same
//! dumps through a buffer of the same size and find where messages end. Exporting is measured
//! against writes of the same bytes. Contenders run in turns on the same real connections, so that
//! whatever else the machine does hits all.
//!
//! `cargo bench -p benches --bench meter` prints a table; with `-- --check` it fails if a goal is
//! missed, with `-- --connections N` there are so many (above `nf_conntrack_max` the kernel has no
//! room); `-- --only` does one part: `observing`, `exporting` or `intervals`. Needs root, `iproute2` and `nftables`.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]

#[path = "meter/node.rs"]
mod node; // real connections
#[path = "meter/least.rs"]
mod least; // the least there is to do
#[path = "meter/watch.rs"]
mod watch; // the observer
#[path = "meter/dumps.rs"]
mod dumps; // from the kernel to the store
#[path = "meter/exporting.rs"]
mod exporting; // from the store to a socket
#[path = "meter/intervals.rs"]
mod intervals; // all of it, in real time

use std::{env, net::IpAddr, process::ExitCode, time::Duration};

use benches::{Counting, Goals, cpu_time};
use exporter::{
    conntrack::{Counters, Entry, Kind, Tuple},
    meter::{Limits, Meter, Set, Timeouts},
};
use flow::Profile;
use watch::now;

/// Unless the command line says otherwise.
const CONNECTIONS: u32 = 100_000;
pub(crate) const ROUNDS: usize = 9;
/// With the same timeouts.
const DESTINATIONS: usize = 8;

#[global_allocator]
pub(crate) static HEAP: Counting = Counting::new();

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    node::enter();
    let mut goals = Goals::default();
    let connections = connections();
    node::send_on_each(connections)?;
    if is_asked_for("observing") {
        dumps::memory(&mut goals)?;
        dumps::rounds(&mut goals, connections)?;
        churn(&mut goals);
    }
    for profile in [Profile::Antrea, Profile::Fyke] {
        if is_asked_for("exporting") {
            exporting::cost(connections, profile)?;
        }
    }
    if is_asked_for("intervals") {
        intervals::count(&mut goals, connections)?;
    }
    Ok(goals.verdict())
}

fn connections() -> u32 {
    option("--connections").and_then(|number| number.parse().ok()).unwrap_or(CONNECTIONS)
}

fn is_asked_for(part: &str) -> bool {
    option("--only").is_none_or(|only| only == part)
}

fn option(name: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != name).nth(1)
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

pub(crate) fn row(what: &str, time: Duration, count: u64) {
    let each = time.as_secs_f64() * 1e9 / count as f64;
    println!("{what:<52} {:>9.2} ms, {each:>5.0} ns each", time.as_secs_f64() * 1e3);
}
