//! What looking for names counts.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Unresolved {
    end: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// What of a record has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    Source,
    Destination,
    Service,
    /// The rule that let it in, or kept it out.
    Ingress,
    Egress,
    /// Antrea's `Egress`: by which address it leaves the cluster.
    Exit,
}

impl End {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Service => "service",
            Self::Ingress => "ingress_rule",
            Self::Egress => "egress_rule",
            Self::Exit => "egress",
        }
    }
}

/// Counters of what had no name, and of what becomes known of names.
#[derive(Debug, Default)]
pub struct Counts {
    unresolved: Family<Unresolved, Counter>,
    not_exportable: Family<Reason, Counter>,
    /// Looks at the Agent's rules that came to an end.
    pub agent_looks: Counter,
    agent_failures: Family<Reason, Counter>,
    rules_forgotten: Counter,
    rules_refused: Counter,
    pub policies_unreadable: Counter,
    pub flows_cut: Counter,
    waiting: Gauge,
    pub waited_in_vain: Counter,
    wait_full: Counter,
}

impl Counts {
    pub fn unresolved(&self, end: End, reason: &'static str) {
        self.unresolved.get_or_create(&Unresolved { end: end.name(), reason }).inc();
    }

    pub fn unresolved_so_far(&self, end: End, reason: &'static str) -> u64 {
        self.unresolved.get_or_create(&Unresolved { end: end.name(), reason }).get()
    }

    pub fn not_exportable(&self, reason: &'static str) {
        self.not_exportable.get_or_create(&Reason { reason }).inc();
    }

    pub fn not_exportable_so_far(&self, reason: &'static str) -> u64 {
        self.not_exportable.get_or_create(&Reason { reason }).get()
    }

    pub(crate) fn agent_failed(&self, reason: &'static str) {
        self.agent_failures.get_or_create(&Reason { reason }).inc();
    }

    pub fn agent_failures(&self, reason: &'static str) -> u64 {
        self.agent_failures.get_or_create(&Reason { reason }).get()
    }

    pub(super) fn book(&self, forgotten: u64, refused: u64) {
        self.rules_forgotten.inner().store(forgotten, Ordering::Relaxed);
        self.rules_refused.inner().store(refused, Ordering::Relaxed);
    }

    pub(super) fn book_waiting(&self, waiting: u64, full: u64) {
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.wait_full.inner().store(full, Ordering::Relaxed);
    }

    /// Makes everything visible under its name.
    pub fn register(&self, registry: &mut Registry) {
        let unresolved = "Names that records lack, by what has none and why; in each record anew";
        registry.register("names_unresolved", unresolved, self.unresolved.clone());
        let classes = "Connections due that make no record, by why";
        registry.register("records_not_exportable_by", classes, self.not_exportable.clone());
        let failed = "Looks at the Antrea Agent's rules that failed, by why";
        registry.register("agent_looks_failed", failed, self.agent_failures.clone());
        let waiting = "Ended connections that wait for their names";
        registry.register("names_waiting", waiting, self.waiting.clone());
        let in_vain = "Ended connections told without a name that might have come later";
        let full = "Ended connections that could not wait for their names, since too many did";
        for (name, help, counter) in [
            ("agent_looks", "Looks at the Antrea Agent's rules", &self.agent_looks),
            ("agent_rules_forgotten", "Ids whose rule was forgotten", &self.rules_forgotten),
            ("agent_rules_refused", "Ids beyond what is remembered", &self.rules_refused),
            ("agent_policies_unreadable", "Policies nobody knows", &self.policies_unreadable),
            ("agent_flows_cut", "Flows beyond what is read of one answer", &self.flows_cut),
            ("names_waited_in_vain", in_vain, &self.waited_in_vain),
            ("names_wait_full", full, &self.wait_full),
        ] {
            registry.register(name, help, counter.clone());
        }
    }
}
