//! Ties the stages together: starts them in order, stops them in reverse.
mod kubernetes; // the API server
mod naming; // where names come from
mod denying; // who tells of what is denied

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daemon::admin::{Admin, Readiness};
use daemon::{Cause, Chain, Ended, Shutdown, SteadyClock, Supervisor, now_ns};
use k8s::client::{Connection, ConnectionError};
use prometheus_client::registry::Registry;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::args::Given;
use crate::conntrack::{NetlinkOptions, NetlinkSource, SourceError, turn_on_sysctls};
use crate::deny::{self, Denials, Table};
use crate::destinations::Way;
use crate::export::{RouteError, Stop, observation_domain};
use crate::filter::ProtocolFilter;
use crate::meter::{Limits, Meter};
use crate::metrics::Metrics;
use crate::names::AskError;
use crate::observe::{Observer, Target};
use crate::reload::{Live, Reload};
use crate::senders::{Senders, Wanted};
use crate::settings::{Settings, Texts};
use crate::zones::Zones;
use naming::Names;

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
    #[error("nobody says which Pods there are: give --cluster or --kubeconfig, or run in a Pod")]
    NoCluster,
    #[error("Antrea Agent cannot be asked")]
    Agent(#[from] AskError),
    #[error("file {} for copies cannot be created", .0.display())]
    Copy(PathBuf, #[source] std::io::Error),
    #[error("conntrack cannot be read; this needs CAP_NET_ADMIN")]
    Source(#[from] SourceError),
    #[error(transparent)]
    Admin(#[from] daemon::admin::BindError),
    #[error(transparent)]
    Destination(#[from] RouteError),
    #[error("API server cannot be asked")]
    ApiServer(#[source] ConnectionError),
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
    args: Given,
    settings: Settings,
    texts: Texts,
    ready: impl FnOnce(),
) -> Result<(), StartError> {
    let mut shutdown = Shutdown::listen().map_err(StartError::Signals)?;
    let metrics = Arc::new(Metrics::default());
    let hangup = daemon::configuration::hangup().map_err(StartError::Signals)?;
    let follow = |live| {
        let (settings, metrics) = (settings.clone(), Arc::clone(&metrics));
        Reload::new(args, texts, settings, live, hangup, metrics)
    };
    if !settings.exports() {
        let reload = follow(None);
        return rest(&settings, reload, &metrics, &mut shutdown, ready).await;
    }
    let live = Live::new(&settings)?;
    set_sysctls(&settings);
    let mut tasks = Tasks::default();
    let connection = kubernetes::api_server(&settings).await?;
    let names = naming::begin(&settings, connection.clone(), &mut tasks.servers)?;
    let (reporter, denials) = deny::channel(deny::CAPACITY, Arc::clone(&metrics.denied));
    let observer = observer(&settings, &metrics, &names, denials)?;
    let custom =
        kubernetes::destinations(&settings, connection.as_ref(), &metrics, &mut tasks.servers);
    let wanted = Wanted { configured: live.configured.subscribe(), custom };
    let mut senders = senders(&settings, wanted, connection, &metrics)?;
    let orders = live.orders.clone();
    let reload = follow(Some(live));
    let readiness = Readiness::default();
    tasks.serve(&settings, &metrics, Some(&names), readiness.clone()).await?;
    tasks.servers.spawn("configuration", reload.run());
    denying::hear(&settings.denial, &reporter, &metrics.deny_ovs, &mut tasks.servers);
    let (switch, stop) = Stop::new();
    // The first attempts to connect are made at once, before anything is known to be sent.
    orders.send_modify(|orders| orders.targets = senders.follow());
    let observer = observer.obeying(orders.subscribe(), now_ns());
    let tell = move |targets| orders.send_modify(|orders| orders.targets = targets);
    tasks.stages.spawn_fallible("exporting", exporting(senders, stop.clone(), tell));
    let (known, first_round) = oneshot::channel();
    tasks.stages.spawn_fallible("observing", observing(observer, stop, known));
    let ended = tokio::select! {
        // An observer that fails before does not tell, and ends as a task.
        Ok(()) = async { names.listed().await; first_round.await } => {
            tracing::info!(node = settings.node.value, "exporter is up");
            readiness.set();
            ready();
            tasks.until_end(&mut shutdown).await
        }
        ended = tasks.until_end(&mut shutdown) => ended,
    };
    // What a destination that went earlier did not take says nothing about this end.
    let gone = metrics.left_behind();
    // The observer hands out what is left and drops the queues, which ends the exporting.
    let now = Instant::now();
    switch.stop_by(now + LAST_WORDS);
    let flushed = timeout_at(now + LAST_RESORT, tasks.stages.all_end()).await;
    // Why it ended tells more than what came of that.
    ended?;
    flushed.map_err(|_| StartError::Stuck)??;
    match metrics.left_behind() - gone {
        0 => {
            tracing::info!("everything is flushed");
            Ok(())
        }
        records => Err(StartError::LeftBehind { records }),
    }
}

/// What stays wrong is told by the observer.
fn set_sysctls(settings: &Settings) {
    let problems = settings.set_sysctls.value.then(turn_on_sysctls);
    for problem in problems.into_iter().flatten() {
        tracing::error!(problem = %Chain(&problem), "kernel cannot be made to tell more");
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
    tasks.serve(settings, metrics, None, readiness.clone()).await?;
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
        names: Option<&Names>,
        readiness: Readiness,
    ) -> Result<(), StartError> {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        if let Some(names) = names {
            names.register(&mut registry);
        }
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
    names: &Names,
    denials: Denials,
) -> Result<Observer<NetlinkSource>, StartError> {
    let zones = Zones::of(&settings.zones.value);
    let reliable = settings.reliable_events.value;
    let netlink = NetlinkOptions { zones: zones.read(), reliable, ..NetlinkOptions::default() };
    let source = NetlinkSource::open(netlink)?;
    let mut meter = Meter::new(Limits { connections: settings.connections.value });
    meter.inherit_before(now_ns(), &ProtocolFilter::ALL);
    let enricher = names.enricher(settings);
    let poll_interval = settings.poll_interval.value;
    let table = Table::new(Table::LIMIT, settings.idle_timeout.value, Arc::clone(&metrics.denied));
    let metrics = Arc::clone(metrics);
    let mut observer = Observer::new(source, meter, enricher, zones, poll_interval, metrics);
    observer.live = names.live();
    Ok(observer.with_denied(denials, table))
}

fn senders(
    settings: &Settings,
    wanted: Wanted,
    connection: Option<Arc<Connection>>,
    metrics: &Arc<Metrics>,
) -> Result<Senders, StartError> {
    let way = Way::new(connection, Arc::clone(&metrics.found));
    let created =
        |path: &PathBuf| create(path).map_err(|error| StartError::Copy(path.clone(), error));
    let copy = settings.copy.value.as_ref().map(created).transpose()?;
    let domain = observation_domain(&settings.node.value);
    Ok(Senders::new(wanted, way, domain, copy, Arc::clone(metrics)))
}

async fn exporting(
    senders: Senders,
    stop: Stop,
    tell: impl Fn(Arc<[Target]>),
) -> Result<(), Cause> {
    Ok(senders.run(stop, tell).await?)
}

/// Creates a file for the eyes of its owner: who talked to whom is nobody else's business.
fn create(path: &Path) -> std::io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Runs the observer on a thread of its own, since it waits in the kernel.
async fn observing(
    observer: Observer<NetlinkSource>,
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
        observer.run(|| stop.is_requested(), || clock.now_ns(), on_round)
    };
    tokio::task::spawn_blocking(observe).await??;
    Ok(())
}
