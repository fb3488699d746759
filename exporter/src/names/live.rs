//! The cluster as the API server has it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use k8s::client::Connection;
use k8s::objects::Kind;
use k8s::watch::{Clock, Options, Progress, Watches};
use k8s::{Cluster, LabelFilter, Limits, Margins, Tracker};

/// What names a flow of one Node: its own Pods, all Services, all Nodes for their networks, and
/// Namespaces, whose labels tell which Egress a Pod has.
pub const KINDS: [Kind; 4] = [Kind::Pod, Kind::Service, Kind::Node, Kind::Namespace];

/// As [`Margins::default`], but news may take 2 s at most. A Pod of this Node is bound to it, and
/// a Service is given its address, by way of the same API server before kubelet and Agent can act
/// on it, so only what these hear 2 s sooner than we do could be missed.
pub const MARGINS: Margins =
    Margins { skew_ms: 500, linger_ms: 5_000, settle_ms: 2_000, keep_ms: 300_000 };

/// How often the API server is asked how far it is, while records wait for that.
const WANT_NS: u64 = 1_000_000_000;

/// Watches of what names this Node's flows.
#[derive(Debug)]
pub struct Live {
    latest: Arc<ArcSwap<Cluster>>,
    progress: Progress,
    wanted_ns: u64,
}

impl Live {
    /// What follows these snapshots and hurries whoever makes them.
    pub fn new(latest: Arc<ArcSwap<Cluster>>, progress: Progress) -> Self {
        Self { latest, progress, wanted_ns: 0 }
    }

    /// What is to run, and what it makes known. `clock` tells milliseconds since 1970.
    pub fn begin(
        connection: Arc<Connection>,
        node: &str,
        clock: Clock,
    ) -> (Self, impl Future<Output = k8s::watch::WatchingEnded> + Send + 'static) {
        let options =
            Options { kinds: KINDS.to_vec(), node: Some(node.to_owned()), ..Options::default() };
        // Nobody knows beforehand which ones an Egress asks for.
        let labels = LabelFilter::new(["*"]);
        let tracker = Tracker::new(MARGINS, Limits::default(), labels);
        let latest = tracker.latest();
        let watches = Watches::new(connection, options, clock);
        let live = Self::new(latest, watches.progress());
        let watching = async move {
            match watches.track(tracker).await {
                Err(ended) => ended,
            }
        };
        (live, watching)
    }

    pub fn cluster(&self) -> Arc<ArcSwap<Cluster>> {
        Arc::clone(&self.latest)
    }

    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Records wait at `now_ns` for certainty about the last seconds.
    pub fn want(&mut self, now_ns: u64) {
        if now_ns < self.wanted_ns.saturating_add(WANT_NS) {
            return;
        }
        self.wanted_ns = now_ns;
        for kind in [Kind::Pod, Kind::Service] {
            self.progress.want(kind);
        }
    }
}

/// Waits until everything has been listed once, though not for ever: whether it has.
pub async fn listed(progress: &Progress, within: Duration) -> bool {
    let mut ready = progress.ready();
    let listed = tokio::time::timeout(within, ready.wait_for(|ready| *ready)).await;
    listed.is_ok_and(|waited| waited.is_ok())
}
