//! What the aggregator counts. Label values are closed sets, spelled here.
mod certificates; // what it serves with
#[cfg(test)]
mod reference; // the reference page

use std::sync::atomic::Ordering;

use flow::Interner;
use ipfix::transport::ReadError;
use ipfix::transport::collect::{Refused, Rejected, SessionEnd};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::correlate::CorrelatorStats;
pub use certificates::{CertificateMetrics, Certificates};

/// Why a Transport Session ended. The only values its `reason` label takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The peer closed it between two messages.
    Closed,
    /// The peer went away in the middle of a message.
    Truncated,
    /// What the peer sent is not IPFIX, or no gRPC.
    Malformed,
    /// The connection failed.
    Broken,
    /// The peer sent nothing for too long.
    Idle,
    /// Too many sessions were open already.
    TooMany,
    /// Over UDP: it had told nothing, and another peer needed its place.
    Crowded,
    /// A defect of this program.
    Panicked,
    Shutdown,
}

impl EndReason {
    const ALL: [Self; 9] = [
        Self::Closed,
        Self::Truncated,
        Self::Malformed,
        Self::Broken,
        Self::Idle,
        Self::TooMany,
        Self::Crowded,
        Self::Panicked,
        Self::Shutdown,
    ];

    pub fn of(end: &SessionEnd) -> Self {
        match end {
            SessionEnd::Closed => Self::Closed,
            SessionEnd::Idle => Self::Idle,
            SessionEnd::Crowded => Self::Crowded,
            // Nobody wants records when their queue is closed, and that is at the end.
            SessionEnd::Shutdown
            | SessionEnd::CutOff
            | SessionEnd::Rejected(Rejected::Unwanted) => Self::Shutdown,
            SessionEnd::Panicked => Self::Panicked,
            SessionEnd::Read(ReadError::Truncated(_)) => Self::Truncated,
            SessionEnd::Read(ReadError::Io(_)) => Self::Broken,
            SessionEnd::Read(ReadError::Message(_))
            | SessionEnd::Rejected(Rejected::Malformed(_))
            | SessionEnd::TooLong(_) => Self::Malformed,
        }
    }

