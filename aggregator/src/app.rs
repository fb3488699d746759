//! Ties the stages together: starts them in order, stops them in reverse.
mod kubernetes; // the API server, and which cluster this is
mod names; // whose addresses they are
mod certificates; // what exporters are shown
mod resume; // what is known from before
mod correlating; // the task that makes flows of records
mod listeners; // where records are taken
mod outputs; // where they go
mod live; // who asks for them

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use daemon::admin::{Admin, Readiness};
use daemon::{Ended, Shutdown, Supervisor, now_ns};
use flow::Mode;
use k8s::Cluster;
use k8s::certificates::FollowError;
use k8s::client::ConnectionError;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};

use crate::args::Given;
use crate::collect::{CollectOptions, Collecting, Epoch, Reported, Room};
use crate::fan_out::{FanOut, SinkMetrics};
use crate::metrics::{CertificateMetrics, Metrics};
use crate::reload::Reload;
use crate::settings::{Listener, NotThere, Settings, Text};
use listeners::Taking;
use live::Streams;
#[cfg(test)]
pub(crate) use names::KINDS;
pub(crate) use outputs::Running;

/// Messages that wait between the sessions and correlation. How many records that may be is for
/// [`CollectOptions::limits`] to say.
const REPORTED_QUEUE: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    NotThere(#[from] NotThere),
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
    #[error(
        "there is no certificate to take IPFIX on {listener} with: give tls.certFile and \
         tls.keyFile, or let the API server be asked, or set aggregatorTransportProtocol to tcp"
    )]
    NoCertificates { listener: Listener },
    #[error(
        "there is no certificate to take gRPC with: give tls.certFile and tls.keyFile, or let the \
         API server be asked, or set listen.grpc to off"
    )]
    NoCertificatesForGrpc,
    #[error("cannot listen for clients of live flows on {address}; see flowStreamService.address")]
    ListenStream {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "there is no certificate to stream flows with: give tls.certFile and tls.keyFile, or let \
         the API server be asked, or set flowStreamService.allowUnauthenticated"
    )]
    NoCertificatesForStream,
    #[error("API for antctl cannot be served; see apiServer.apiPort")]
    Api(#[from] crate::api::ApiError),
    #[error("certificates of this collector cannot be used")]
    Certificates(#[from] FollowError),
    #[error("no certificate can be for a Service in the namespace of the configuration")]
    Namespace,
    #[error("no certificate can be for flowAggregatorAddress")]
    Name,
    #[error(transparent)]
    Cluster(#[from] k8s::FileError),
    #[error("API server cannot be asked")]
    ApiServer(#[source] ConnectionError),
    #[error(transparent)]
    Admin(#[from] daemon::admin::BindError),
    #[error("store cannot be opened")]
    Store(#[from] store::StoreError),
    #[error("spool cannot be opened")]
    Spool(#[from] sinks::SpoolError),
    #[error("an output cannot work as the configuration says")]
    Output(#[from] sinks::OptionsError),
    #[error("signals cannot be handled")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Ended(#[from] Ended),
    #[error("{records} records could not be delivered in the time there is to end")]
    LeftBehind { records: u64 },
}

/// Runs until SIGTERM or Ctrl-C; `ready` is called once records are taken.
pub(crate) async fn run(
    args: Given,
    settings: Settings,
    text: Text,
    ready: impl FnOnce(),
) -> Result<(), StartError> {
    settings.check_build()?;
    let mut shutdown = Shutdown::listen().map_err(StartError::Signals)?;
    let hangup = daemon::configuration::hangup().map_err(StartError::Signals)?;
    let readiness = Readiness::default();
    let reload = Reload::new(args, text, settings.clone(), hangup, readiness.clone());
    let starting = Process::start(&settings, reload, readiness);
    let process = tokio::select! {
        process = starting => process?,
        signal = shutdown.requested() => {
            tracing::info!(signal, "shutting down before anything was received");
            return Ok(());
        }
    };
    process.run(shutdown, ready).await
}

/// Everything that runs.
struct Process {
    readiness: Readiness,
    reload: Reload,
    uuid: watch::Receiver<Option<flow::Uid>>,
    fan_out: FanOut,
    /// Its threads, without which neither records nor the end of the process get anywhere.
    spool: Supervisor,
    outputs: Running,
    streams: Streams,
    stages: Supervisor,
    servers: Supervisor,
    stop: watch::Sender<bool>,
}

impl Process {
    async fn start(
        settings: &Settings,
        mut reload: Reload,
        readiness: Readiness,
    ) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::default());
        let (shards, fan_out) = resume::open(settings).await?;
        let spool = resume::supervised(&fan_out);
        let (mut servers, mut stages) = (Supervisor::default(), Supervisor::default());
        let connection = kubernetes::api_server(settings).await?;
        let (mut registry, certificates) = (Registry::default(), CertificateMetrics::default());
        let api_server = connection.as_ref();
        let cluster = names::cluster(settings, api_server, &mut registry, &mut servers)?;
        let (collecting, queue) = collecting(settings, &metrics, cluster.clone());

        metrics.register(&mut registry);
        certificates.register(&mut registry);
        collecting.connected().register(&mut registry);
        reload.counts().register(&mut registry);
        registry.register_collector(Box::new(SinkMetrics(fan_out.clone())));
        let wanted = Arc::new(ArcSwap::from_pointee(settings.wanted()));
        let enricher = correlating::enricher(cluster.as_ref(), &wanted, &mut registry);
        let streamed = live::counts(settings, &mut registry);
        let (registry, admin) = (Arc::new(registry), settings.api.admin.value);
        let admin = Admin::bind(admin, Arc::clone(&registry), readiness.clone()).await?;
        servers.spawn("admin server", admin.serve());
        let counted = Arc::clone(&metrics);
        let mode = settings.aggregation.mode.value;
        let flows = (mode == Mode::Aggregate).then(|| shards.handle());
        let (to, ready) = (fan_out.clone(), readiness.clone());
        let sources = live::sources(counted, to, ready, registry, flows);
        live::api(settings, api_server, sources, &mut servers).await?;

        let uuid = kubernetes::identity(settings, api_server, &mut servers).await;
        let mut outputs = Running::new(fan_out.clone(), wanted);
        if let Some(store) = settings.storage.store() {
            outputs.store(&store)?;
        }
        reload.outputs(*uuid.borrow(), &mut outputs)?;
        outputs.complete();
        let to = fan_out.clone();
        correlating::begin(mode, shards, queue, enricher, to, metrics, &mut stages);

        let served =
            certificates::served(settings, api_server, &certificates, &mut servers).await?;
        let (to, by) = (served.as_ref(), api_server);
        let streams = Streams::start(settings, to, by, &fan_out, streamed).await?;
        let (stop, stopped) = watch::channel(false);
        let taking = Taking { collecting, stopped };
        taking.listen(settings, served.as_ref(), &mut stages).await?;
        Ok(Self {
            readiness,
            reload,
            uuid,
            fan_out,
            spool,
            outputs,
            streams,
            stages,
            servers,
            stop,
        })
    }

    async fn run(mut self, mut shutdown: Shutdown, ready: impl FnOnce()) -> Result<(), StartError> {
        tracing::info!("aggregator is up");
        self.readiness.set();
        ready();
        loop {
            tokio::select! {
                signal = shutdown.requested() => {
                    tracing::info!(signal, "shutting down");
                    break;
                }
                end = self.spool.any_end() => return Err(end.into()),
                end = self.outputs.any_end() => return Err(end.into()),
                end = self.stages.any_end() => return Err(end.into()),
                end = self.servers.any_end() => return Err(end.into()),
                loaded = self.reload.changed() => {
                    let uuid = *self.uuid.borrow();
                    self.reload.follow(loaded, uuid, &mut self.outputs);
                }
                Ok(()) = self.uuid.changed() => {
                    let uuid = *self.uuid.borrow_and_update();
                    self.reload.outputs(uuid, &mut self.outputs)?;
                }
            }
        }
        Box::pin(self.end()).await
    }

    /// Ends with everything flushed, or says why not. Queues of a spool that is broken never end.
    async fn end(mut self) -> Result<(), StartError> {
        let mut spool = std::mem::take(&mut self.spool);
        tokio::select! {
            flushed = self.flush() => flushed,
            end = spool.any_end() => Err(end.into()),
        }
    }

    /// Sessions finish, which closes the correlator's queue; when it is done, no sink gets more.
    async fn flush(mut self) -> Result<(), StartError> {
        let before = self.fan_out.lost();
        self.stop.send_replace(true);
        self.stages.all_end().await?;
        // Closing the outputs also ends what live streams wait for.
        let (outputs, streams) = tokio::join!(self.outputs.close(), self.streams.close());
        outputs?;
        streams?;
        self.fan_out.finish().await;
        match self.fan_out.lost().saturating_sub(before) {
            0 => {
                tracing::info!("everything is flushed");
                Ok(())
            }
            records => Err(StartError::LeftBehind { records }),
        }
    }
}

/// The Collecting Process, and the queue that it fills.
fn collecting(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    cluster: Option<Arc<ArcSwap<Cluster>>>,
) -> (Collecting, mpsc::Receiver<Reported>) {
    let options = CollectOptions {
        claims: settings.input.claims.value,
        silent_after: settings.input.silent_after.value,
        ..CollectOptions::default()
    };
    let (reported, queue) = mpsc::channel(REPORTED_QUEUE);
    let room = Room::new(options.limits.records, reported);
    let epoch = Epoch::new(Instant::now(), now_ns() / 1_000_000);
    (Collecting::new(options, room, Arc::clone(metrics), cluster, epoch), queue)
}
