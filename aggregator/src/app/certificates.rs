//! What this aggregator shows to exporters, and whom of them it lets in.

use std::sync::Arc;
use std::time::Duration;

use daemon::{Chain, Supervisor, now_ns};
use k8s::certificates::{CheckError, Follower, Keeper, Options, ServerSource};
use k8s::client::Connection;
use rustls::pki_types::ServerName;
use tokio::sync::watch;
use tokio::time::sleep;

use super::StartError;
use crate::metrics::{CertificateMetrics, Certificates};
use crate::settings::Settings;

/// How often making certificates is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What TLS is served with.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub(super) source: ServerSource,
    /// The same, for those who may do without a certificate of their own.
    pub(super) for_anybody: ServerSource,
    /// Whether who connects has to show a certificate.
    pub(super) asks: bool,
}

/// Certificates from files, or our own, which go on being renewed by one of the `servers`.
/// `None` if nothing is served over TLS, or nothing says with what.
pub(super) async fn served(
    settings: &Settings,
    connection: Option<&Arc<Connection>>,
    shown: &CertificateMetrics,
    servers: &mut Supervisor,
) -> Result<Option<Served>, StartError> {
    if !settings.input.is_tls() && !settings.stream.enable.value {
        return Ok(None);
    }
    // Nothing that could tell the process to stop: it ends with its servers.
    let (stop, never) = watch::channel(false);
    if let Some(files) = settings.input.server_files() {
        let asks = files.clients.is_some();
        let required = Follower::server_files(files.clone()).await?;
        let asked = Follower::server_files_for_anybody(files).await?;
        let (source, for_anybody) = (required.server(), asked.server());
        shown.show(Certificates::Followed(vec![required.counters(), asked.counters()]));
        servers.spawn("certificates", async move {
            tokio::join!(required.run(never.clone()), asked.run(never));
            drop(stop);
        });
        return Ok(Some(Served { source, for_anybody, asks }));
    }
    let Some(connection) = connection else { return Ok(None) };
    let keeper = keeper(settings, connection).await?;
    let (source, for_anybody) = (keeper.server(), keeper.server_for_anybody());
    shown.show(Certificates::Kept(keeper.counters()));
    servers.spawn("certificates", async move {
        keeper.run(now_s, never).await;
        drop(stop);
    });
    Ok(Some(Served { source, for_anybody, asks: true }))
}

/// Tries until there are certificates: an API server comes back.
async fn keeper(settings: &Settings, connection: &Connection) -> Result<Keeper, StartError> {
    let namespace = &settings.cluster.namespace.value;
    let mut options = Options::new(namespace).map_err(|_| StartError::Namespace)?;
    options = options.keys(settings.input.key_type.value);
    options = options.checked_every(settings.input.check_interval.value);
    if let Some(file) = settings.input.client_ca.value.clone() {
        options = options.also_trusting(file);
    }
    if let Some(name) = settings.input.reached_by.value.clone() {
        options = options.reached_by(ServerName::try_from(name).map_err(|_| StartError::Name)?);
    }
    loop {
        match Keeper::start(&connection.client(), options.clone(), now_s()).await {
            Ok(keeper) => return Ok(keeper),
            Err(error) => told(&error),
        }
        sleep(RETRY).await;
        // Credentials may be what is wrong.
        if let Err(error) = connection.renew(connection.generation()).await {
            tracing::warn!(error = %Chain(&error), "the API server cannot be asked anew");
        }
    }
}

fn told(error: &CheckError) {
    tracing::error!(error = %Chain(error), "there are no certificates yet; records are not taken");
}

fn now_s() -> u64 {
    now_ns() / 1_000_000_000
}
