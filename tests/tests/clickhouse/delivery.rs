//! A spool, the sink behind it, and records that add up.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flow::{Counters, FlowKey, FlowRecord};
use sinks::click_house::{ClickHouseCounters, ClickHouseSink, Options};
use sinks::{DeliverOptions, DeliveryCounters, Queue, Spool, SpoolError, SpoolOptions, deliver};
use store::clickhouse::{Reason, Trust};
use tests::clickhouse::{PASSWORD, USER};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What does not happen within this will not happen.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn options(url: &str, folder: &Path) -> Options {
    Options {
        address: url.parse().expect("an address"),
        database: "default".into(),
        username: config::Secret::new(USER.into()),
        password: config::Secret::new(PASSWORD.into()),
        compress: true,
        interval: Duration::from_millis(50),
        trust: Trust::Anybody,
        cluster_uuid: "0f6b3c9e-75ad-4d1c-8f02-00a1b2c3d4e5".into(),
        note: Some(folder.join("click_house.note")),
    }
}

/// Delivers from the spool in a folder.
pub(crate) struct Delivery {
    spool: Spool,
    pub(crate) counters: Arc<DeliveryCounters>,
    sink: watch::Receiver<ClickHouseCounters>,
    task: JoinHandle<Option<Queue>>,
    _stop: watch::Sender<bool>,
}

impl Delivery {
    pub(crate) async fn start(folder: &Path, options: Options) -> Self {
        let spool = loop {
            match Spool::open(&SpoolOptions::new(folder.join("spool"))) {
                // Threads of the one before are about to end.
                Err(SpoolError::Locked { .. }) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                spool => break spool.expect("a spool"),
            }
        };
        let counters = Arc::<DeliveryCounters>::default();
        let queue = spool.queue("click_house", Arc::clone(&counters));
        let sink = ClickHouseSink::new(options);
        let (stop, stopped) = watch::channel(false);
        let pace = DeliverOptions {
            first_retry: Duration::from_millis(20),
            last_retry: Duration::from_millis(200),
            tick: Duration::from_millis(20),
            keep_within: PATIENCE,
            ..DeliverOptions::default()
        };
        let (seen, clock) = (sink.counters(), || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
            u64::try_from(now.as_millis()).expect("before the end of time")
        });
        let task = tokio::spawn(deliver(sink, queue, pace, stopped, clock));
        Self { spool, counters, sink: seen, task, _stop: stop }
    }

    pub(crate) fn give(&self, records: &[FlowRecord]) {
        for batch in records.chunks(500) {
            self.spool.append(&batch.into());
        }
    }

    pub(crate) fn counters_of_sink(&self) -> watch::Receiver<ClickHouseCounters> {
        self.sink.clone()
    }

    pub(crate) fn done(&self) -> ClickHouseCounters {
        *self.sink.borrow()
    }

    pub(crate) fn failures(&self, reason: Reason) -> u64 {
        let done = self.done();
        let all = Reason::ALL.iter().zip(done.failures);
        all.filter(|(it, _)| **it == reason).map(|(_, count)| count).sum()
    }

    /// Waits until attempts failed for this reason.
    pub(crate) async fn fails(&mut self, reason: Reason, more_than: u64) {
        self.until("a failure", |it| it.failures(reason) > more_than).await;
    }

    /// Waits until so many records are delivered, and checks that they all are accounted for.
    pub(crate) async fn delivers(&mut self, records: u64) {
        self.until("delivery", |it| load(&it.counters.delivered) >= records).await;
        assert_eq!(load(&self.counters.delivered), records);
        assert_eq!(self.counters.lost(), 0);
        assert_eq!(load(&self.counters.given), records);
    }

    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(tokio::time::Instant::now() < deadline, "{what}: {:?}", self.done());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// As a process that is killed, as far as the sink knows. The next one opens the spool.
    pub(crate) async fn kill(self) {
        self.task.abort();
        self.task.await.expect_err("it was aborted");
        self.spool.close();
        self.spool.finish().await;
    }

    pub(crate) async fn end(self) {
        self.spool.close();
        self.task.await.expect("it ends well");
        self.spool.finish().await;
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Flows are told several times, and each record of one has other numbers.
const FLOWS: u64 = 97;

pub(crate) fn records(numbers: std::ops::Range<u64>) -> Vec<FlowRecord> {
    numbers.map(record).collect()
}

fn record(number: u64) -> FlowRecord {
    let flow = u32::try_from(number % FLOWS).expect("few flows");
    FlowRecord {
        key: FlowKey {
            source: Ipv4Addr::from_bits(0x0a00_0001 + flow).into(),
            destination: Ipv4Addr::new(192, 0, 2, 1).into(),
            source_port: 40_000,
            destination_port: 443,
            protocol: 6,
            icmp_type_code: 0,
        },
        start_ms: 1_700_000_000_000,
        end_ms: 1_700_000_001_000 + number,
        forward: Counters {
            packets_delta: number,
            octets_delta: number * 1000 + 7,
            packets_total: number,
            octets_total: number * number,
        },
        ..FlowRecord::default()
    }
}

/// What must be asked to compare with [`sums`], whoever answers.
pub(crate) const SUMS: &str = "SELECT sourceIP, count(), uniqExact(octetTotalCount), sum(packetDeltaCount), \
    sum(octetDeltaCount), sum(octetTotalCount) FROM flows GROUP BY sourceIP ORDER BY sourceIP";

/// What of these records must be stored, flow by flow: each once.
pub(crate) fn sums(numbers: std::ops::Range<u64>) -> String {
    let mut lines: Vec<_> = (0..FLOWS)
        .filter_map(|flow| {
            let of_flow: Vec<_> = numbers.clone().filter(|number| number % FLOWS == flow).collect();
            let count = of_flow.len();
            (count > 0).then(|| {
                let packets: u64 = of_flow.iter().sum();
                let octets: u64 = of_flow.iter().map(|number| number * 1000 + 7).sum();
                let totals: u64 = of_flow.iter().map(|number| number * number).sum();
                format!("10.0.0.{}\t{count}\t{count}\t{packets}\t{octets}\t{totals}\n", flow + 1)
            })
        })
        .collect();
    lines.sort();
    lines.concat()
}
