use ::grpc::export::{Export, ExportError, ExportingProcess};
use ::grpc::{Head, encode};
use flow::{FlowKey, FlowRecord};
use ipfix::transport::{Destination, Transport};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::collect::{CollectOptions, Collecting, CollectorLimits, Epoch, Reported, Room};
use crate::metrics::Metrics;

/// Sooner than any deadline.
const LATE: Duration = Duration::from_secs(4);

struct Flows;

impl Export for Flows {
    type Record = FlowRecord;

    fn encode(&self, record: &FlowRecord, export_time_ns: u64, domain: u32, out: &mut Vec<u8>) {
        encode(record, &Head { export_time_ns, domain, with_ids: true }, out);
    }
}

/// A collector on loopback, and what goes in and out of it.
struct Running {
    exporting: ExportingProcess<Flows>,
    reported: mpsc::Receiver<Reported>,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(limits: CollectorLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, reported) = mpsc::channel(1024);
        let room = Room::new(limits.records, sender);
        let (stop, stopped) = watch::channel(false);
        let metrics = Arc::new(Metrics::default());
        let options = CollectOptions { limits, ..CollectOptions::default() };
        let epoch = Epoch::new(std::time::Instant::now(), 0);
        let collecting = Collecting::new(options, room, Arc::clone(&metrics), None, epoch);
        let task = tokio::spawn(async move { collecting.grpc(listener, None, stopped).await });
        let destination = Destination::new(address, Transport::Tcp);
        let exporting = ExportingProcess::new(destination, 7, Flows);
        Self { exporting, reported, metrics, stop, task }
    }

    fn push(&mut self, records: u16) {
        for source_port in 0..records {
            let key = FlowKey { source_port, ..FlowKey::default() };
            self.exporting.push(FlowRecord { key, ..FlowRecord::default() });
        }
    }

    /// The source ports that are reported, until there are as many as that.
    async fn ports(&mut self, records: usize) -> Vec<u16> {
        let mut ports = Vec::new();
        while ports.len() < records {
            let reported = timeout(LATE, self.reported.recv()).await.expect("it comes").unwrap();
            assert_eq!(reported.domain, 7);
            ports.extend(reported.records.iter().map(|record| record.key.source_port));
        }
        ports
    }

    fn ended(&self, reason: EndReason) -> u64 {
        self.metrics.ended(reason)
    }

    /// Stops the collector, which must end in time.
    async fn stop(self) {
        self.stop.send_replace(true);
        timeout(LATE, self.task).await.expect("it ends").unwrap();
    }
}

#[tokio::test]
async fn everything_that_was_sent_is_reported_once_and_in_order() {
    let mut running = Running::start(CollectorLimits::default()).await;
    for _ in 0..3 {
        running.push(10_000);
        running.exporting.flush(0).await.unwrap();
        assert_eq!(running.ports(10_000).await, (0..10_000).collect::<Vec<_>>());
    }
    running.exporting.close().await.unwrap();
    assert_eq!(running.metrics.records_received.get(), 30_000);
    assert_eq!((running.ended(EndReason::Closed), running.metrics.sessions.get()), (1, 0));
    let counters = running.exporting.counters();
    assert_eq!((counters.records, counters.sessions, counters.sessions_lost), (30_000, 1, 0));
    running.stop().await;
}

#[tokio::test]
async fn what_was_sent_before_a_shutdown_is_taken_and_the_exporter_is_told() {
    let mut running = Running::start(CollectorLimits::default()).await;
    running.push(100);
    running.exporting.flush(0).await.unwrap();
    assert_eq!(running.ports(100).await.len(), 100);
    running.stop.send_replace(true);
    let ended = timeout(LATE, running.exporting.closed()).await.expect("it is told");
    assert!(matches!(&ended, ExportError::Status(status) if status.code == 14), "{ended}");
    assert_eq!(running.ended(EndReason::Shutdown), 1);
    running.stop().await;
}

