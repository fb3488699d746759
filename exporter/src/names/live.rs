//! The cluster as the API server has it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use k8s::client::Connection;
use k8s::objects::Kind;
use k8s::watch::{Clock, Options, Progress, Watches};
use k8s::{Cluster, LabelFilter, Limits, Margins, Tracker};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

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

/// How the watches are doing, asked when somebody reads the metrics.
#[derive(Debug)]
pub struct Watching(pub Vec<Progress>);

impl Collector for Watching {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let kinds: Vec<_> = self.0.iter().flat_map(Progress::kinds).collect();
        let counter = |encoder: &mut DescriptorEncoder<'_>,
                       name,
                       help,
                       value: &dyn Fn(&k8s::watch::KindState) -> u64| {
            let mut family = encoder.encode_descriptor(
                name,
                help,
                None,
                prometheus_client::metrics::MetricType::Counter,
            )?;
            for (kind, state) in &kinds {
                let labels = [("kind", kind.name())];
                let counter = ConstCounter::new(value(state));
                counter.encode(family.encode_family(&labels)?)?;
            }
            Ok::<_, std::fmt::Error>(())
        };
        let restarts = |state: &k8s::watch::KindState| {
            k8s::client::Reason::ALL.iter().map(|reason| state.restarts.of(*reason)).sum()
        };
        let left_out = |state: &k8s::watch::KindState| {
            k8s::watch::LeftOut::ALL.iter().map(|what| state.left_out.of(*what)).sum()
        };
        counter(&mut encoder, "watch_events", "Objects told by the API server", &|it| it.events)?;
        counter(&mut encoder, "watch_lists", "Complete lists of a kind", &|it| it.lists)?;
        counter(&mut encoder, "watch_restarts", "Times a watch began anew", &restarts)?;
        counter(&mut encoder, "watch_left_out", "Objects, or parts, not taken over", &left_out)?;
        counter(&mut encoder, "watch_probes", "Short watches for certainty", &|it| it.probes)?;
        let vain = "Short watches that brought no certainty";
        counter(&mut encoder, "watch_probes_vain", vain, &|it| it.probes_vain)?;
        let help = "1 while a kind is followed without a gap";
        let kind = prometheus_client::metrics::MetricType::Gauge;
        let mut family = encoder.encode_descriptor("watch_following", help, None, kind)?;
        for (kind, state) in &kinds {
            let labels = [("kind", kind.name())];
            let gauge = ConstGauge::new(i64::from(state.followed_since_ms.is_some()));
            gauge.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
