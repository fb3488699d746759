//! One flow, its halves, and the record made of them.

use flow::{Correlation, FlowEndReason, FlowKey, FlowRecord, Side};

use super::half::Half;
use super::merge::merge;
use super::role::{self, Role};
use super::told::Memory;

#[derive(Debug)]
pub(super) struct FlowEntry {
    pub(super) key: FlowKey,
    /// The id of all records of this flow, once the first has been handed out, be it in an
    /// earlier life.
    id: Option<u64>,
    /// Whether a record has been handed out.
    pub(super) told: bool,
    /// Whether something was told since the last record was handed out.
    pub(super) changed: bool,
    pub(super) received_ms: u64,
    pub(super) due_ms: u64,
    /// Names, addresses and states; the counters are in the halves.
    record: FlowRecord,
    /// A flow that one Node sees whole has its only half in `source`.
    whole: bool,
    source: Option<Half>,
    destination: Option<Half>,
}

/// What a half brought that is new to its flow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Admitted {
    /// The flow had been told before, which was not known yet.
    pub(super) resumed: bool,
    /// Octets told by records that never arrived.
    pub(super) gap_octets: u64,
}

impl FlowEntry {
    /// Begins to follow the flow of `record`.
    pub(super) fn new(
        key: FlowKey,
        record: FlowRecord,
        role: Role,
        domain: u32,
        now_ms: u64,
        memory: &mut Memory,
    ) -> (Self, Admitted) {
        let mut entry = Self {
            key,
            id: None,
            told: false,
            changed: false,
            received_ms: now_ms,
            due_ms: now_ms,
            record: FlowRecord::default(),
            whole: role == Role::Whole,
            source: None,
            destination: None,
        };
        let admitted = entry.admit(&record, role, domain, memory);
        entry.record = record;
        (entry, admitted)
    }

    /// Takes in the first that a Node tells of this flow.
    fn admit(
        &mut self,
        record: &FlowRecord,
        role: Role,
        domain: u32,
        memory: &mut Memory,
    ) -> Admitted {
        let mut half = Half::new(record, domain);
        let before = half.octets_before();
        let told = memory.take(half.id(&self.key));
        // An exporter that starts announces what was there before with deltas of zero; only
        // traffic of its own proves that it told somebody of the rest.
        let is_announced = record.forward.octets_delta == 0 && record.reverse.octets_delta == 0;
        let mut gap_octets = if is_announced { 0 } else { before };
        let resumed = told.is_some() && self.id.is_none();
        if let Some(told) = told {
            self.id.get_or_insert(told.flow_id);
            half.resume(&told);
            gap_octets = before.saturating_sub(half.octets_before());
        }
        self.changed |= half.has_news();
        let slot = if role == Role::Destination { &mut self.destination } else { &mut self.source };
        *slot = Some(half);
        Admitted { resumed, gap_octets }
    }

    /// Whether `record` is one more report of a half that is here.
    pub(super) fn continues(&self, record: &FlowRecord, role: Role, domain: u32) -> bool {
        let half = match role {
            Role::Destination => &self.destination,
            Role::Source | Role::Whole => &self.source,
        };
        half.as_ref().is_some_and(|half| half.is_same(record, domain))
    }

    /// How far apart in milliseconds `record` and the half that is here began, if the two can
    /// belong together.
    pub(super) fn distance(&self, record: &FlowRecord, role: Role) -> Option<u64> {
        let partner = match (role, self.whole) {
            (_, true) => None,
            (Role::Source, _) if self.source.is_none() => self.destination.as_ref(),
            (Role::Destination, _) if self.destination.is_none() => self.source.as_ref(),
            // A refusal told by one Node settles what the other saw of the attempt.
            (Role::Whole, _) if !self.is_complete() && role::is_refused(record) => {
                self.source.as_ref().or(self.destination.as_ref())
            }
            _ => None,
        };
        partner.map(|half| half.start_ms.abs_diff(record.start_ms))
    }

