//! What the observer of the switch counts, beside what every source of denied packets does.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::meaning::Passed;
use super::run::End;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    passed: Family<Reason, Counter>,
    ended: Family<Reason, Counter>,
    pub(super) sessions: Counter,
    pub(super) connect_failures: Counter,
    pub(super) unanswered: Counter,
    pub(super) flows: Gauge,
}

impl Counters {
    pub(super) fn passed(&self, why: Passed) {
        self.passed.get_or_create(&Reason { reason: why.name() }).inc();
    }

    pub(super) fn ended(&self, end: &End) {
        self.ended.get_or_create(&Reason { reason: end.name() }).inc();
    }

    /// Packet-ins that told of no denied packet.
    pub fn passed_over(&self, why: Passed) -> u64 {
        self.passed.get_or_create(&Reason { reason: why.name() }).get()
    }

    /// Sessions that ended for a reason, by its name in metrics.
    pub fn sessions_ended(&self, reason: &'static str) -> u64 {
        self.ended.get_or_create(&Reason { reason }).get()
    }

    /// Sessions that have begun.
    pub fn sessions(&self) -> u64 {
        self.sessions.get()
    }

    /// Flows that tell of denied packets, when last looked.
    pub fn flows(&self) -> i64 {
        self.flows.get()
    }

    /// Makes everything visible under its name.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("deny_ovs");
        let passed = "Packet-ins that tell of no denied packet";
        registry.register("packet_ins_passed_over", passed, self.passed.clone());
        let ended = "Sessions with the switch that are over";
        registry.register("sessions_ended", ended, self.ended.clone());
        let unanswered = "Questions for tables or flows without a readable answer";
        for (name, help, counter) in [
            ("sessions", "Sessions with the switch", &self.sessions),
            (
                "connect_failures",
                "Attempts to reach the switch that failed",
                &self.connect_failures,
            ),
            ("questions_unanswered", unanswered, &self.unanswered),
        ] {
            registry.register(name, help, counter.clone());
        }
        let flows = "Flows that tell of denied packets; 0 while the Agent's gate is off";
        registry.register("flows", flows, self.flows.clone());
    }
}
