//! One flow, its halves, and the record made of them.

use std::net::IpAddr;

use flow::{
    Correlation, FlowEndReason, FlowKey, FlowRecord, FlowType, Joined, ObservedBy, Origin, Side,
};

use super::about::{About, Books};
use super::half::{Half, tells_no_totals};
use super::role::{self, Role, is_ingress_half};
use super::states::States;
use super::told::Memory;

/// A flow that is being followed. There are millions: each byte counts, and what every record
/// needs stands together.
#[derive(Debug)]
#[repr(C)]
pub(super) struct FlowEntry {
    pub(super) key: FlowKey,
    pub(super) flow_type: FlowType,
    end_reason: FlowEndReason,
    /// One of [`States`].
    tcp_state: u8,
    /// Whose half the `near` one is.
    near_is_destination: bool,
    /// Whether a record has been handed out.
    pub(super) told: bool,
    /// Whether something was told since the last record was handed out.
    pub(super) changed: bool,
    /// Whether it waits to be told at the next occasion.
    pub(super) is_hot: bool,
    /// Whether the half in `near` was told alone: its deltas are the flow's from then on.
    led_by_near: bool,
    /// Nobody else sees this flow.
    whole: bool,
    /// A rule refused it, so that one half may be all there is.
    refused: bool,
    /// The next flow of the same slot of the wheel.
    pub(super) next: u32,
    pub(super) received_ms: u64,
    far: Option<Box<Half>>,
    /// What was told first; of a flow that one Node sees whole, all.
    near: Half,
    about: About,
    /// Most flows have no address translated on their way in.
    outside: Option<Box<Outside>>,
    pub(super) due_ms: u64,
    /// The id of all records of this flow, once the first has been handed out, be it in an
    /// earlier life. 0 before.
    id: u64,
}

/// What source NAT did to a client outside the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outside {
    source: IpAddr,
    source_port: u16,
    snat_port: u16,
    snat_ip: Option<IpAddr>,
}

impl Outside {
    fn of(record: &FlowRecord) -> Self {
        Self {
            source: record.key.source,
            source_port: record.key.source_port,
            snat_port: record.proxy_snat_port,
            snat_ip: record.proxy_snat_ip,
        }
    }
}

/// What a record is, in which flow, told by whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report<'a> {
    pub(super) key: FlowKey,
    pub(super) record: &'a FlowRecord,
    pub(super) role: Role,
    pub(super) domain: u32,
    pub(super) now_ms: u64,
}

impl<'a> Report<'a> {
    pub(super) fn new(record: &'a FlowRecord, domain: u32, now_ms: u64) -> Self {
        let (key, role) = (role::correlation_key(record), Role::of(record));
        Self { key, record, role, domain, now_ms }
    }
}

/// What all flows share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) books: Books,
    pub(super) states: States,
    pub(super) memory: Memory,
}

/// What a record brought that is new to its flow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Admitted {
    /// The flow had been told before, which was not known yet.
    pub(super) resumed: bool,
    /// Octets told by records that never arrived.
    pub(super) gap_octets: u64,
    /// Counters are below those of earlier records.
    pub(super) fell: bool,
}

impl FlowEntry {
    /// Begins to follow a flow.
    pub(super) fn new(report: &Report<'_>, shared: &mut Shared) -> (Self, Admitted) {
        let Report { key, record, role, domain, now_ms } = *report;
        let mut entry = Self {
            key,
            flow_type: record.flow_type,
            end_reason: record.end_reason,
            tcp_state: shared.states.number(&record.tcp_state),
            told: false,
            changed: false,
            is_hot: false,
            led_by_near: false,
            whole: role == Role::Whole,
            refused: role::is_refused(record),
            near_is_destination: role == Role::Destination,
            next: super::wheel::NONE,
            id: 0,
            received_ms: now_ms,
            due_ms: now_ms,
            about: About::default(),
            outside: record.proxy_snat_ip.is_some().then(|| Box::new(Outside::of(record))),
            near: Half::new(record, domain),
            far: None,
        };
        let mut half = entry.near.clone();
        let admitted = entry.admit(&mut half, record, &mut shared.memory);
        entry.near = half;
        entry.about.take(record, &mut shared.books);
        (entry, admitted)
    }