    /// Takes in a record that continues or completes this flow.
    pub(super) fn take(
        &mut self,
        record: FlowRecord,
        role: Role,
        domain: u32,
        now_ms: u64,
        memory: &mut Memory,
    ) -> Admitted {
        self.received_ms = now_ms;
        let known = match role {
            Role::Destination => &mut self.destination,
            // A refusal told by one Node settles what the other saw of the attempt.
            Role::Whole if self.source.is_none() => &mut self.destination,
            Role::Source | Role::Whole => &mut self.source,
        };
        let admitted = if let Some(half) = known {
            let (news, gap_octets) = half.take(&record);
            self.changed |= news;
            Admitted { resumed: false, gap_octets }
        } else {
            self.admit(&record, role, domain, memory)
        };
        self.whole |= role == Role::Whole;
        if record.end_ms >= self.record.end_ms {
            self.record.end_ms = record.end_ms;
            self.record.end_reason = record.end_reason;
            self.record.tcp_state = record.tcp_state.clone();
        }
        merge(&mut self.record, record);
        admitted
    }

    /// Whether every Node that sees this flow has been heard.
    pub(super) fn is_complete(&self) -> bool {
        self.whole || (self.source.is_some() && self.destination.is_some())
    }

    /// Whether every Node that was heard said that the flow is over.
    pub(super) fn has_ended(&self) -> bool {
        let mut halves = self.source.iter().chain(&self.destination);
        self.is_complete() && halves.all(|half| half.ended)
    }

    /// The flow's id: that of the first half told of it, the source Node's if there is one.
    fn identify(&self) -> u64 {
        let half = self.source.as_ref().or(self.destination.as_ref());
        self.id.or_else(|| Some(half?.id(&self.key).flow_id())).unwrap_or_default()
    }

    /// Leaves what has been told of this flow to `memory`.
    pub(super) fn forget(self, memory: &mut Memory) {
        let flow_id = self.identify();
        for half in self.source.iter().chain(&self.destination) {
            memory.insert(half.id(&self.key), half.told(flow_id));
        }
    }

    /// The record to hand out now.
    pub(super) fn export(&mut self) -> FlowRecord {
        self.changed = false;
        self.told = true;
        self.record.flow_id = *self.id.insert(self.identify());
        let first = self.source.as_ref().or(self.destination.as_ref());
        self.record.start_ms = first.map_or(0, |half| half.start_ms);
        self.record.end_reason = self.end_reason();
        self.record.correlation = self.correlation();
        let source = self.source.as_mut().map(Half::export);
        let destination = self.destination.as_mut().map(Half::export);
        self.fill(source, destination);
        self.record.clone()
    }

    fn fill(&mut self, source: Option<Side>, destination: Option<Side>) {
        let record = &mut self.record;
        let both = source.or(destination).filter(|_| self.whole);
        record.from_source = source.or(both).unwrap_or_default();
        record.from_destination = destination.or(both).unwrap_or_default();
        // The common counters are always one Node's, so that their deltas add up to its totals.
        let common = source.or(destination).unwrap_or_default();
        record.forward = common.forward;
        record.reverse = common.reverse;
        record.throughput = common.throughput;
        record.reverse_throughput = common.reverse_throughput;
        record.end_ms = record.from_source.end_ms.max(record.from_destination.end_ms);
    }

    fn end_reason(&self) -> FlowEndReason {
        let ended = self.source.iter().chain(&self.destination).all(|half| half.ended);
        match self.record.end_reason {
            _ if ended => FlowEndReason::EndOfFlow,
            // One Node said so, the other still sees packets.
            FlowEndReason::EndOfFlow => FlowEndReason::ActiveTimeout,
            other => other,
        }
    }

    fn correlation(&self) -> Correlation {
        match (&self.source, &self.destination) {
            _ if self.whole => Correlation::NotNeeded,
            (Some(_), Some(_)) => Correlation::Complete,
            (_, None) => Correlation::SourceOnly,
            (None, Some(_)) => Correlation::DestinationOnly,
        }
    }
}
