//! What looking records up counts, and says now and then.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What of a record is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Source,
    Destination,
    Service,
}

impl End {
    const ALL: [Self; 3] = [Self::Source, Self::Destination, Self::Service];

    fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Service => "service",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    end: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Unresolved {
    end: &'static str,
    reason: &'static str,
}

/// At most one line in the log in this time.
const LOG_MS: u64 = 60_000;

#[derive(Debug, Default)]
pub struct Counts {
    named: Family<Named, Counter>,
    unresolved: Family<Unresolved, Counter>,
    labels_cut: Counter,
    missed: AtomicU64,
    next_log_ms: AtomicU64,
}

impl Counts {
    pub(super) fn named(&self, end: End) {
        self.named.get_or_create(&Named { end: end.name() }).inc();
    }

    pub(crate) fn unresolved(&self, end: End, reason: &'static str) {
        self.unresolved.get_or_create(&Unresolved { end: end.name(), reason }).inc();
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn labels_cut(&self, labels: u64) {
        self.labels_cut.inc_by(labels);
    }

    /// How many ends had no name for this reason.
    pub fn unresolved_so_far(&self, end: End, reason: &'static str) -> u64 {
        self.unresolved.get_or_create(&Unresolved { end: end.name(), reason }).get()
    }

    /// How many ends were named that no Node had named.
    pub fn named_so_far(&self, end: End) -> u64 {
        self.named.get_or_create(&Named { end: end.name() }).get()
    }

    pub(super) fn log(&self, now_ms: u64) {
        if self.missed.load(Ordering::Relaxed) == 0 {
            return;
        }
        let next = self.next_log_ms.load(Ordering::Relaxed);
        let later = now_ms + LOG_MS;
        let (order, fail) = (Ordering::Relaxed, Ordering::Relaxed);
        if now_ms >= next && self.next_log_ms.compare_exchange(next, later, order, fail).is_ok() {
            let ends = self.missed.swap(0, Ordering::Relaxed);
            tracing::info!(ends, "ends of flows could not be looked up; metrics say why");
        }
    }

    /// Makes everything visible under its name, each end at 0 at least.
    pub fn register(&self, registry: &mut Registry) {
        for end in End::ALL {
            drop(self.named.get_or_create(&Named { end: end.name() }));
        }
        let registry = registry.sub_registry_with_prefix("fyke_aggregator");
        let named = "Ends of flows that were named by their address";
        registry.register("names_filled", named, self.named.clone());
        let unresolved = "Ends of flows that could not be looked up, by reason";
        registry.register("names_unresolved", unresolved, self.unresolved.clone());
        let cut = "Labels left out because a Pod has too many";
        registry.register("labels_cut", cut, self.labels_cut.clone());
    }
}
