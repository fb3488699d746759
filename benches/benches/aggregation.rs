//! What it costs to make flows of records: correlation and aggregation of records that are decoded
//! already, and the whole aggregator from a TCP connection on, with names and without sinks.
//!
//! Beside them, in the same rounds and on the same records, runs a yardstick: a hash map from
//! 5-tuple to what was told last, as anybody would write it, which joins halves and does nothing
//! else (no deltas from totals, no identity, no timeouts, no bounds). Only the measured thread's
//! time on the CPU counts.
//!
//! `cargo bench -p benches --bench aggregation` prints a table; with `-- --check` it fails if a
//! ratio is missed, with `-- whole` it measures the whole process alone. Nanoseconds are printed
//! for a machine that does nothing else.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]

#[path = "aggregation/yardstick.rs"]
mod yardstick; // a hash map
#[path = "aggregation/naive.rs"]
mod naive; // all of it in one function
#[path = "aggregation/replay.rs"]
mod replay; // the workload, again and again
#[path = "aggregation/process.rs"]
mod process; // all of it, from the socket on
#[path = "aggregation/scaling.rs"]
mod scaling; // on two cores

use std::{env, fs, process::ExitCode, time::Duration};

use aggregator::correlate::{Correlator, Timeouts};
use benches::{Goals, median};
use replay::{DOMAIN, NOW_MS, Replay};
use yardstick::Yardstick;

pub(crate) const TIMEOUTS: Timeouts = Timeouts {
    active: Duration::from_mins(1),
    inactive: Duration::from_secs(90),
    clock_skew: Duration::from_secs(5),
};
const ROUNDS: usize = 7;
/// Copies of the workload with other addresses: 67,000 flows each.
const MILLION: u8 = 15;

fn main() -> ExitCode {
    let mut goals = Goals::default();
    let mut replay = Replay::new();
    if !env::args().any(|argument| argument == "whole") {
        for (copies, most) in [(1, 1.67), (MILLION, 2.1)] {
            updates(&mut goals, &mut replay, copies, most);
        }
        scaling::two_shards(&mut goals, &mut replay);
    }
    process::whole(&mut goals);
    goals.verdict()
}

/// What flows take, and what a record costs whose flow is known.
fn updates(goals: &mut Goals, replay: &mut Replay, copies: u8, most: f64) {
    let before = resident();
    let mut correlator = Correlator::new(TIMEOUTS, 5_000_000);
    let adding =
        replay.timed(copies, |records| correlator.receive_all(records.iter(), DOMAIN, NOW_MS));
    let mut told = Vec::new();
    correlator.expire(NOW_MS, &mut told);
    drop(told);
    let flows = correlator.len();
    let each = (resident() - before) as f64 / flows as f64;
    let mut naive = Yardstick::default();
    replay.timed(copies, |records| naive.receive_all(records));
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let round =
            replay.timed(copies, |records| correlator.receive_all(records.iter(), DOMAIN, NOW_MS));
        ours.push(round);
        least.push(replay.timed(copies, |records| naive.receive_all(records)));
    }
    let (ours, least) = (median(ours), median(least));
    println!("{flows} flows");
    row("a record of a new flow, or a second half", adding);
    row("a record of a flow that is known", ours);
    row("the yardstick", least);
    goals.result(
        "record of a known flow / yardstick",
        ours.as_secs_f64() / least.as_secs_f64(),
        most,
    );
    if copies > 1 {
        goals.result("resident bytes per flow", each, 650.0);
    }
}

pub(crate) fn row(what: &str, time: Duration) {
    println!("{what:<52} {:>9} ns", time.as_nanos());
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    resident.expect("the second of some numbers") * 4096
}
