//! Ties the stages together: starts them in order, stops them in reverse.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;

use daemon::admin::{Admin, Readiness};
use daemon::{Ended, Shutdown, SteadyClock, Supervisor, now_ns};
use k8s::certificates::{FollowError, Follower, ServerFiles, ServerSource};
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use sinks::{DeliverOptions, LogSink, StoreSink};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, spawn_blocking};

use crate::collect::{self, CollectorLimits, Room, collect};
use crate::correlate::Timeouts;
use crate::fan_out::{FanOut, Outlets, SinkMetrics};
use crate::metrics::Metrics;
use crate::shards::Shards;

/// Messages that wait between the sessions and correlation. How many records that may be is for
/// [`CollectorLimits`] to say.
const REPORTED_QUEUE: usize = 1024;
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
    let shards = tokio::select! {
        shards = shards(&options) => shards?,
        signal = shutdown.requested() => {
            tracing::info!(signal, "shutting down before anything was received");
            return Ok(());
        }
    };

    let mut sinks = Supervisor::default();
    let fan_out = FanOut::default();
    let outlets = start_sinks(&options, &fan_out, &mut sinks)?;
    registry.register_collector(Box::new(SinkMetrics(fan_out.clone())));
    let readiness = Readiness::default();
    let admin = Admin::bind(options.admin, registry, readiness.clone()).await?;
    let mut servers = Supervisor::default();
    servers.spawn("admin server", admin.serve());

    let (reported, queue) = mpsc::channel(REPORTED_QUEUE);
    let mut stages = Supervisor::default();
    let clock = SteadyClock::new();
    let clock = move || clock.now_ns() / 1_000_000;
    let correlating = shards.run(queue, None, fan_out.clone(), Arc::clone(&metrics), clock);
    stages.spawn("correlation", correlating);
    let address = options.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })?;
    let (stop, stopped) = watch::channel(false);
    let limits = CollectorLimits::default();
    let room = Room::new(limits.records, reported);
    if let Some(grpc) = Grpc::bind(&options, &mut servers).await? {
        let collecting = grpc.collect(limits, room.clone(), Arc::clone(&metrics), stopped.clone());
        stages.spawn("collecting over gRPC", collecting);
    }
    stages.spawn("collecting", collect(listener, limits, room, Arc::clone(&metrics), stopped));
    tracing::info!(listen = %address, "aggregator is up");
    readiness.set();
    ready();

    tokio::select! {
        signal = shutdown.requested() => tracing::info!(signal, "shutting down"),
        end = sinks.any_end() => return Err(end.into()),
        end = stages.any_end() => return Err(end.into()),
        end = servers.any_end() => return Err(end.into()),
    }
    // Sessions finish, which closes the correlator's queue; when it is done, no sink gets more.
    let before = fan_out.lost();
    stop.send_replace(true);
    stages.all_end().await?;
    outlets.close();
    sinks.all_end().await?;
    match fan_out.lost().saturating_sub(before) {
        0 => {
            tracing::info!("everything is flushed");
            Ok(())
        }
        records => Err(StartError::LeftBehind { records }),
    }
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

    fn collect(
        self,
        limits: CollectorLimits,
        room: Room,
        metrics: Arc<Metrics>,
        stopped: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> {
        collect::grpc::collect(self.listener, self.certificates, limits, room, metrics, stopped)
    }
}

/// Follows certificates for as long as the process lives.
async fn follow(follower: Follower<ServerConfig>) {
    let (_kept, never) = watch::channel(false);
    follower.run(never).await;
}

/// Correlators that know what is stored. A large store takes a while to read, during which a
/// signal must be heard.
async fn shards(options: &Options) -> Result<Shards, StartError> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let mut shards = Shards::new(options.timeouts, options.max_flows, cores);
    let Some(data) = options.data.clone() else { return Ok(shards) };
    let learning = spawn_blocking(move || learn(&mut shards, &data).map(|()| shards));
    let ended = |cause: JoinError| Ended { task: "reading the store", cause: Some(cause.into()) };
    Ok(learning.await.map_err(ended)??)
}

/// Lets the correlators know what is stored of flows that may still be going on.
fn learn(shards: &mut Shards, data: &Path) -> Result<(), store::StoreError> {
    let since = (now_ns() / 1_000_000).saturating_sub(RESUME_HORIZON_MS);
    let reader = match store::Reader::open(data) {
        Ok(reader) => reader,
        Err(store::StoreError::Missing { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let scan = reader.told(since, |record| shards.learn(record))?;
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
    fan_out: &FanOut,
    supervisor: &mut Supervisor,
) -> Result<Outlets, StartError> {
    let mut outlets = Outlets::new(fan_out.clone(), DeliverOptions::default());
    if let Some(path) = &options.log {
        outlets.set("log", LogSink::open(path)?, supervisor);
    }
    if let Some(data) = &options.data {
        outlets.set("store", StoreSink::new(store::Writer::open(data)?), supervisor);
    }
    Ok(outlets)
}
