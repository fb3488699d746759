//! The task that makes flows of records.

use std::sync::Arc;
use std::time::Duration;

use daemon::SteadyClock;
use flow::{Batch, FlowRecord};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::collect::Reported;
use crate::correlate::Correlator;
use crate::fan_out::FanOut;
use crate::metrics::Metrics;

/// How long the last records wait for sinks that have no room.
const LAST_RECORDS: Duration = Duration::from_millis(500);
/// Records per batch at most.
const BATCH: usize = 1024;
/// How often the correlator looks for what is due.
const TICK: Duration = Duration::from_millis(100);

/// Runs the correlator until its queue closes, then tells everything it still holds.
pub(super) async fn correlate(
    mut queue: mpsc::Receiver<Reported>,
    mut correlator: Correlator,
    fan_out: FanOut,
    metrics: Arc<Metrics>,
) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let clock = SteadyClock::new();
    let mut emitted = Vec::new();
    loop {
        let reported = tokio::select! {
            reported = queue.recv() => Some(reported),
            _ = ticks.tick() => None,
        };
        let now_ms = clock.now_ns() / 1_000_000;
        let open = reported.is_none_or(|reported| receive(&mut correlator, reported, now_ms));
        correlator.expire(now_ms, &mut emitted);
        if !open {
            correlator.flush(&mut emitted);
        }
        let patience = (!open).then(|| Instant::now() + LAST_RECORDS);
        hand_out(&mut emitted, &fan_out, patience).await;
        metrics.correlator(&correlator.stats(), correlator.len());
        if !open {
            return;
        }
    }
}

/// Returns whether more may come.
fn receive(correlator: &mut Correlator, reported: Option<Reported>, now_ms: u64) -> bool {
    let Some(Reported { domain, records, .. }) = reported else { return false };
    for record in records {
        correlator.receive(record, domain, now_ms);
    }
    true
}

/// Waits for sinks without room until `patience` ends, if there is any.
async fn hand_out(emitted: &mut Vec<FlowRecord>, fan_out: &FanOut, patience: Option<Instant>) {
    #[cfg(feature = "faults")]
    crate::faults::spoil(emitted);
    // At shutdown every flow is handed out at once: moving the rest for each batch would take as
    // long as their number squared.
    let mut rest = emitted.drain(..);
    while rest.len() > 0 {
        if let Some(until) = patience {
            fan_out.wait_for_room(until).await;
        }
        let batch: Batch = rest.by_ref().take(BATCH).collect();
        fan_out.send(&batch);
    }
}
