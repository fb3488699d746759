//! What became of the calls.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How a call, or a connection before one, ended. The only values the label `reason` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Everything asked for was sent.
    Done,
    /// The client went away.
    Gone,
    /// What was asked for cannot be understood.
    Invalid,
    /// The client may not ask.
    Refused,
    /// No place was left, or the connection came to nothing.
    Dropped,
    /// A defect of this program.
    Panicked,
}

impl End {
    const ALL: [Self; 6] =
        [Self::Done, Self::Gone, Self::Invalid, Self::Refused, Self::Dropped, Self::Panicked];

    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Gone => "gone",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
            Self::Panicked => "panicked",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Counted since the start.
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) calls: Gauge,
    ended: Family<Reason, Counter>,
    pub(super) flows: Counter,
    pub(super) missed: Counter,
}

impl Counts {
    pub(super) fn ended(&self, end: End) {
        self.ended.get_or_create(&Reason { reason: end.label() }).inc();
    }

    /// Makes everything visible under its name, each reason at 0 at least.
    pub fn register(&self, registry: &mut Registry) {
        for end in End::ALL {
            drop(self.ended.get_or_create(&Reason { reason: end.label() }));
        }
        let registry = registry.sub_registry_with_prefix("fyke_aggregator_stream");
        registry.register("calls", "Clients that are sent flows now", self.calls.clone());
        registry.register("calls_ended", "Calls that have ended, by reason", self.ended.clone());
        registry.register("flows", "Flows sent to clients", self.flows.clone());
        let help = "Flows that clients did not take in time";
        registry.register("flows_missed", help, self.missed.clone());
    }
}
