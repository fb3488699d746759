//! Ties the stages together: starts them in order, stops them in reverse.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daemon::admin::{Admin, Readiness};
use daemon::{Cause, Chain, Ended, Shutdown, SteadyClock, Supervisor, now_ns};
use flow::Profile;
use ipfix::encode::EncodeError;
use k8s::Cluster;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::conntrack::{NetlinkOptions, NetlinkSource, SourceError, check_sysctls};
use crate::enrich::Enricher;
use crate::export::{Destination, Exporting, Stop, observation_domain};
use crate::meter::{Limits, Meter, Timeouts};
use crate::metrics::Metrics;
use crate::observe::Observer;

/// Batches that wait for the collector. Few: what waits in the meter grows instead of ageing.
const QUEUE: usize = 16;

/// How long a collector may keep the process from ending: longer than the observer needs for its
/// last look, and short of the three seconds after which people reach for `kill -9`.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a stage may that does not end by itself. None is known to come to this.
const LAST_RESORT: Duration = Duration::from_millis(2500);

/// What `flow-exporter` and `fyke exporter` are told.
#[derive(Debug, Clone)]
pub struct Options {
    pub node: String,
    pub cluster: PathBuf,
    pub collector: String,
    pub profile: Profile,
    pub zones: Vec<u16>,
    pub active_timeout: Duration,
    pub idle_timeout: Duration,
    pub poll_interval: Duration,
    pub max_connections: usize,
    pub admin: SocketAddr,
    /// An IPFIX File that gets a copy of everything that is sent.
    pub copy: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Cluster(#[from] k8s::FileError),
    #[error("cluster file does not describe Node {0:?}; name one that it does with --node")]
    UnknownNode(String),
    #[error("file {} for copies cannot be created", .0.display())]
    Copy(PathBuf, #[source] std::io::Error),
    #[error("conntrack cannot be read; this needs CAP_NET_ADMIN")]
    Source(#[from] SourceError),
    #[error(transparent)]
    Admin(#[from] daemon::admin::BindError),
    #[error("templates cannot be sent")]
    Templates(#[from] EncodeError),
    #[error("signals cannot be handled")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Ended(#[from] Ended),
    #[error("{records} records could not be sent in the time there is to end")]
    LeftBehind { records: u64 },
    #[error("a stage does not end: what it holds is lost")]
    Stuck,
}

/// Runs until SIGTERM or Ctrl-C; `ready` is called once events are received and every connection
/// that was there before is known.
pub async fn run(options: Options, ready: impl FnOnce()) -> Result<(), StartError> {
    let mut shutdown = Shutdown::listen().map_err(StartError::Signals)?;
    for problem in check_sysctls() {
        tracing::warn!(problem = %Chain(&problem), "kernel tells less than it could");
    }
    let metrics = Arc::new(Metrics::default());
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let observer = observer(&options, &metrics)?;
    let exporting = exporting(&options, &metrics)?;
    let readiness = Readiness::default();
    let admin = Admin::bind(options.admin, registry, readiness.clone()).await?;

    let mut tasks = Tasks::default();
    tasks.servers.spawn("admin server", admin.serve());
    let (queue, batches) = mpsc::channel(QUEUE);
    let (switch, stop) = Stop::new();
    tasks.stages.spawn("exporting", exporting.run(batches, stop.clone(), now_ns));
    let (known, first_round) = oneshot::channel();
    tasks.stages.spawn_fallible("observing", observing(observer, queue, stop, known));
    let ended = tokio::select! {
        // An observer that fails before does not tell, and ends as a task.
        Ok(()) = first_round => {
            tracing::info!(node = options.node, "exporter is up");
            readiness.set();
            ready();
            tasks.until_end(&mut shutdown).await
        }
        ended = tasks.until_end(&mut shutdown) => ended,
    };
    // The observer hands out what is left and drops the queue, which ends the exporting.
    let now = Instant::now();
    switch.stop_by(now + LAST_WORDS);
    let flushed = timeout_at(now + LAST_RESORT, tasks.stages.all_end()).await;
    // Why it ended tells more than what came of that.
    ended?;
    flushed.map_err(|_| StartError::Stuck)??;
    match metrics.records_abandoned.get() {
        0 => {
            tracing::info!("everything is flushed");
            Ok(())
        }
        records => Err(StartError::LeftBehind { records }),
    }
}

/// What the process cannot do without.
#[derive(Default)]
struct Tasks {
    stages: Supervisor,
    servers: Supervisor,
}

impl Tasks {
    /// Waits until the process is asked to stop, or has to because a task has ended.
    async fn until_end(&mut self, shutdown: &mut Shutdown) -> Result<(), Ended> {
        tokio::select! {
            signal = shutdown.requested() => {
                tracing::info!(signal, "shutting down");
                Ok(())
            }
            end = self.stages.any_end() => Err(end),
            end = self.servers.any_end() => Err(end),
        }
    }
}

fn observer(
    options: &Options,
    metrics: &Arc<Metrics>,
) -> Result<Observer<NetlinkSource>, StartError> {
    let cluster = Cluster::from_file(&options.cluster)?;
    if !cluster.has_node(&options.node) {
        return Err(StartError::UnknownNode(options.node.clone()));
    }
    let netlink = NetlinkOptions { zones: options.zones.clone(), ..NetlinkOptions::default() };
    let source = NetlinkSource::open(netlink)?;
    let timeouts = Timeouts::new(options.active_timeout, options.idle_timeout);
    let mut meter = Meter::new(timeouts, Limits { connections: options.max_connections });
    meter.inherit_before(now_ns());
    let enricher = Enricher::new(Arc::new(cluster), &options.node, options.profile);
    let (zones, metrics) = (options.zones.clone(), Arc::clone(metrics));
    Ok(Observer::new(source, meter, enricher, zones, options.poll_interval, metrics))
}

fn exporting(options: &Options, metrics: &Arc<Metrics>) -> Result<Exporting, StartError> {
    let copy = options
        .copy
        .as_ref()
        .map(|path| create(path).map_err(|error| StartError::Copy(path.clone(), error)));
    let destination = Destination {
        collector: options.collector.clone(),
        domain: observation_domain(&options.node),
        profile: options.profile,
    };
    Ok(Exporting::new(destination, copy.transpose()?, Arc::clone(metrics))?)
}

/// Creates a file for the eyes of its owner: who talked to whom is nobody else's business.
fn create(path: &Path) -> std::io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Runs the observer on a thread of its own, since it waits in the kernel.
async fn observing(
    observer: Observer<NetlinkSource>,
    queue: mpsc::Sender<flow::Batch>,
    stop: Stop,
    known: oneshot::Sender<()>,
) -> Result<(), Cause> {
    let known = std::cell::Cell::new(Some(known));
    let observe = move || {
        let on_round = |rounds| {
            if rounds > 0
                && let Some(known) = known.take()
            {
                // Nobody waits any more if the process is being stopped already.
                known.send(()).ok();
            }
        };
        let clock = SteadyClock::new();
        observer.run(&queue, || stop.is_requested(), || clock.now_ns(), on_round)
    };
    tokio::task::spawn_blocking(observe).await??;
    Ok(())
}
