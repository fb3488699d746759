use std::net::IpAddr;

use flow::{Correlation, FlowEndReason, FlowType};

use super::*;
use crate::collect::Room;
use crate::fan_out::Subscription;

const TIMEOUTS: Timeouts = Timeouts {
    active: Duration::from_mins(1),
    inactive: Duration::from_secs(90),
    clock_skew: Duration::from_secs(5),
};

/// One half of the flow from port `port`, told by Node `domain`.
fn half(port: u16, domain: u32) -> FlowRecord {
    let mut record = FlowRecord { start_ms: 1000, end_ms: 2000, ..FlowRecord::default() };
    record.flow_type = FlowType::InterNode;
    record.end_reason = FlowEndReason::EndOfFlow;
    record.key.source = IpAddr::from([10, 10, 0, 2]);
    record.key.destination = IpAddr::from([10, 10, 1, 2]);
    record.key.source_port = port;
    (record.forward.octets_total, record.forward.octets_delta) = (100, 100);
    let end = if domain == 1 { &mut record.source } else { &mut record.destination };
    end.pod = "pod".into();
    record
}

/// Shards that run, and what goes in and out of them.
struct Running {
    room: Room,
    told: Subscription,
    handle: Handle,
    metrics: Arc<Metrics>,
    fan_out: FanOut,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(shards: usize, max_flows: usize) -> Self {
        let (reported, queue) = mpsc::channel(1024);
        let room = Room::new(65_536, reported);
        let fan_out = FanOut::default();
        let told = fan_out.subscribe(10_000);
        let shards = Shards::new(TIMEOUTS, max_flows, shards);
        let handle = shards.handle();
        let metrics = Arc::new(Metrics::default());
        let task =
            tokio::spawn(shards.run(queue, None, fan_out.clone(), Arc::clone(&metrics), || 10_000));
        Self { room, told, handle, metrics, fan_out, task }
    }

    async fn report(&self, domain: u32, records: Vec<FlowRecord>) {
        self.room.pass(IpAddr::from([192, 0, 2, 1]), domain, records).await;
    }

    /// Ends them, and returns everything they told.
    async fn end(self) -> Vec<FlowRecord> {
        let Self { room, mut told, fan_out, task, .. } = self;
        drop(room);
        task.await.unwrap();
        fan_out.close();
        let mut all = Vec::new();
        while let Some(batch) = told.recv().await {
            all.extend(batch.iter().cloned());
        }
        all
    }
}

#[tokio::test]
async fn both_halves_of_a_flow_meet_and_everything_is_counted() {
    for shards in [1, 2, 5] {
        let running = Running::start(shards, 100_000);
        for first in (0..1000).step_by(100) {
            let ports = || first..first + 100;
            running.report(1, ports().map(|port| half(port, 1)).collect()).await;
            running.report(2, ports().rev().map(|port| half(port, 2)).collect()).await;
        }
        let (handle, metrics) = (running.handle.clone(), Arc::clone(&running.metrics));
        let told = running.end().await;
        assert_eq!(told.len(), 1000, "{shards} shards");
        assert!(told.iter().all(|flow| flow.correlation == Correlation::Complete));
        let Totals { stats, flows } = handle.totals();
        assert_eq!((stats.received, stats.joined, stats.emitted, flows), (2000, 1000, 1000, 1000));
        assert_eq!(metrics.flows.get(), 1000);
    }
}

#[tokio::test]
async fn the_limit_of_flows_is_shared() {
    let running = Running::start(4, 100);
    running.report(1, (0..1000).map(|port| half(port, 1)).collect()).await;
    let handle = running.handle.clone();
    let told = running.end().await;
    let Totals { stats, flows } = handle.totals();
    assert_eq!((flows as u64 + stats.folded, flows), (1000, 100));
    let octets: u64 = told.iter().map(|flow| flow.joined.from_source.forward.octets_delta).sum();
    assert_eq!(octets, 100_000, "what is not followed is told with its Node's");
}

#[tokio::test]
async fn flows_can_be_asked_for_while_they_run() {
    let running = Running::start(3, 100_000);
    running.report(1, (0..20_000).map(|port| half(port, 1)).collect()).await;
    let handle = running.handle.clone();
    // What was reported before is there once the shards have said so.
    while handle.totals().flows < 20_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let one = FlowFilter { source_port: Some(777), ..FlowFilter::default() };
    let found = handle.flows(one, 100).await;
    assert_eq!(found.iter().map(|flow| flow.key.source_port).collect::<Vec<_>>(), [777]);
    assert_eq!(found[0].forward.octets_delta, 100);
    assert_eq!(handle.flows(FlowFilter::default(), 500).await.len(), 500);
    assert_eq!(handle.flows(FlowFilter::default(), usize::MAX).await.len(), 20_000);
    let none = FlowFilter { protocol: Some(99), ..FlowFilter::default() };
    assert_eq!(handle.flows(none, 10).await, []);
    running.end().await;
    assert_eq!(handle.flows(FlowFilter::default(), 10).await, [], "they have ended");
}

/// A filter takes what it is asked for, and nothing else, by each of its parts.
#[test]
fn a_filter_goes_by_all_its_parts() {
    let key = half(7, 1).key;
    let all = FlowFilter {
        source: Some(key.source),
        destination: Some(key.destination),
        protocol: Some(key.protocol),
        source_port: Some(7),
        destination_port: Some(0),
    };
    assert!(all.matches(&key) && FlowFilter::default().matches(&key));
    let other = Some(IpAddr::from([10, 10, 9, 9]));
    for no in [
        FlowFilter { source: other, ..all },
        FlowFilter { destination: other, ..all },
        FlowFilter { protocol: Some(6), ..all },
        FlowFilter { source_port: Some(8), ..all },
        FlowFilter { destination_port: Some(1), ..all },
    ] {
        assert!(!no.matches(&key), "{no:?}");
    }
}
