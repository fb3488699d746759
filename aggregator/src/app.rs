//! Ties the stages together: starts them in order, stops them in reverse.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use daemon::admin::{Admin, Readiness};
use daemon::{Ended, Shutdown, SteadyClock, Supervisor, now_ns};
use flow::{Batch, FlowRecord};
use k8s::certificates::{FollowError, Follower, ServerFiles, ServerSource};
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use sinks::{DeliverOptions, LogSink, Sink, StoreSink, deliver};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::collect::{CollectOptions, Collecting, Epoch, Reported, Room};
use crate::correlate::{Correlator, Timeouts};
use crate::fan_out::FanOut;
use crate::metrics::{Metrics, SinkCounters};

/// Messages that wait between the sessions and correlation. How many records that may be is for
/// [`crate::collect::CollectorLimits`] to say.
const REPORTED_QUEUE: usize = 1024;
/// Batches that wait for a sink.
const SINK_QUEUE: usize = 512;
/// How long the last records wait for sinks that have no room.
const LAST_RECORDS: Duration = Duration::from_millis(500);
/// Records per batch at most.
const BATCH: usize = 1024;
/// How often the correlator looks for what is due.
const TICK: Duration = Duration::from_millis(100);
/// How far back the store is read after a restart: no flow lives on unreported for so long.
const RESUME_HORIZON_MS: u64 = 3_600_000;

