//! What one Node has told of a flow.

use flow::{Counters, FlowEndReason, FlowKey, FlowRecord, Side};

use super::half_id::HalfId;
use super::told::Told;

/// Packets and octets since the connection began, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    pub(super) packets: u64,
    pub(super) octets: u64,
    pub(super) reverse_packets: u64,
    pub(super) reverse_octets: u64,
}

impl Totals {
    fn of(record: &FlowRecord) -> Self {
        if tells_no_totals(record) {
            return Self::of_interval(record);
        }
        Self {
            packets: record.forward.packets_total,
            octets: record.forward.octets_total,
            reverse_packets: record.reverse.packets_total,
            reverse_octets: record.reverse.octets_total,
        }
    }

    /// What the record's own interval has added.
    fn of_interval(record: &FlowRecord) -> Self {
        Self {
            packets: record.forward.packets_delta,
            octets: record.forward.octets_delta,
            reverse_packets: record.reverse.packets_delta,
            reverse_octets: record.reverse.octets_delta,
        }
    }

    /// What had been counted before the record's own interval.
    fn before(record: &FlowRecord) -> Self {
        let (forward, reverse) = (&record.forward, &record.reverse);
        Self {
            packets: forward.packets_total.saturating_sub(forward.packets_delta),
            octets: forward.octets_total.saturating_sub(forward.octets_delta),
            reverse_packets: reverse.packets_total.saturating_sub(reverse.packets_delta),
            reverse_octets: reverse.octets_total.saturating_sub(reverse.octets_delta),
        }
    }

    pub(super) fn octets_both_ways(self) -> u64 {
        self.octets.saturating_add(self.reverse_octets)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets.saturating_add(other.packets),
            octets: self.octets.saturating_add(other.octets),
            reverse_packets: self.reverse_packets.saturating_add(other.reverse_packets),
            reverse_octets: self.reverse_octets.saturating_add(other.reverse_octets),
        }
    }

    pub(super) fn max(self, other: Self) -> Self {
        Self {
            packets: self.packets.max(other.packets),
            octets: self.octets.max(other.octets),
            reverse_packets: self.reverse_packets.max(other.reverse_packets),
            reverse_octets: self.reverse_octets.max(other.reverse_octets),
        }
    }
}

/// One Node's half: its newest totals, and which of them have been handed out.
#[derive(Debug, Clone)]
pub(super) struct Half {
    domain: u32,
    flow_id: u64,
    pub(super) start_ms: u64,
    end_ms: u64,
    pub(super) ended: bool,
    seen: Totals,
    exported: Totals,
    /// The end of the interval that the exported totals cover.
    exported_end_ms: u64,
}

impl Half {
    /// The first a Node tells. What it counted before the record's own interval was told to a
    /// predecessor of this process, or is the baseline of an exporter that started late.
    pub(super) fn new(record: &FlowRecord, domain: u32) -> Self {
        Self {
            domain,
            flow_id: record.flow_id,
            start_ms: record.start_ms,
            end_ms: record.end_ms,
            ended: record.end_reason == FlowEndReason::EndOfFlow,
            seen: Totals::of(record),
            exported: Totals::before(record),
            exported_end_ms: record.start_ms,
        }
    }

    /// What this half is known by in a flow with `key`.
    pub(super) fn id(&self, key: &FlowKey) -> HalfId {
        HalfId::new(key, self.domain, self.flow_id, self.start_ms)
    }

    /// Whether `record` is about this connection. The kernel's connection id is a hash of the
    /// entry's address in memory, which is soon used again: only with the start time is it an
    /// identity.
    pub(super) fn is_same(&self, record: &FlowRecord, domain: u32) -> bool {
        self.domain == domain && self.flow_id == record.flow_id && self.start_ms == record.start_ms
    }

    /// Takes a later record in. Returns whether that was news, and how many octets were told by
    /// records that never arrived.
    pub(super) fn take(&mut self, record: &FlowRecord) -> (bool, u64) {
        let before = Totals::before(record).octets_both_ways();
        let gap = before.saturating_sub(self.seen.octets_both_ways());
        let seen = if tells_no_totals(record) {
            self.seen.plus(Totals::of_interval(record))
        } else {
            self.seen.max(Totals::of(record))
        };
        let ended = self.ended || record.end_reason == FlowEndReason::EndOfFlow;
        let news = seen != self.seen || ended != self.ended;
        self.seen = seen;
        self.ended = ended;
        self.end_ms = self.end_ms.max(record.end_ms);
        (news, gap)
    }

    /// How many octets the first record took for told.
    pub(super) fn octets_before(&self) -> u64 {
        self.exported.octets_both_ways()
    }

    /// Continues from what has been told.
    pub(super) fn resume(&mut self, told: &Told) {
        self.exported = told.totals;
        self.exported_end_ms = told.end_ms;
    }

    /// How far this half has been told, as a part of the flow `flow_id`.
    pub(super) fn told(&self, flow_id: u64) -> Told {
        Told { flow_id, totals: self.exported, end_ms: self.exported_end_ms }
    }

    /// Whether there is something to hand out: traffic, or a connection without any.
    pub(super) fn has_news(&self) -> bool {
        self.seen != self.exported || self.seen == Totals::default()
    }

    /// This half as a part of the record that is handed out now.
    pub(super) fn export(&mut self) -> Side {
        let covered_ms = self.end_ms.saturating_sub(self.exported_end_ms);
        let forward = difference(
            (self.seen.packets, self.seen.octets),
            (self.exported.packets, self.exported.octets),
        );
        let reverse = difference(
            (self.seen.reverse_packets, self.seen.reverse_octets),
            (self.exported.reverse_packets, self.exported.reverse_octets),
        );
        self.exported = self.seen;
        self.exported_end_ms = self.end_ms;
        Side {
            domain: self.domain,
            flow_id: self.flow_id,
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            forward,
            reverse,
            throughput: bits_per_second(forward.octets_delta, covered_ms),
            reverse_throughput: bits_per_second(reverse.octets_delta, covered_ms),
        }
    }
}

/// Whether the exporter counts each interval anew, as routers do: totals are never less than what
/// was added to them last.
fn tells_no_totals(record: &FlowRecord) -> bool {
    let (forward, reverse) = (&record.forward, &record.reverse);
    let totals = forward.packets_total | reverse.packets_total;
    totals | forward.octets_total | reverse.octets_total == 0
}

fn difference(seen: (u64, u64), exported: (u64, u64)) -> Counters {
    Counters {
        packets_total: seen.0,
        octets_total: seen.1,
        packets_delta: seen.0.saturating_sub(exported.0),
        octets_delta: seen.1.saturating_sub(exported.1),
    }
}

/// 0 where the interval is shorter than the clock's millisecond.
fn bits_per_second(octets: u64, milliseconds: u64) -> u64 {
    let bits = u128::from(octets) * 8 * 1000;
    let rate = bits.checked_div(u128::from(milliseconds)).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
