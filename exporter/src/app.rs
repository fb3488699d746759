//! Ties the stages together: starts them in order, stops them in reverse.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daemon::admin::{Admin, Readiness};
use daemon::{Cause, Chain, Ended, Shutdown, SteadyClock, Supervisor, now_ns};
use ipfix::encode::EncodeError;
use k8s::Cluster;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::args::Args;
use crate::conntrack::{NetlinkOptions, NetlinkSource, SourceError, check_sysctls};
use crate::enrich::Enricher;
use crate::export::{Collector, Destination, Exporting, Stop, observation_domain};
use crate::meter::{Limits, Meter};
use crate::metrics::Metrics;
use crate::observe::{Observer, Orders};
use crate::reload::{self, ApplyError, Live, Reload};
use crate::settings::{Settings, Texts};

/// Batches that wait for the collector. Few: what waits in the meter grows instead of ageing.
const QUEUE: usize = 16;

/// How long a collector may keep the process from ending: longer than the observer needs for its
/// last look, and short of the three seconds after which people reach for `kill -9`.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a stage may that does not end by itself. None is known to come to this.
const LAST_RESORT: Duration = Duration::from_millis(2500);

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
    #[error(transparent)]
    Collector(#[from] ApplyError),
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
pub(crate) async fn run(
    args: Args,
    settings: Settings,
    texts: Texts,
    ready: impl FnOnce(),
) -> Result<(), StartError> {
    let mut shutdown = Shutdown::listen().map_err(StartError::Signals)?;
    let metrics = Arc::new(Metrics::default());
    let hangup = reload::hangup().map_err(StartError::Signals)?;
    let follow = |live| {
        let (settings, metrics) = (settings.clone(), Arc::clone(&metrics));
        Reload::new(args, texts, settings, live, hangup, metrics)
    };
    if !settings.exports() {
        let reload = follow(None);
        return rest(&settings, reload, &metrics, &mut shutdown, ready).await;
    }
    let live = Live::new(&settings)?;
    for problem in check_sysctls() {
        tracing::warn!(problem = %Chain(&problem), "kernel tells less than it could");
    }
    let observer = observer(&settings, &metrics)?.obeying(live.orders.subscribe());
    let exporting = exporting(&settings, live.collector.subscribe(), &metrics)?;
    let reload = follow(Some(live));
    let readiness = Readiness::default();
    let mut tasks = Tasks::default();
    tasks.serve(&settings, &metrics, readiness.clone()).await?;
    tasks.servers.spawn("configuration", reload.run());
    let (queue, batches) = mpsc::channel(QUEUE);
    let (switch, stop) = Stop::new();
    tasks.stages.spawn("exporting", exporting.run(batches, stop.clone(), now_ns));
    let (known, first_round) = oneshot::channel();
    tasks.stages.spawn_fallible("observing", observing(observer, queue, stop, known));
    let ended = tokio::select! {
        // An observer that fails before does not tell, and ends as a task.
        Ok(()) = first_round => {
            tracing::info!(node = settings.node.value, "exporter is up");
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

/// Stays and does nothing, as the Agent does with its Flow Exporter off: a process that ended
/// would be started again and again.
async fn rest(
    settings: &Settings,
    reload: Reload,
    metrics: &Metrics,
    shutdown: &mut Shutdown,
    ready: impl FnOnce(),
) -> Result<(), StartError> {
    let readiness = Readiness::default();
    let mut tasks = Tasks::default();
    tasks.serve(settings, metrics, readiness.clone()).await?;
    tasks.servers.spawn("configuration", reload.run());
    tracing::info!("Antrea's file has the Flow Exporter off, so nothing is exported");
    readiness.set();
    ready();
    Ok(tasks.until_end(shutdown).await?)
}

/// What the process cannot do without.
#[derive(Default)]
struct Tasks {
    stages: Supervisor,
    servers: Supervisor,
}

impl Tasks {
    /// Serves metrics and health.
    async fn serve(
        &mut self,
        settings: &Settings,
        metrics: &Metrics,
        readiness: Readiness,
    ) -> Result<(), StartError> {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let admin = Admin::bind(settings.admin.value, registry, readiness).await?;
        self.servers.spawn("admin server", admin.serve());
        Ok(())
    }

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
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> Result<Observer<NetlinkSource>, StartError> {
    let node = &settings.node.value;
    let cluster = Cluster::from_file(&settings.cluster.value)?;
    if !cluster.has_node(node) {
        return Err(StartError::UnknownNode(node.clone()));
    }
    let zones = settings.zones.value.clone();
    let netlink = NetlinkOptions { zones: zones.clone(), ..NetlinkOptions::default() };
    let source = NetlinkSource::open(netlink)?;
    let Orders { timeouts, poll_interval, .. } = reload::orders(settings);
    let mut meter = Meter::new(timeouts, Limits { connections: settings.connections.value });
    meter.inherit_before(now_ns());
    let enricher = Enricher::new(Arc::new(cluster), node, settings.profile.value);
    Ok(Observer::new(source, meter, enricher, zones, poll_interval, Arc::clone(metrics)))
}

fn exporting(
    settings: &Settings,
    collector: watch::Receiver<Collector>,
    metrics: &Arc<Metrics>,
) -> Result<Exporting, StartError> {
    let created =
        |path: &PathBuf| create(path).map_err(|error| StartError::Copy(path.clone(), error));
    let copy = settings.copy.value.as_ref().map(created).transpose()?;
    let domain = observation_domain(&settings.node.value);
    let destination = Destination { collector, domain, profile: settings.profile.value };
    Ok(Exporting::new(destination, copy, Arc::clone(metrics))?)
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
