//! The stage that makes flows of records, or hands records on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use daemon::{SteadyClock, Supervisor};
use flow::Mode;
use k8s::Cluster;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use crate::collect::Reported;
use crate::enrich::{Enricher, Wanted};
use crate::fan_out::FanOut;
use crate::metrics::Metrics;
use crate::proxy;
use crate::shards::Shards;

/// What completes records, if anybody tells of the cluster. What is `wanted` may change.
pub(super) fn enricher(
    cluster: Option<&Arc<ArcSwap<Cluster>>>,
    wanted: &Arc<ArcSwap<Wanted>>,
    registry: &mut Registry,
) -> Option<Enricher> {
    let enricher = Enricher::new(Arc::clone(cluster?), Arc::clone(wanted));
    enricher.counts().register(registry);
    Some(enricher)
}

/// Takes records from `queue` until it is closed.
pub(super) fn begin(
    mode: Mode,
    shards: Shards,
    queue: mpsc::Receiver<Reported>,
    enricher: Option<Enricher>,
    fan_out: FanOut,
    metrics: Arc<Metrics>,
    stages: &mut Supervisor,
) {
    let clock = SteadyClock::new();
    let clock = move || clock.now_ns() / 1_000_000;
    match mode {
        Mode::Proxy => stages.spawn("proxy", proxy::run(queue, enricher, fan_out, clock)),
        Mode::Aggregate => {
            let correlating = shards.run(queue, enricher, fan_out, metrics, clock);
            stages.spawn("correlation", correlating);
        }
    }
}