#[tokio::test]
async fn what_nobody_takes_stops_the_sender_and_is_bounded_by_records() {
    let limits = CollectorLimits { records: 20_000, ..CollectorLimits::default() };
    let mut running = Running::start(limits).await;
    running.push(60_000);
    // Neither lost nor taken: the sender has to wait, and gives up in the end.
    let sent = timeout(Duration::from_millis(500), running.exporting.flush(0)).await;
    assert!(sent.is_err(), "somebody takes what nobody has room for");
    let waiting = running.exporting.pending();
    assert!(waiting > 10_000, "{waiting}");
    assert!(running.metrics.records_received.get() <= 20_000);
    // Once somebody takes them, each record comes once.
    let metrics = Arc::clone(&running.metrics);
    let Running { mut exporting, mut reported, stop, task, .. } = running;
    let taking = tokio::spawn(async move {
        let mut ports = Vec::new();
        while let Some(it) = reported.recv().await {
            ports.extend(it.records.iter().map(|record| record.key.source_port));
        }
        ports
    });
    // A busy machine is slow; where there is no room, the deadline of writing says so.
    timeout(8 * LATE, exporting.flush(0)).await.expect("there is room").unwrap();
    exporting.close().await.unwrap();
    assert_eq!(metrics.records_received.get(), 60_000);
    stop.send_replace(true);
    timeout(LATE, task).await.expect("it ends").unwrap();
    assert_eq!(taking.await.unwrap(), (0..60_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_silent_exporter_is_left_and_one_too_many_refused() {
    let idle = Duration::from_millis(300);
    let limits = CollectorLimits { idle, sessions: 1, ..CollectorLimits::default() };
    let mut running = Running::start(limits).await;
    running.exporting.open().await.unwrap();
    let address = running.exporting.address().to_owned();
    let mut second = ExportingProcess::new(Destination::new(address, Transport::Tcp), 7, Flows);
    assert!(second.open().await.is_err());
    assert_eq!(running.ended(EndReason::TooMany), 1);
    let ended = timeout(LATE, running.exporting.closed()).await.expect("it is told");
    assert!(ended.to_string().contains("UNAVAILABLE"), "{ended}");
    assert_eq!(running.ended(EndReason::Idle), 1);
    // A connection without any stream is left as well.
    let connection = TcpStream::connect(second.address()).await.unwrap();
    let (_requests, connection) = h2::client::handshake(connection).await.unwrap();
    timeout(LATE, connection).await.expect("it ends").ok();
    running.stop().await;
}

/// Counts what is said, by its level.
#[derive(Debug, Clone, Default)]
struct Said(Arc<std::sync::Mutex<Vec<tracing::Level>>>);

impl tracing::Subscriber for Said {
    fn enabled(&self, about: &tracing::Metadata<'_>) -> bool {
        about.target().starts_with("aggregator")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn streams_without_end_do_not_fill_the_log() {
    const STREAMS: u64 = 50;
    let said = Said::default();
    let _said_here = tracing::subscriber::set_default(said.clone());
    let running = Running::start(CollectorLimits::default()).await;
    let stream = TcpStream::connect(running.exporting.address()).await.unwrap();
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..STREAMS {
        let request = http::Request::post(concat!(
            "http://a/antrea_io.antrea.pkg.apis.flow.v1alpha1.",
            "FlowExportService/Export"
        ));
        let request = request.header("content-type", "application/grpc").body(()).unwrap();
        requests = requests.ready().await.unwrap();
        let (response, mut body) = requests.send_request(request, false).unwrap();
        // Compressed, which nobody agreed upon.
        body.send_data(vec![1, 0, 0, 0, 0].into(), true).unwrap();
        timeout(LATE, response).await.expect("it is refused").unwrap();
    }
    assert_eq!(running.ended(EndReason::Malformed), STREAMS);
    drop(requests);
    connection.await.unwrap().unwrap();
    running.stop().await;
    let said = said.0.lock().unwrap().clone();
    let told = |level| said.iter().filter(|it| **it == level).count();
    assert_eq!((told(tracing::Level::WARN), told(tracing::Level::INFO)), (1, 2), "{said:?}");
}
