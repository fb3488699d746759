//! Those who ask: live streams of flows, and `antctl`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use daemon::admin::Readiness;
use daemon::{Supervisor, now_ns};
use k8s::client::Connection;
use k8s::review::Reviewer;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::StartError;
use super::certificates::Served;
use crate::api::{self, Ask, Sources, Totals};
use crate::fan_out::FanOut;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::shards::Handle;
use crate::stream::{self, Access, Counts, Hub, Server};

/// Batches that wait to be taken over into the history.
const HUB_QUEUE: usize = 256;

/// Live streams, which end after the sinks: only then nothing more comes.
#[derive(Debug)]
pub(super) struct Streams {
    tasks: Supervisor,
    stop: watch::Sender<bool>,
}

impl Streams {
    /// Listens, if the configuration says so.
    pub(super) async fn start(
        settings: &Settings,
        served: Option<&Served>,
        connection: Option<&Arc<Connection>>,
        fan_out: &FanOut,
        counts: Arc<Counts>,
    ) -> Result<Self, StartError> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Supervisor::default();
        if !settings.stream.enable.value {
            return Ok(Self { tasks, stop });
        }
        let address = settings.stream.address.value;
        let listening = TcpListener::bind(address).await;
        let listener = listening.map_err(|source| StartError::ListenStream { address, source })?;
        let access = if settings.stream.unauthenticated.value {
            tracing::warn!(listen = %address, "flows are told to everybody who connects");
            Access::Anybody
        } else if served.is_none() {
            return Err(StartError::NoCertificatesForStream);
        } else {
            Access::Known { tokens: connection.map(|it| Reviewer::new(Arc::clone(it))) }
        };
        let hub = Hub::new(settings.aggregation.history());
        tasks.spawn("history of flows", hub.clone().feed(fan_out.subscribe(HUB_QUEUE)));
        let certificates = served.map(|served| served.for_anybody.clone());
        let streams = Server::new(hub, access, counts, now_ns);
        tasks.spawn("live streams", stream::serve(listener, certificates, streams, stopped));
        tracing::info!(listen = %address, "flows are told live");
        Ok(Self { tasks, stop })
    }

    /// Lets clients have what there still is, and ends.
    pub(super) async fn close(mut self) -> Result<(), daemon::Ended> {
        self.stop.send_replace(true);
        self.tasks.all_end().await
    }
}

/// What streams count, if there can be any.
pub(super) fn counts(settings: &Settings, registry: &mut Registry) -> Arc<Counts> {
    let counts = Arc::new(Counts::default());
    if settings.stream.enable.value {
        counts.register(registry);
    }
    counts
}

/// Serves `antctl`, if there is a configuration file: two processes on one host that were told
/// nothing would want the same port.
pub(super) async fn api(
    settings: &Settings,
    connection: Option<&Arc<Connection>>,
    sources: Sources,
    servers: &mut Supervisor,
) -> Result<(), StartError> {
    let port = settings.api.port.value;
    if settings.is_plain || port == 0 {
        return Ok(());
    }
    let options = api::Options {
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
        token: settings.api.token.value.clone(),
        reviewer: connection.map(|it| Reviewer::new(Arc::clone(it))),
        is_tls13_only: settings.api.min_version.value == crate::settings::TlsVersion::Tls13,
        cipher_suites: settings.api.cipher_suites.value.clone(),
    };
    let api = api::bind(options, sources).await?;
    servers.spawn("API server", api.serve());
    Ok(())
}

/// What the API tells.
pub(super) fn sources(
    metrics: Arc<Metrics>,
    fan_out: FanOut,
    readiness: Readiness,
    registry: Arc<Registry>,
    flows: Option<Handle>,
) -> Sources {
    let totals = move || Totals {
        num_records_exported: metrics.emitted(),
        num_records_received: metrics.records_received.get(),
        num_records_dropped: fan_out.lost(),
        num_flows: u64::try_from(metrics.flows.get()).unwrap_or(0),
        num_conn_to_collector: u64::try_from(metrics.sessions.get()).unwrap_or(0),
        with_click_house_exporter: fan_out.is_open("clickhouse"),
        with_s3_exporter: fan_out.is_open("s3"),
        with_log_exporter: fan_out.is_open("flow_log"),
        with_ipfix_exporter: fan_out.is_open("flow_collector"),
    };
    let flows = flows.map(|handle| -> Box<Ask> {
        Box::new(move |wanted, limit| {
            let handle = handle.clone();
            Box::pin(async move { handle.flows(wanted, limit).await })
        })
    });
    Sources { flows, totals: Box::new(totals), readiness, registry }
}
