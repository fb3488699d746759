//! In real time: is every active connection told in every interval?

use std::{
    cell::Cell,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use benches::{Goals, cpu_time};
use flow::{FlowEndReason, FlowRecord, Interner, Plan, Profile};
use ipfix::{
    decode::{Limits, Rules, Session},
    file::Messages,
};

use crate::{
    exporting::{Drain, Sending},
    node,
    watch::{self, destination, nanoseconds, now},
};

const INTERVAL: Duration = Duration::from_secs(5);
const INTERVALS: u32 = 4;
/// Every connection sends this often, so that each dump shows something new.
const PACE: Duration = Duration::from_millis(2500);

/// Counts, at the far end of a session, how often each connection is told to go on.
pub(crate) fn count(goals: &mut Goals, connections: u32) -> io::Result<()> {
    let drain = Drain::open(true)?;
    let (target, queue, batches) = destination(0, INTERVAL);
    let spent = Arc::clone(&target.spent);
    let sending = Sending::start(drain.address, Profile::Antrea, batches, Arc::default(), spent);
    let observer = watch::observer(&[target], INTERVAL, now());
    drop(queue);
    let over = Arc::new(AtomicBool::new(false));
    let traffic = thread::spawn({
        let over = Arc::clone(&over);
        move || {
            while !over.load(Relaxed) {
                let next = Instant::now() + PACE;
                node::send_on_each(connections).expect("a network");
                // The pace of the traffic.
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
    });
    // The first dump starts the timers of all.
    let end = Cell::new(u64::MAX);
    let on_round = |rounds| {
        if rounds == 1 && end.get() == u64::MAX {
            let half = INTERVAL / 2;
            end.set(now() + nanoseconds(INTERVAL * INTERVALS + half));
        }
    };
    let begin = cpu_time();
    observer.run(|| now() >= end.get(), now, on_round).map_err(io::Error::other)?;
    let took = cpu_time().saturating_sub(begin);
    over.store(true, Relaxed);
    traffic.join().expect("no panic");
    sending.join();
    let mut told = vec![0_u32; connections as usize];
    decode(&drain.finish(), |record| {
        let key = &record.key;
        // What is told at the end is no matter of intervals.
        if record.end_reason == FlowEndReason::ActiveTimeout {
            told[node::number(key.source_port, key.destination_port)] += 1;
        }
    });
    let complete = told.iter().filter(|&&count| count == INTERVALS).count();
    let missed: u32 = told.iter().map(|&count| INTERVALS.saturating_sub(count)).sum();
    println!(
        "{INTERVALS} intervals of {INTERVAL:?} in real time: {complete} of {connections} connections told \
         exactly once in each; the observer used {:.0} ms of CPU per interval",
        took.as_secs_f64() * 1e3 / f64::from(INTERVALS)
    );
    goals.result("reports of active connections that are missing", f64::from(missed), 0.0);
    Ok(())
}

fn decode(bytes: &[u8], mut visit: impl FnMut(&FlowRecord)) {
    let mut session: Session<Plan> = Session::with_rules(Limits::default(), Rules::stream());
    let mut names = Interner::new(65_536);
    let mut messages = Messages::new(bytes);
    while let Some(message) = messages.next_message().expect("whole messages") {
        let decoded = session.decode_at(Instant::now(), message, Plan::compile, |plan, _, data| {
            visit(&plan.decode(&data, &mut names));
        });
        assert_eq!(decoded.expect("sound messages").lost_records, 0);
    }
}
