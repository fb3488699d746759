//! One flow, its halves, and the record made of them.

use flow::{Correlation, FlowEndReason, FlowKey, FlowRecord, Side};
use hashbrown::HashMap;

use super::Stored;
use super::flow_id::flow_id;
use super::half::Half;
use super::merge::merge;
use super::role::{self, Role};

#[derive(Debug)]
pub(super) struct FlowEntry {
    pub(super) key: FlowKey,
    /// The id of all records of this flow, once the first has been handed out.
    pub(super) id: Option<u64>,
    /// Whether something was told since the last record was handed out.
    pub(super) changed: bool,
    /// What was stored of this flow before this process began.
    stored: Option<Stored>,
    pub(super) received_ms: u64,
    pub(super) due_ms: u64,
    /// Names, addresses and states; the counters are in the halves.
    record: FlowRecord,
    /// A flow that one Node sees whole has its only half in `source`.
    whole: bool,
    source: Option<Half>,
    destination: Option<Half>,
}

impl FlowEntry {
    pub(super) fn new(
        key: FlowKey,
        record: FlowRecord,
        role: Role,
        domain: u32,
        now_ms: u64,
    ) -> Self {
        let half = Some(Half::new(&record, domain));
        let (source, destination) =
            if role == Role::Destination { (None, half) } else { (half, None) };
        Self {
            key,
            id: None,
            changed: true,
            stored: None,
            received_ms: now_ms,
            due_ms: now_ms,
            record,
            whole: role == Role::Whole,
            source,
            destination,
        }
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

    /// Takes in a record that continues or completes this flow. Returns how many octets were
    /// told by records that never arrived.
    pub(super) fn take(&mut self, record: FlowRecord, role: Role, domain: u32, now_ms: u64) -> u64 {
        self.received_ms = now_ms;
        self.whole |= role == Role::Whole;
        let slot = match role {
            Role::Destination => &mut self.destination,
            Role::Whole if self.source.is_none() && !role::is_from_source(&record) => {
                &mut self.destination
            }
            Role::Source | Role::Whole => &mut self.source,
        };
        let (news, gap) = if let Some(half) = slot {
            half.take(&record)
        } else {
            let half = slot.insert(Half::new(&record, domain));
            let stored = self.stored.map(|stored| match role {
                Role::Destination => stored.from_destination,
                Role::Source | Role::Whole => stored.from_source,
            });
            (true, stored.map_or(0, |stored| half.resume(stored)))
        };
        self.changed |= news;
        if record.end_ms >= self.record.end_ms {
            self.record.end_ms = record.end_ms;
            self.record.end_reason = record.end_reason;
            self.record.tcp_state = record.tcp_state.clone();
        }
        merge(&mut self.record, record);
        gap
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

    /// Gives the flow its id, and takes over what of it is stored already. Returns whether
    /// something was, and how many octets were told by records that never arrived.
    pub(super) fn identify(&mut self, stored: &mut HashMap<u64, Stored>) -> (bool, u64) {
        let by_source = self.source.as_ref().map(|half| flow_id(&self.key, half));
        let by_destination = self.destination.as_ref().map(|half| flow_id(&self.key, half));
        let known = [by_source, by_destination]
            .into_iter()
            .flatten()
            .find_map(|id| Some((id, stored.remove(&id)?)));
        let Some((id, stored)) = known else {
            self.id = by_source.or(by_destination);
            let halves = self.source.iter().chain(&self.destination);
            return (false, halves.map(|half| half.exported.octets_both_ways()).sum());
        };
        self.id = Some(id);
        self.stored = Some(stored);
        let mut gap = 0;
        for (half, stored) in [
            (&mut self.source, stored.from_source),
            (&mut self.destination, stored.from_destination),
        ] {
            if let Some(half) = half {
                gap += half.resume(stored);
            }
        }
        self.changed = self.source.iter().chain(&self.destination).any(Half::has_news);
        (true, gap)
    }

    /// The record to hand out now, of a flow that has been given its id.
    pub(super) fn export(&mut self) -> Option<FlowRecord> {
        self.changed = false;
        self.record.start_ms = self.source.as_ref().or(self.destination.as_ref())?.start_ms;
        self.record.end_reason = self.end_reason();
        self.record.correlation = self.correlation();
        let source = self.source.as_mut().map(Half::export);
        let destination = self.destination.as_mut().map(Half::export);
        self.fill(source, destination);
        self.record.flow_id = self.id?;
        Some(self.record.clone())
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
