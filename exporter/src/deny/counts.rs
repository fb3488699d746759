//! What sources of denied packets have told, and what was lost.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Source;

/// Why packets that were denied are in no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Sources tell faster than the observer takes.
    QueueFull,
    /// The observer has ended already.
    Ending,
    /// The kernel had no room to queue them for us.
    Overrun,
    /// The packet, message or line cannot be read.
    Malformed,
    /// Lines longer than any rule makes them.
    TooLong,
    /// More than are looked at in a second.
    TooMany,
    /// Another source has counted the packet.
    SeenByAnother,
    /// The table of denied flows is full.
    TableFull,
}

impl Loss {
    pub const ALL: [Self; 8] = [
        Self::QueueFull,
        Self::Ending,
        Self::Overrun,
        Self::Malformed,
        Self::TooLong,
        Self::TooMany,
        Self::SeenByAnother,
        Self::TableFull,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Ending => "ending",
            Self::Overrun => "overrun",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::TooMany => "too_many",
            Self::SeenByAnother => "seen_by_another",
            Self::TableFull => "table_full",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LossLabel {
    source: &'static str,
    reason: &'static str,
}

/// Counters by source.
#[derive(Debug, Default)]
pub struct Counts {
    active: Family<SourceLabel, Gauge>,
    packets: Family<SourceLabel, Counter>,
    lost: Family<LossLabel, Counter>,
}

impl Counts {
    pub fn told(&self, source: Source, packets: u64) {
        self.packets.get_or_create(&source.into()).inc_by(packets);
    }

    pub fn lost(&self, source: Source, why: Loss, count: u64) {
        self.lost.get_or_create(&label(source, why)).inc_by(count);
    }

    pub fn set_active(&self, source: Source, is_active: bool) {
        self.active.get_or_create(&source.into()).set(is_active.into());
    }

    /// Packets that `source` has told of.
    pub fn packets(&self, source: Source) -> u64 {
        self.packets.get_or_create(&source.into()).get()
    }

    pub fn losses(&self, source: Source, why: Loss) -> u64 {
        self.lost.get_or_create(&label(source, why)).get()
    }

    pub fn is_active(&self, source: Source) -> bool {
        self.active.get_or_create(&source.into()).get() == 1
    }

    /// Makes everything visible under its name.
    pub fn register(&self, registry: &mut Registry) {
        let active = "1 while a source of denied packets sees any there are";
        registry.register("deny_source_active", active, self.active.clone());
        let packets = "Denied packets told by a source";
        registry.register("deny_packets", packets, self.packets.clone());
        let lost = "Denied packets, or lines about some, that are in no record";
        registry.register("deny_dropped", lost, self.lost.clone());
    }
}

fn label(source: Source, why: Loss) -> LossLabel {
    LossLabel { source: source.name(), reason: why.name() }
}

impl From<Source> for SourceLabel {
    fn from(source: Source) -> Self {
        Self { source: source.name() }
    }
}