    pub fn of_refused(why: &Refused) -> Self {
        match why {
            Refused::TooMany(_) => Self::TooMany,
            Refused::Panicked => Self::Panicked,
            Refused::Handshake(_) | Refused::HandshakeDeadline(_) => Self::Broken,
            Refused::Malformed(_) | Refused::TooLong(_) => Self::Malformed,
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Broken => "broken",
            Self::Idle => "idle",
            Self::TooMany => "too_many",
            Self::Crowded => "crowded",
            Self::Panicked => "panicked",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Why a Data Record that came whole is of no use. The only values its `reason` label takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Its template, or it itself, does not say between which addresses the flow is.
    NoAddresses,
    /// It is longer than any flow needs to be.
    TooLong,
}

impl Unusable {
    const ALL: [Self; 2] = [Self::NoAddresses, Self::TooLong];

    fn label(self) -> &'static str {
        match self {
            Self::NoAddresses => "no_addresses",
            Self::TooLong => "too_long",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Default)]
pub struct Metrics {
    pub sessions: Gauge,
    sessions_ended: Family<ReasonLabel, Counter>,
    pub messages: Counter,
    pub records_received: Counter,
    pub records_lost: Counter,
    records_unusable: Family<ReasonLabel, Counter>,
    pub sets_without_template: Counter,
    pub sets_reserved: Counter,
    pub out_of_order: Counter,
    pub templates_refused: Counter,
    names_cut: Counter,
    names_resets: Counter,
    names_unshared: Counter,
    pub flows: Gauge,
    correlator: CorrelatorCounters,
}

#[derive(Debug, Default)]
struct CorrelatorCounters {
    emitted: Counter,
    joined: Counter,
    joined_late: Counter,
    unpaired: Counter,
    gaps: Counter,
    gap_octets: Counter,
    resumed: Counter,
    crowded_out: Counter,
    totals_fell: Counter,
    folded: Counter,
    folded_octets: Counter,
    states_left_out: Counter,
}

impl Metrics {
    pub fn session_ended(&self, end: EndReason) {
        self.sessions_ended.get_or_create(&ReasonLabel { reason: end.label() }).inc();
    }

    /// How many sessions have ended for this reason.
    #[cfg(test)]
    pub(crate) fn ended(&self, end: EndReason) -> u64 {
        self.sessions_ended.get_or_create(&ReasonLabel { reason: end.label() }).get()
    }

    pub fn records_unusable(&self, why: Unusable, records: u64) {
        self.records_unusable.get_or_create(&ReasonLabel { reason: why.label() }).inc_by(records);
    }

    /// How many records were handed to the sinks.
    pub fn emitted(&self) -> u64 {
        self.correlator.emitted.get()
    }

    /// Takes over what the correlator has counted since the start.
    pub fn correlator(&self, stats: &CorrelatorStats, flows: usize) {
        let counters = &self.correlator;
        for (counter, value) in [
            (&counters.emitted, stats.emitted),
            (&counters.joined, stats.joined),
            (&counters.joined_late, stats.joined_late),
            (&counters.unpaired, stats.unpaired),
            (&counters.gaps, stats.gaps),
            (&counters.gap_octets, stats.gap_octets),
            (&counters.resumed, stats.resumed),
            (&counters.crowded_out, stats.crowded_out),
            (&counters.totals_fell, stats.totals_fell),
            (&counters.folded, stats.folded),
            (&counters.folded_octets, stats.folded_octets),
            (&counters.states_left_out, stats.states_left_out),
        ] {
            counter.inner().store(value, Ordering::Relaxed);
        }
        self.flows.set(i64::try_from(flows).unwrap_or(i64::MAX));
    }

    /// Makes everything visible under its name, each reason at 0 at least.
    pub fn register(&self, registry: &mut Registry) {
        for end in EndReason::ALL {
            drop(self.sessions_ended.get_or_create(&ReasonLabel { reason: end.label() }));
        }
        for why in Unusable::ALL {
            self.records_unusable(why, 0);
        }
        let registry = registry.sub_registry_with_prefix("fyke_aggregator");
        for (name, help, counter) in self.rows().into_iter().chain(self.correlator.rows()) {
            registry.register(name, help, counter.clone());
        }
        registry.register("sessions", "Transport Sessions that are open", self.sessions.clone());
        registry.register("flows", "Flows being followed", self.flows.clone());
        let ended = "Transport Sessions that ended, by reason";
        registry.register("sessions_ended", ended, self.sessions_ended.clone());
        let unusable = "Data Records that are of no use, by reason";
        registry.register("records_unusable", unusable, self.records_unusable.clone());
    }

    /// Counts what became of a session's names, once it has ended.
    pub fn names(&self, names: &Interner) {
        self.names_cut.inc_by(names.cut());
        self.names_resets.inc_by(names.resets());
        self.names_unshared.inc_by(names.unshared());
    }

    fn rows(&self) -> [Row<'_>; 10] {
        let unshared = "Names that were not shared, since those of other sessions took all memory";
        let lost = "Data Records that sequence numbers show to be missing";
        let resets = "Times that a session began to share names anew";
        [
            ("messages", "Messages received, of IPFIX or gRPC", &self.messages),
            ("records_received", "Data Records received", &self.records_received),
            ("records_lost", lost, &self.records_lost),
            (
                "sets_without_template",
                "Data Sets of no known template",
                &self.sets_without_template,
            ),
            ("sets_reserved", "Sets skipped because their id is reserved", &self.sets_reserved),
            ("messages_out_of_order", "IPFIX messages late or twice", &self.out_of_order),
            ("templates_refused", "Templates beyond the limits", &self.templates_refused),
            ("names_cut", "Names that were too long and lost their end", &self.names_cut),
            ("names_shared_anew", resets, &self.names_resets),
            ("names_unshared", unshared, &self.names_unshared),
        ]
    }
}

/// A counter's name, what it counts, and itself.
type Row<'a> = (&'static str, &'static str, &'a Counter);

impl CorrelatorCounters {
    fn rows(&self) -> [Row<'_>; 12] {
        let joined_late = "Flows whose other half came after they were told alone";
        let gaps = "Records that continue a flow of which earlier records never came";
        let resumed = "Flows continued from what was told of them in an earlier life";
        let crowded = "Halves whose earlier life was forgotten for want of room";
        let fell = "Records whose counters are below those of earlier ones, and are not told";
        let folded =
            "Records told with all others of their Node, since too many flows are followed";
        let folded_octets = "Octets, both ways, of those";
        let states = "Names of TCP states beyond those there is room for";
        [
            ("records_emitted", "Records handed to the sinks", &self.emitted),
            ("flows_joined", "Flows whose two halves were joined", &self.joined),
            ("flows_joined_late", joined_late, &self.joined_late),
            ("flows_unpaired", "Flows told with one half only", &self.unpaired),
            ("flow_gaps", gaps, &self.gaps),
            ("flow_gap_octets", "Octets that those earlier records told", &self.gap_octets),
            ("flows_resumed", resumed, &self.resumed),
            ("halves_crowded_out", crowded, &self.crowded_out),
            ("records_totals_fell", fell, &self.totals_fell),
            ("records_folded", folded, &self.folded),
            ("records_folded_octets", folded_octets, &self.folded_octets),
            ("tcp_states_left_out", states, &self.states_left_out),
        ]
    }
}
