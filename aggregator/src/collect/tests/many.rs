//! Thousands of sessions, each an exporter's.

use std::fs;

use super::world::World;
use super::*;
use crate::metrics::EndReason;

const SESSIONS: usize = 2_000;
/// KiB that one session may take, with what its own end of the connection takes in this process:
/// tens of KiB for the buffer, and its template.
const EACH: u64 = 128;

/// Resident memory of this process in KiB, as the kernel tells it.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_sessions_are_served_within_their_limits() {
    daemon::raise_open_files(2 * SESSIONS as u64 + 100).unwrap();
    let limits = CollectorLimits { sessions: SESSIONS, ..CollectorLimits::default() };
    let options = CollectOptions { limits, ..CollectOptions::default() };
    let mut world = World::start(options, None).await;
    let [template, data] = super::messages(5);
    let before = memory();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(world.send(std::slice::from_ref(&template)).await);
    }
    world.until("all open", || world.metrics.sessions.get() == 2_000).await;
    for round in 1..=3_u64 {
        for session in &mut sessions {
            session.write_all(&data).await.unwrap();
        }
        let mut came = 0;
        while came < 5 * SESSIONS {
            came += world.records(5).await.len();
        }
        assert_eq!(world.metrics.records_received.get(), round * 5 * SESSIONS as u64);
    }
    let grown = memory().saturating_sub(before);
    assert!(grown < EACH * SESSIONS as u64, "{grown} KiB for {SESSIONS} sessions");

    // One more than there may be; the others do not notice.
    let mut refused = world.connect().await;
    assert_eq!(refused.read(&mut [0; 1]).await.unwrap_or(0), 0);
    world.ended(EndReason::TooMany, 1).await;
    let (told, all) = world.collecting.connected().sessions(100);
    assert_eq!((told.len(), all), (100, SESSIONS));
    assert!(told.iter().all(|session| session.counters.records == 15));
    drop(sessions);
    world.ended(EndReason::Closed, SESSIONS as u64).await;
    world.until("none is left", || world.collecting.connected().sessions(1).1 == 0).await;
}
