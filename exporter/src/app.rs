//! Ties the stages together: starts them in order, stops them in reverse.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use daemon::admin::{Admin, Readiness};
use daemon::{Chain, SteadyClock, Supervisor, now_ns};
use flow::Profile;
use k8s::Cluster;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};

use crate::conntrack::{NetlinkOptions, NetlinkSource, SourceError, check_sysctls};
use crate::enrich::Enricher;
use crate::export::{Destination, Exporting, observation_domain};
use crate::meter::{Limits, Meter, Timeouts};
use crate::metrics::Metrics;
use crate::observe::Observer;

/// Batches that wait for the collector. Few: what waits in the meter grows instead of ageing.
const QUEUE: usize = 16;

/// How long a collector may keep the process from ending. With what comes before and after it,
/// this stays below the three seconds after which people reach for `kill -9`.
const LAST_WORDS: Duration = Duration::from_millis(2500);

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
    #[error("signals cannot be handled")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Ended(#[from] daemon::Ended),
}

/// Runs until SIGTERM or Ctrl-C; `ready` is called once events are received and every connection
/// that was there before is known.
pub async fn run(options: Options, ready: impl FnOnce()) -> Result<(), StartError> {
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
    let mut servers = Supervisor::default();
    servers.spawn("admin server", admin.serve());

    let (queue, batches) = mpsc::channel(QUEUE);
    let mut stages = Supervisor::default();
    stages.spawn("exporting", exporting.run(batches, now_ns));
    let stop = Arc::new(AtomicBool::new(false));
    let (known, first_round) = oneshot::channel();
    stages.spawn("observing", observing(observer, queue, Arc::clone(&stop), known));
    tokio::select! {
        _ = first_round => {
            tracing::info!(node = options.node, "exporter is up");
            readiness.set();
            ready();
        }
        end = stages.any_end() => return Err(end.into()),
    }

    tokio::select! {
        signal = daemon::requested() => {
            let signal = signal.map_err(StartError::Signals)?;
            tracing::info!(signal, "shutting down");
        }
        end = stages.any_end() => return Err(end.into()),
        end = servers.any_end() => return Err(end.into()),
    }
    // The observer hands out what is left and drops the queue, which ends the exporting.
    stop.store(true, Ordering::Release);
    if let Ok(ended) = tokio::time::timeout(LAST_WORDS, stages.all_end()).await {
        ended?;
        tracing::info!("everything is flushed");
    } else {
        tracing::error!("collector takes nothing: what waited for it is lost");
    }
    Ok(())
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
    let meter = Meter::new(timeouts, Limits { connections: options.max_connections });
    let enricher = Enricher::new(Arc::new(cluster), &options.node, options.profile);
    let (zones, metrics) = (options.zones.clone(), Arc::clone(metrics));
    Ok(Observer::new(source, meter, enricher, zones, options.poll_interval, metrics))
}

fn exporting(options: &Options, metrics: &Arc<Metrics>) -> Result<Exporting, StartError> {
    let copy = options
        .copy
        .as_ref()
        .map(|path| File::create(path).map_err(|error| StartError::Copy(path.clone(), error)));
    let destination = Destination {
        collector: options.collector.clone(),
        domain: observation_domain(&options.node),
        profile: options.profile,
    };
    Ok(Exporting { destination, copy: copy.transpose()?, metrics: Arc::clone(metrics) })
}

/// Runs the observer on a thread of its own, since it waits in the kernel.
async fn observing(
    observer: Observer<NetlinkSource>,
    queue: mpsc::Sender<flow::Batch>,
    stop: Arc<AtomicBool>,
    known: oneshot::Sender<()>,
) {
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
        observer.run(&queue, &stop, || clock.now_ns(), on_round)
    };
    match tokio::task::spawn_blocking(observe).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(error = %Chain(&error), "observing failed"),
        Err(error) => tracing::error!(%error, "observing panicked"),
    }
}
