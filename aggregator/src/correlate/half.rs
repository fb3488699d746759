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
    pub(super) fn of(record: &FlowRecord) -> Self {
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
    pub(super) fn before(record: &FlowRecord) -> Self {
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

    pub(super) fn plus(self, other: Self) -> Self {
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

/// What a record brought that is new to its half.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct News {
    /// There is something to tell.
    pub(super) any: bool,
    /// Octets told by records that never arrived.
    pub(super) gap_octets: u64,
    /// Counters are below those of earlier records.
    pub(super) fell: bool,
}

/// One Node's half: its newest totals, and which of them have been handed out.
#[derive(Debug, Clone)]
#[repr(C)]
pub(super) struct Half {
    pub(super) domain: u32,
    pub(super) ended: bool,
    flow_id: u64,
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    seen: Totals,
    exported: Totals,
    /// The end of the interval that the exported totals cover.
    exported_end_ms: u64,
}

impl Half {
    /// The first a Node tells. What it counted before the record's own interval was told to a
    /// predecessor of this process, or is the baseline of an exporter that started late.
    pub(super) fn new(record: &FlowRecord, domain: u32) -> Self {
        let (seen, exported) = (Totals::of(record), Totals::before(record));
        let is_baseline = seen == exported && seen != Totals::default();
        Self {
            domain,
            ended: record.end_reason == FlowEndReason::EndOfFlow,
            flow_id: record.flow_id,
            start_ms: record.start_ms,
            end_ms: record.end_ms,
            seen,
            exported,
            exported_end_ms: if is_baseline { record.end_ms } else { record.start_ms },
        }
    }

    /// Reads a little of what a record of this half needs.
    #[inline]
    pub(super) fn touch(&self) -> [u64; 2] {
        [self.start_ms, self.seen.reverse_octets]
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

    /// Takes a later record in.
    pub(super) fn take(&mut self, record: &FlowRecord) -> News {
        let before = Totals::before(record).octets_both_ways();
        let gap_octets = before.saturating_sub(self.seen.octets_both_ways());
        let told = Totals::of(record);
        let adds = tells_no_totals(record);
        let seen = if adds { self.seen.plus(told) } else { self.seen.max(told) };
        // Late records tell less than those that overtook them.
        let fell = !adds && seen != told && record.end_ms > self.end_ms;
        let ended = self.ended || record.end_reason == FlowEndReason::EndOfFlow;
        let any = seen != self.seen || ended != self.ended;
        self.seen = seen;
        self.ended = ended;
        self.end_ms = self.end_ms.max(record.end_ms);
        News { any, gap_octets, fell }
    }

    /// How many octets the first record took for told.
    pub(super) fn octets_before(&self) -> u64 {
        self.exported.octets_both_ways()
    }

    /// Continues from what has been told, be it later than what came now. `adds`: the exporter
    /// tells no totals, so that what came now is more of it.
    pub(super) fn resume(&mut self, told: &Told, adds: bool) {
        self.exported = told.totals;
        self.exported_end_ms = told.end_ms;
        self.seen = if adds { told.totals.plus(self.seen) } else { self.seen.max(told.totals) };
        self.end_ms = self.end_ms.max(told.end_ms);
    }

    /// How far this half has been told, as a part of the flow `flow_id`.
    pub(super) fn told(&self, flow_id: u64) -> Told {
        Told { flow_id, totals: self.exported, end_ms: self.exported_end_ms }
    }

    /// Whether there is something to hand out: traffic, or a connection without any that was not
    /// told.
    pub(super) fn has_news(&self, was_told: bool) -> bool {
        self.seen != self.exported || (!was_told && self.seen == Totals::default())
    }

    /// This half as a part of the record that is handed out now.
    pub(super) fn export(&mut self) -> Side {
        let side = self.side();
        self.exported = self.seen;
        self.exported_end_ms = self.end_ms;
        side
    }

    /// What would be handed out now.
    pub(super) fn side(&self) -> Side {
        let covered_ms = self.end_ms.saturating_sub(self.exported_end_ms);
        let forward = difference(
            (self.seen.packets, self.seen.octets),
            (self.exported.packets, self.exported.octets),
        );
        let reverse = difference(
            (self.seen.reverse_packets, self.seen.reverse_octets),
            (self.exported.reverse_packets, self.exported.reverse_octets),
        );
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
pub(super) fn tells_no_totals(record: &FlowRecord) -> bool {
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
pub(super) fn bits_per_second(octets: u64, milliseconds: u64) -> u64 {
    let bits = u128::from(octets) * 8 * 1000;
    let rate = bits.checked_div(u128::from(milliseconds)).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
