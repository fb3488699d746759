//! What the API server is asked for: where else records go.

use std::sync::Arc;

use daemon::{Cause, Chain, Supervisor, now_ns};
use k8s::client::{self, Connection, Source};
use tokio::sync::watch;

use super::StartError;
use crate::destination::Spec;
use crate::destinations::{Defaults, Watching};
use crate::metrics::Metrics;
use crate::settings::Settings;

/// The way to the API server, if there is one. A Pod may have been given none.
pub(super) async fn api_server(settings: &Settings) -> Result<Option<Arc<Connection>>, StartError> {
    let Some(source) = settings.api_server(client::in_cluster()) else { return Ok(None) };
    let is_asked_for = source != Source::InCluster;
    match Connection::open(source).await {
        Ok(connection) => Ok(Some(Arc::new(connection))),
        Err(error) if is_asked_for => Err(StartError::ApiServer(error)),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "the API server is not asked");
            Ok(None)
        }
    }
}

/// Destinations that custom resources ask for, from now on.
pub(super) fn destinations(
    settings: &Settings,
    connection: Option<&Arc<Connection>>,
    metrics: &Metrics,
    servers: &mut Supervisor,
) -> watch::Receiver<Arc<[Spec]>> {
    let Some(connection) = connection else { return watch::channel(Arc::default()).1 };
    let defaults = Defaults::beside(settings.specs().len(), settings.profile.value);
    let clock = Arc::new(|| now_ns() / 1_000_000);
    let (options, counters) = (Watching::options(), Arc::clone(&metrics.found));
    let (watching, resources) =
        Watching::new(Arc::clone(connection), options, defaults, counters, clock);
    let run = async { watching.run().await.map(|never| match never {}).map_err(Cause::from) };
    servers.spawn_fallible("custom resources", run);
    resources.specs
}
