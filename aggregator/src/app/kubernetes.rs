//! What the API server is asked for: which cluster this is.

use std::sync::Arc;
use std::time::Duration;

use daemon::{Chain, Supervisor};
use flow::Uid;
use k8s::client::{self, Connection, Source};
use k8s::identity::{IdentityError, cluster_uuid};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::StartError;
use crate::settings::Settings;

/// How long a start may wait for the cluster's UUID, as in Antrea.
const UUID_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked for meanwhile.
const RETRY: Duration = Duration::from_secs(1);
/// And afterwards.
const LATER: Duration = Duration::from_secs(30);

/// The way to the API server, if there is one. A Pod may have been given none.
pub(super) async fn api_server(settings: &Settings) -> Result<Option<Arc<Connection>>, StartError> {
    if settings.is_plain {
        return Ok(None);
    }
    let Some(source) = settings.cluster.api_server(client::in_cluster()) else { return Ok(None) };
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

/// The cluster's UUID, from the configuration or the API server. Where that does not tell it now,
/// it is asked on.
pub(super) async fn identity(
    settings: &Settings,
    connection: Option<&Arc<Connection>>,
    servers: &mut Supervisor,
) -> watch::Receiver<Option<Uid>> {
    let configured = settings.cluster.uuid.value;
    let known = watch::Sender::new(configured);
    let uuid = known.subscribe();
    let (None, Some(connection)) = (configured, connection) else {
        servers.spawn("cluster's identity", async move { known.closed().await });
        return uuid;
    };
    let told = soon(connection).await;
    if let Err(error) = &told {
        let error = Chain(error);
        tracing::warn!(%error, "the cluster's UUID is not known yet; clusterUUID would tell it");
    }
    known.send_replace(told.ok());
    servers.spawn("cluster's identity", later(known, Arc::clone(connection)));
    uuid
}

/// An API server that is there and has none will not have one in a second.
async fn soon(connection: &Connection) -> Result<Uid, IdentityError> {
    let deadline = Instant::now() + UUID_WITHIN;
    loop {
        match cluster_uuid(connection).await {
            Err(IdentityError::Unread(_)) if Instant::now() < deadline => sleep(RETRY).await,
            told => return told,
        }
    }
}

async fn later(known: watch::Sender<Option<Uid>>, connection: Arc<Connection>) {
    while known.borrow().is_none() {
        sleep(LATER).await;
        if let Ok(uuid) = cluster_uuid(&connection).await {
            tracing::info!(%uuid, "the cluster's UUID is known now");
            known.send_replace(Some(uuid));
        }
    }
    known.closed().await;
}
