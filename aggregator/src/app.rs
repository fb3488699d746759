//! Ties the stages together: starts them in order, stops them in reverse.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daemon::admin::{Admin, Readiness};
use daemon::{SteadyClock, Supervisor, now_ns};
use flow::{Batch, FlowRecord};
use prometheus_client::registry::Registry;
use sinks::{DeliverOptions, LogSink, Sink, StoreSink, deliver};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::collect::{CollectorLimits, Reported, collect};
use crate::correlate::{Correlator, Stored, Timeouts, Totals};
use crate::fan_out::FanOut;
use crate::metrics::{Metrics, SinkCounters};

/// Messages that wait between the sessions and correlation.
const REPORTED_QUEUE: usize = 1024;
/// Batches that wait for a sink.
const SINK_QUEUE: usize = 1024;
/// Records per batch at most.
const BATCH: usize = 1024;
/// How often the correlator looks for what is due.
const TICK: Duration = Duration::from_millis(100);
/// How far back the store is read after a restart: no flow lives on unreported for so long.
const RESUME_HORIZON_MS: u64 = 3_600_000;

/// How long what was read is remembered: exporters have connected again and reported every flow
/// that goes on long before.
const RESUME_FOR_MS: u64 = 600_000;

/// What `flow-aggregator` and `fyke aggregator` are told.
#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
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
    #[error(transparent)]
    Admin(#[from] daemon::admin::BindError),
    #[error("store cannot be opened")]
    Store(#[from] store::StoreError),
    #[error("flow log cannot be opened")]
    Log(#[from] sinks::SinkError),
    #[error("signals cannot be handled")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Ended(#[from] daemon::Ended),
}

/// Runs until SIGTERM or Ctrl-C; `ready` is called once records are taken.
pub async fn run(options: Options, ready: impl FnOnce()) -> Result<(), StartError> {
    let metrics = Arc::new(Metrics::default());
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut correlator = Correlator::new(options.timeouts, options.max_flows);
    if let Some(data) = &options.data {
        let until_ms = now_ns() / 1_000_000 + RESUME_FOR_MS;
        correlator.resume_from(stored_totals(data)?, until_ms);
    }

    let mut sinks = Supervisor::default();
    let fan_out = start_sinks(&options, &mut sinks, &mut registry)?;
    let readiness = Readiness::default();
    let admin = Admin::bind(options.admin, registry, readiness.clone()).await?;
    let mut servers = Supervisor::default();
    servers.spawn("admin server", admin.serve());

    let (reported, queue) = mpsc::channel(REPORTED_QUEUE);
    let mut stages = Supervisor::default();
    stages.spawn("correlation", correlate(queue, correlator, fan_out, Arc::clone(&metrics)));
    let address = options.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })?;
    let (stop, stopped) = watch::channel(false);
    let limits = CollectorLimits::default();
    stages.spawn("collecting", collect(listener, limits, reported, metrics, stopped));
    tracing::info!(listen = %address, "aggregator is up");
    readiness.set();
    ready();

    tokio::select! {
        signal = daemon::requested() => {
            let signal = signal.map_err(StartError::Signals)?;
            tracing::info!(signal, "shutting down");
        }
        end = sinks.any_end() => return Err(end.into()),
        end = stages.any_end() => return Err(end.into()),
        end = servers.any_end() => return Err(end.into()),
    }
    // Sessions finish, which closes the correlator's queue, which closes the sinks' queues.
    stop.send_replace(true);
    stages.all_end().await?;
    sinks.all_end().await?;
    tracing::info!("everything is flushed");
    Ok(())
}

/// What the store has of flows that may still be going on.
fn stored_totals(data: &Path) -> Result<hashbrown::HashMap<u64, Stored>, store::StoreError> {
    let since = (now_ns() / 1_000_000).saturating_sub(RESUME_HORIZON_MS);
    let totals = match store::Reader::open(data) {
        Ok(reader) => reader.totals(Some(since))?,
        Err(store::StoreError::Missing { .. }) => return Ok(hashbrown::HashMap::new()),
        Err(error) => return Err(error),
    };
    let side = |[packets, octets, reverse_packets, reverse_octets]: [u64; 4]| Totals {
        packets,
        octets,
        reverse_packets,
        reverse_octets,
    };
    let stored = totals.sides.into_iter().map(|(id, sides)| {
        let (from_source, from_destination) = (side(sides.source), side(sides.destination));
        (id, Stored { from_source, from_destination })
    });
    Ok(stored.collect())
}

fn start_sinks(
    options: &Options,
    supervisor: &mut Supervisor,
    registry: &mut Registry,
) -> Result<FanOut, StartError> {
    let mut fan_out = FanOut::default();
    if let Some(path) = &options.log {
        start_sink("log", LogSink::open(path)?, &mut fan_out, supervisor, registry);
    }
    if let Some(data) = &options.data {
        let writer = store::Writer::open(data)?;
        start_sink("store", StoreSink::new(writer), &mut fan_out, supervisor, registry);
    }
    Ok(fan_out)
}

fn start_sink<S: Sink + 'static>(
    name: &'static str,
    sink: S,
    fan_out: &mut FanOut,
    supervisor: &mut Supervisor,
    registry: &mut Registry,
) {
    let (queue, records) = mpsc::channel(SINK_QUEUE);
    let counters = Arc::default();
    registry
        .register_collector(Box::new(SinkCounters { sink: name, counters: Arc::clone(&counters) }));
    fan_out.add(name, queue);
    let clock = || now_ns() / 1_000_000;
    let options = DeliverOptions::default();
    supervisor.spawn(name, deliver(name, sink, records, options, counters, clock));
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
        hand_out(&mut emitted, &mut fan_out);
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
    let Some(Reported { domain, records }) = reported else { return false };
    for record in records {
        correlator.receive(record, domain, now_ms);
    }
    true
}

fn hand_out(emitted: &mut Vec<FlowRecord>, fan_out: &mut FanOut) {
    #[cfg(feature = "faults")]
    crate::faults::spoil(emitted);
    while !emitted.is_empty() {
        let rest = emitted.split_off(emitted.len().min(BATCH));
        let batch: Batch = std::mem::replace(emitted, rest).into();
        fan_out.send(&batch);
    }
}
