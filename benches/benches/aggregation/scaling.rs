//! Flows on two cores.

use std::{thread, time::Duration};

use aggregator::correlate::{Correlator, Route};
use benches::{Goals, cpu_time};
use flow::FlowRecord;

use crate::{
    TIMEOUTS,
    replay::{DOMAIN, NOW_MS, Replay},
    row,
};

const ROUNDS: u32 = 20;

/// By what the busier of two threads spends: on cores of their own, they take no longer.
pub(crate) fn two_shards(goals: &mut Goals, replay: &mut Replay) {
    let route = Route::new(2);
    let begun = cpu_time();
    let parts: [Vec<FlowRecord>; 2] = [0, 1].map(|shard| {
        let mine = replay.records.iter().filter(|record| route.of(record) == shard);
        mine.cloned().collect()
    });
    let split = cpu_time().saturating_sub(begun);
    println!("two shards");
    row("split and copied", split / u32::try_from(replay.records.len()).expect("fewer"));
    let alone = spent(&replay.records);
    let busier = thread::scope(|scope| {
        let threads = parts.each_ref().map(|part| scope.spawn(|| spent(part)));
        threads.map(|thread| thread.join().expect("it ends")).into_iter().max().expect("two")
    });
    goals.result(
        "busier of two / one alone",
        busier.as_secs_f64() / alone.as_secs_f64(),
        1.0 / 1.7,
    );
}

/// What one correlator spends on so many rounds of records.
fn spent(records: &[FlowRecord]) -> Duration {
    let mut correlator = Correlator::new(TIMEOUTS, 5_000_000);
    correlator.receive_all(records.iter(), DOMAIN, NOW_MS);
    let begun = cpu_time();
    for _ in 0..ROUNDS {
        correlator.receive_all(records.iter(), DOMAIN, NOW_MS);
    }
    cpu_time().saturating_sub(begun)
}