    /// Takes in the first that a Node tells of this flow.
    fn admit(&mut self, half: &mut Half, record: &FlowRecord, memory: &mut Memory) -> Admitted {
        let before = half.octets_before();
        let told = if memory.is_empty() { None } else { memory.take(half.id(&self.key)) };
        // An exporter that starts announces what was there before with deltas of zero; only
        // traffic of its own proves that it told somebody of the rest.
        let is_announced = record.forward.octets_delta == 0 && record.reverse.octets_delta == 0;
        let mut gap_octets = if is_announced { 0 } else { before };
        let mut resumed = false;
        if let Some(told) = told {
            resumed = told.flow_id != 0 && self.id == 0;
            if self.id == 0 {
                self.id = told.flow_id;
            }
            half.resume(&told, tells_no_totals(record));
            gap_octets = before.saturating_sub(half.octets_before());
        }
        // A connection without traffic is news once.
        self.changed |= half.has_news(told.is_some());
        Admitted { resumed, gap_octets, fell: false }
    }

    /// Reads a little of every line of memory that a record of this flow needs.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        let [first, second] = self.near.touch();
        u64::from(self.key.protocol) ^ self.received_ms ^ first ^ second ^ self.about.touch()
    }

    /// As [`Self::touch`], of what the flow only points at.
    #[inline]
    pub(super) fn touch_far(&self) -> u64 {
        self.far().map_or(0, |half| half.touch()[0] ^ half.touch()[1])
    }

    fn half(&self, is_destination: bool) -> Option<&Half> {
        if self.near_is_destination == is_destination { Some(&self.near) } else { self.far() }
    }

    fn far(&self) -> Option<&Half> {
        self.far.as_deref()
    }

    /// Which half a record with this role is of: that of a flow which one Node sees whole is the
    /// source's.
    fn slot(role: Role) -> bool {
        role == Role::Destination
    }

    /// Whether this is one more report of a half that is here.
    pub(super) fn continues(&self, report: &Report<'_>) -> bool {
        let half = self.half(Self::slot(report.role));
        half.is_some_and(|half| half.is_same(report.record, report.domain))
    }

    /// How far apart in milliseconds `report`'s half and the one that is here began, if the two
    /// can belong together.
    pub(super) fn distance(&self, report: &Report<'_>) -> Option<u64> {
        let is_missing = self.half(Self::slot(report.role)).is_none();
        // A refusal that was told alone was told for both sides.
        let is_settled = self.whole || (self.may_be_alone() && self.told);
        let fits = is_missing && !is_settled && report.role != Role::Whole;
        fits.then(|| self.near.start_ms.abs_diff(report.record.start_ms))
    }

    /// Takes in a record that continues or completes this flow.
    #[inline]
    pub(super) fn take(&mut self, report: &Report<'_>, shared: &mut Shared) -> Admitted {
        let Report { record, role, domain, now_ms, .. } = *report;
        self.received_ms = now_ms;
        let is_newest = record.end_ms >= self.end_ms();
        let known = if self.near_is_destination == Self::slot(role) {
            Some(&mut self.near)
        } else {
            self.far.as_deref_mut()
        };
        let admitted = if let Some(half) = known {
            let news = half.take(record);
            self.changed |= news.any;
            Admitted { resumed: false, gap_octets: news.gap_octets, fell: news.fell }
        } else {
            let mut half = Half::new(record, domain);
            let admitted = self.admit(&mut half, record, &mut shared.memory);
            self.far = Some(Box::new(half));
            admitted
        };
        self.refused |= role::is_refused(record);
        if is_newest {
            self.end_reason = record.end_reason;
            self.tcp_state = shared.states.number_after(self.tcp_state, &record.tcp_state);
        }
        if is_ingress_half(record) {
            // The other half knows the client only by its translated address.
            let outside = Outside::of(record);
            if self.outside.as_deref() != Some(&outside) {
                self.outside = Some(Box::new(outside));
            }
            self.flow_type = FlowType::FromExternal;
        }
        self.about.take(record, &mut shared.books);
        admitted
    }

    fn end_ms(&self) -> u64 {
        self.near.end_ms.max(self.far().map_or(0, |half| half.end_ms))
    }

    fn halves(&self) -> impl Iterator<Item = &Half> {
        std::iter::once(&self.near).chain(self.far())
    }

    /// Whether every Node that sees this flow has been heard.
    pub(super) fn is_complete(&self) -> bool {
        self.whole || self.far.is_some()
    }

    /// Whether the half that is here may be all there is.
    pub(super) fn may_be_alone(&self) -> bool {
        self.refused && !self.is_complete()
    }

    /// Whether every Node that was heard said that the flow is over.
    pub(super) fn has_ended(&self) -> bool {
        (self.is_complete() || self.refused) && self.halves().all(|half| half.ended)
    }

    /// The half whose counters are the flow's: the source Node's if there is one.
    fn leading(&self) -> &Half {
        self.half(false).unwrap_or(&self.near)
    }

    /// The flow's id: that of the first half told of it, the source Node's if there is one.
    fn identify(&self) -> u64 {
        if self.id == 0 { self.leading().id(&self.key).flow_id() } else { self.id }
    }

    /// Leaves what has been told of this flow to `memory`.
    pub(super) fn forget(&self, memory: &mut Memory) {
        let flow_id = self.identify();
        for half in self.halves() {
            memory.insert(half.id(&self.key), half.told(flow_id));
        }
    }

    /// The record to hand out now.
    pub(super) fn export(&mut self, states: &States) -> FlowRecord {
        self.changed = false;
        self.told = true;
        self.id = self.identify();
        self.led_by_near |= self.far.is_none();
        let near = self.near.export();
        let far = self.far.as_deref_mut().map(Half::export);
        self.record(near, far, states)
    }

    /// The record as it would be if it were handed out now.
    pub(super) fn peek(&self, states: &States) -> FlowRecord {
        self.record(self.near.side(), self.far().map(Half::side), states)
    }

    /// The key with the client's own address.
    pub(super) fn shown_key(&self) -> FlowKey {
        match self.outside.as_deref() {
            Some(outside) => {
                FlowKey { source: outside.source, source_port: outside.source_port, ..self.key }
            }
            None => self.key,
        }
    }

    fn record(&self, near: Side, far: Option<Side>, states: &States) -> FlowRecord {
        let mut record = FlowRecord {
            flow_id: self.identify(),
            key: self.shown_key(),
            start_ms: self.leading().start_ms,
            end_ms: self.end_ms(),
            end_reason: self.end_reason(),
            tcp_state: states.name(self.tcp_state),
            flow_type: self.flow_type,
            correlation: self.correlation(),
            observed_by: self.observed_by(),
            origin: Origin { exporter: None, domain: self.leading().domain },
            ..FlowRecord::default()
        };
        if let Some(outside) = self.outside.as_deref() {
            record.proxy_snat_ip = outside.snat_ip;
            record.proxy_snat_port = outside.snat_port;
        }
        self.about.tell(&mut record);
        let (source, destination) = match far {
            Some(far) if self.near_is_destination => (Some(far), Some(near)),
            Some(far) => (Some(near), Some(far)),
            None if self.whole || self.refused => (Some(near), Some(near)),
            None if self.near_is_destination => (None, Some(near)),
            None => (Some(near), None),
        };
        // The common counters are always one Node's, so that their deltas add up to its totals: of
        // the half that was told alone, or else the source's.
        let common = if self.led_by_near { Some(near) } else { source.or(destination) };
        let common = common.unwrap_or_default();
        record.forward = common.forward;
        record.reverse = common.reverse;
        record.joined = Joined {
            from_source: source.unwrap_or_default(),
            from_destination: destination.unwrap_or_default(),
            throughput: common.throughput,
            reverse_throughput: common.reverse_throughput,
        }
        .into();
        record
    }

    fn end_reason(&self) -> FlowEndReason {
        match self.end_reason {
            _ if self.halves().all(|half| half.ended) => FlowEndReason::EndOfFlow,
            // One Node said so, the other still sees packets.
            FlowEndReason::EndOfFlow => FlowEndReason::ActiveTimeout,
            other => other,
        }
    }

    fn correlation(&self) -> Correlation {
        match &self.far {
            Some(_) => Correlation::Complete,
            None if self.whole || self.refused => Correlation::NotNeeded,
            None if self.near_is_destination => Correlation::DestinationOnly,
            None => Correlation::SourceOnly,
        }
    }

    /// At which ends somebody has seen it. One Node sees both ends of what stays on it, and of what
    /// comes from outside or leaves, the end inside.
    fn observed_by(&self) -> ObservedBy {
        match (&self.far, self.flow_type) {
            (Some(_), _) | (None, FlowType::IntraNode) => ObservedBy::Both,
            (None, FlowType::Unspecified) => ObservedBy::Unspecified,
            (None, FlowType::FromExternal) => ObservedBy::Destination,
            (None, FlowType::InterNode) if self.near_is_destination => ObservedBy::Destination,
            (None, FlowType::InterNode | FlowType::ToExternal) => ObservedBy::Source,
        }
    }
}
