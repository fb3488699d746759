//! Whose addresses they are: a cluster file, or watches of the API server.

use std::sync::Arc;

use arc_swap::ArcSwap;
use daemon::{Supervisor, now_ns};
use k8s::client::Connection;
use k8s::objects::Kind;
use k8s::watch::{Options, Watches, Watching};
use k8s::{Cluster, LabelFilter, Limits, Margins, Tracker};
use prometheus_client::registry::Registry;

use super::StartError;
use crate::settings::Settings;

/// What names both ends of a flow, and what their Pods belong to.
pub(crate) const KINDS: [Kind; 5] =
    [Kind::Pod, Kind::Service, Kind::Node, Kind::ReplicaSet, Kind::Job];

/// Where the newest snapshot of the cluster is, if anybody tells of it. Watches are one of the
/// `servers`.
pub(super) fn cluster(
    settings: &Settings,
    connection: Option<&Arc<Connection>>,
    registry: &mut Registry,
    servers: &mut Supervisor,
) -> Result<Option<Arc<ArcSwap<Cluster>>>, StartError> {
    if let Some(path) = &settings.cluster.file.value {
        return Ok(Some(Arc::new(ArcSwap::from_pointee(Cluster::from_file(path)?))));
    }
    let Some(connection) = connection else { return Ok(None) };
    let options = Options { kinds: KINDS.to_vec(), ..Options::default() };
    let clock = Arc::new(|| now_ns() / 1_000_000);
    // Whether records have labels can change while this runs.
    let tracker = Tracker::new(Margins::default(), Limits::default(), LabelFilter::new(["*"]));
    let latest = tracker.latest();
    let watches = Watches::new(Arc::clone(connection), options, clock);
    let watching = Watching(vec![watches.progress()]);
    let registry = registry.sub_registry_with_prefix("fyke_aggregator");
    registry.register_collector(Box::new(watching));
    servers.spawn_fallible("cluster", async move {
        match watches.track(tracker).await {
            Err(ended) => Err(ended.into()),
        }
    });
    Ok(Some(latest))
}