/// What `flow-aggregator` and `fyke aggregator` are told.
#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    /// Where gRPC is taken, if anywhere.
    pub grpc: Option<SocketAddr>,
    /// What it is served with.
    pub tls: Option<ServerFiles>,
    /// The embedded store's directory.
    pub data: Option<PathBuf>,
    /// The JSON-lines file.
    pub log: Option<PathBuf>,
    pub timeouts: Timeouts,
    pub max_flows: usize,
    pub admin: SocketAddr,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen for IPFIX on {address}; choose another with --listen")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot listen for gRPC on {address}; choose another with --grpc-listen")]
    ListenGrpc {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("certificates of this collector cannot be used")]
    Certificates(#[from] FollowError),
    #[error(transparent)]
    Admin(#[from] daemon::admin::BindError),
    #[error("store cannot be opened")]
    Store(#[from] store::StoreError),
    #[error("flow log cannot be opened")]
    Log(#[from] sinks::SinkError),
    #[error("signals cannot be handled")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Ended(#[from] Ended),
    #[error("{records} records could not be delivered in the time there is to end")]
    LeftBehind { records: u64 },
}

/// Runs until SIGTERM or Ctrl-C; `ready` is called once records are taken.
pub async fn run(options: Options, ready: impl FnOnce()) -> Result<(), StartError> {
    let mut shutdown = Shutdown::listen().map_err(StartError::Signals)?;
    let metrics = Arc::new(Metrics::default());
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let correlator = tokio::select! {
        correlator = correlator(&options) => correlator?,
        signal = shutdown.requested() => {
            tracing::info!(signal, "shutting down before anything was received");
            return Ok(());
        }
    };

    let (collecting, queue) = collecting(&metrics, &mut registry);
    let mut sinks = Supervisor::default();
    let (fan_out, counters) = start_sinks(&options, &mut sinks, &mut registry)?;
    let readiness = Readiness::default();
    let admin = Admin::bind(options.admin, registry, readiness.clone()).await?;
    let mut servers = Supervisor::default();
    servers.spawn("admin server", admin.serve());

    let mut stages = Supervisor::default();
    stages.spawn("correlation", correlate(queue, correlator, fan_out, Arc::clone(&metrics)));
    let address = options.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })?;
    let (stop, stopped) = watch::channel(false);
    if let Some(Grpc { listener, certificates }) = Grpc::bind(&options, &mut servers).await? {
        let (collecting, stopped) = (collecting.clone(), stopped.clone());
        stages.spawn("collecting over gRPC", async move {
            collecting.grpc(listener, certificates, stopped).await;
        });
    }
    stages.spawn("collecting", async move { collecting.tcp(listener, stopped).await });
    tracing::warn!(listen = %address, "IPFIX is taken from anybody, and not encrypted");
    tracing::info!(listen = %address, "aggregator is up");
    readiness.set();
    ready();

    tokio::select! {
        signal = shutdown.requested() => tracing::info!(signal, "shutting down"),
        end = sinks.any_end() => return Err(end.into()),
        end = stages.any_end() => return Err(end.into()),
        end = servers.any_end() => return Err(end.into()),
    }
    // Sessions finish, which closes the correlator's queue, which closes the sinks' queues.
    let before = not_delivered(&counters, &metrics);
    stop.send_replace(true);
    stages.all_end().await?;
    sinks.all_end().await?;
    match not_delivered(&counters, &metrics).saturating_sub(before) {
        0 => {
            tracing::info!("everything is flushed");
            Ok(())
        }
        records => Err(StartError::LeftBehind { records }),
    }
}

/// What takes records, and the queue that they come in.
fn collecting(
    metrics: &Arc<Metrics>,
    registry: &mut Registry,
) -> (Collecting, mpsc::Receiver<Reported>) {
    let options = CollectOptions::default();
    // IPFIX and gRPC, and some for everything else.
    if let Err(error) = daemon::raise_open_files(2 * options.limits.sessions as u64 + 256) {
        tracing::warn!(%error, "not all sessions there may be can be opened at once");
    }
    let (reported, queue) = mpsc::channel(REPORTED_QUEUE);
    let room = Room::new(options.limits.records, reported);
    let epoch = Epoch::new(std::time::Instant::now(), now_ns() / 1_000_000);
    let collecting = Collecting::new(options, room, Arc::clone(metrics), None, epoch);
    collecting.connected().register(registry);
    (collecting, queue)
}

/// A port for gRPC.
struct Grpc {
    listener: TcpListener,
    certificates: Option<ServerSource>,
}

impl Grpc {
    /// Certificates are followed by one of the `servers`.
    async fn bind(options: &Options, servers: &mut Supervisor) -> Result<Option<Self>, StartError> {
        let Some(address) = options.grpc else { return Ok(None) };
        let certificates = match &options.tls {
            None => None,
            Some(files) => {
                let follower = Follower::server_files(files.clone()).await?;
                let source = follower.server();
                servers.spawn("certificates", follow(follower));
                Some(source)
            }
        };
        let listening = TcpListener::bind(address).await;
        let listener = listening.map_err(|source| StartError::ListenGrpc { address, source })?;
        let clients = options.tls.as_ref().and_then(|files| files.clients.as_ref());
        match (&certificates, clients) {
            (None, _) => tracing::warn!(
                listen = %address,
                "gRPC is taken from anybody, and not encrypted; see --tls-certificate"
            ),
            (Some(_), None) => tracing::warn!(
                listen = %address,
                "gRPC is taken from anybody; see --tls-client-ca"
            ),
            (Some(_), Some(_)) => tracing::info!(listen = %address, "gRPC is taken"),
        }
        Ok(Some(Self { listener, certificates }))
    }
}

/// Follows certificates for as long as the process lives.
async fn follow(follower: Follower<ServerConfig>) {
    let (_kept, never) = watch::channel(false);
    follower.run(never).await;
}

/// Records that sinks missed or gave up, since the start. One that two sinks missed counts twice.
fn not_delivered(sinks: &[SinkCounters], metrics: &Metrics) -> u64 {
    let given_up = |sink: &SinkCounters| sink.counters.abandoned.load(Ordering::Relaxed);
    sinks.iter().map(|sink| given_up(sink) + metrics.missed(sink.sink)).sum()
}

/// A correlator that knows what is stored. A large store takes a while to read, during which a
/// signal must be heard.
async fn correlator(options: &Options) -> Result<Correlator, StartError> {
    let mut correlator = Correlator::new(options.timeouts, options.max_flows);
    let Some(data) = options.data.clone() else { return Ok(correlator) };
    let learning = spawn_blocking(move || learn(&mut correlator, &data).map(|()| correlator));
    let ended = |cause: JoinError| Ended { task: "reading the store", cause: Some(cause.into()) };
    Ok(learning.await.map_err(ended)??)
}

/// Lets the correlator know what is stored of flows that may still be going on.
fn learn(correlator: &mut Correlator, data: &Path) -> Result<(), store::StoreError> {
    let since = (now_ns() / 1_000_000).saturating_sub(RESUME_HORIZON_MS);
    let reader = match store::Reader::open(data) {
        Ok(reader) => reader,
        Err(store::StoreError::Missing { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let scan = reader.told(since, |record| correlator.learn(record))?;
    if let Some(skipped) = scan.first_skipped {
        tracing::warn!(
            files = scan.skipped,
            first = %skipped.path.display(),
            reason = %skipped.reason,
            "stored files cannot be read: what they told of flows may be told again"
        );
    }
    Ok(())
}

fn start_sinks(
    options: &Options,
    supervisor: &mut Supervisor,
    registry: &mut Registry,
) -> Result<(FanOut, Vec<SinkCounters>), StartError> {
    let mut fan_out = FanOut::default();
    let mut counters = Vec::new();
    if let Some(path) = &options.log {
        let sink = LogSink::open(path)?;
        counters.push(start_sink("log", sink, &mut fan_out, supervisor, registry));
    }
    if let Some(data) = &options.data {
        let sink = StoreSink::new(store::Writer::open(data)?);
        counters.push(start_sink("store", sink, &mut fan_out, supervisor, registry));
    }
    Ok((fan_out, counters))
}

fn start_sink<S: Sink + 'static>(
    name: &'static str,
    sink: S,
    fan_out: &mut FanOut,
    supervisor: &mut Supervisor,
    registry: &mut Registry,
) -> SinkCounters {
    let (queue, records) = mpsc::channel(SINK_QUEUE);
    let counters = Arc::default();
    let counted = SinkCounters { sink: name, counters: Arc::clone(&counters) };
    registry.register_collector(Box::new(counted.clone()));
    fan_out.add(name, queue);
    let clock = || now_ns() / 1_000_000;
    let options = DeliverOptions::default();
    supervisor.spawn(name, deliver(name, sink, records, options, counters, clock));
    counted
}

/// Runs the correlator until its queue closes, then tells everything it still holds.
async fn correlate(
    mut queue: mpsc::Receiver<Reported>,
    mut correlator: Correlator,
    mut fan_out: FanOut,
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
        hand_out(&mut emitted, &mut fan_out, patience).await;
        metrics.correlator(&correlator.stats(), correlator.len());
        for (sink, records) in fan_out.dropped() {
            metrics.queue_full(sink, records);
        }
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
async fn hand_out(emitted: &mut Vec<FlowRecord>, fan_out: &mut FanOut, patience: Option<Instant>) {
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
