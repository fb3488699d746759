//! Whose addresses they are: a cluster file, or watches of the API server.

use std::sync::Arc;

use arc_swap::ArcSwap;
use daemon::{Supervisor, now_ns};
use k8s::client::Connection;
use k8s::objects::Kind;
use k8s::watch::{Options, Watches};
use k8s::{Cluster, LabelFilter, Limits, Margins, Tracker};

use super::StartError;
use crate::settings::Settings;

/// Where the newest snapshot of the cluster is, if anybody tells of it. Watches are one of the
/// `servers`.
pub(super) fn cluster(
    settings: &Settings,
    connection: Option<&Arc<Connection>>,
    servers: &mut Supervisor,
) -> Result<Option<Arc<ArcSwap<Cluster>>>, StartError> {
    if let Some(path) = &settings.cluster.file.value {
        return Ok(Some(Arc::new(ArcSwap::from_pointee(Cluster::from_file(path)?))));
    }
    let Some(connection) = connection else { return Ok(None) };
    let kinds = vec![Kind::Pod, Kind::Service, Kind::Node];
    let options = Options { kinds, ..Options::default() };
    let clock = Arc::new(|| now_ns() / 1_000_000);
    // Whether records have labels can change while this runs.
    let tracker = Tracker::new(Margins::default(), Limits::default(), LabelFilter::new(["*"]));
    let latest = tracker.latest();
    let watches = Watches::new(Arc::clone(connection), options, clock);
    servers.spawn_fallible("cluster", async move {
        match watches.track(tracker).await {
            Err(ended) => Err(ended.into()),
        }
    });
    Ok(Some(latest))
}
