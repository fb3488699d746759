//! Correlation and aggregation: what two Nodes tell of a flow becomes one record.
//!
//! A flow between Nodes is reported twice, and a long one many times. The [`Correlator`] keeps
//! one entry per flow with the newest totals of each Node, and hands out records whose deltas
//! are the difference to what it handed out before. Deltas are thus taken from totals, not added
//! up: a lost record is made good by the next one, and one that comes twice changes nothing.
//!
//! A 5-tuple that is used again is a new flow: the reporting Node's connection id and start time
//! tell the two apart, and halves of the two Nodes are joined by the nearest start.
mod role; // whose half a record is
mod half; // what one Node has told
mod half_id; // what tells one Node's connections apart
mod about; // names of both ends, shared by flows
mod states; // TCP states by number
mod flow_entry; // one flow and its halves
mod table; // all flows, by key
mod wheel; // when each is to be looked at
mod overflow; // flows without room
mod told; // what has been told of connections nobody follows
mod route; // which correlator a flow is for
mod telling; // when flows are told
mod stats; // what was counted

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use flow::{FlowKey, FlowRecord};
use hashbrown::DefaultHashBuilder;

use about::Books;
use flow_entry::{FlowEntry, Report, Shared};
use overflow::Overflow;
use states::States;
use table::Table;
use told::Memory;
use wheel::Wheel;

pub use route::Route;
pub use stats::CorrelatorStats;
pub use telling::Due;

/// When records leave, and how far apart two Nodes' clocks may be.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// A flow that goes on is told again after this long.
    pub active: Duration,
    /// A flow nobody reports any more is forgotten after this long; a half whose other half has
    /// not come by then is told alone.
    pub inactive: Duration,
    /// Halves whose starts differ by more than this belong to different connections.
    pub clock_skew: Duration,
}

/// How many connections with one 5-tuple may follow each other within the inactive timeout. All
/// of them are looked through for each record, so their number must not be the sender's choice.
const MAX_FLOWS_PER_KEY: usize = 256;

/// Halves that are remembered per generation at least, however few flows are followed.
const FEWEST_REMEMBERED: usize = 1024;

/// Records and flows that are looked for before it is the first one's turn.
const AHEAD: usize = 16;

/// How long a half that was refused waits: for the names of the other end to be certain, and for
/// what the other Node may have seen of the attempt.
const REFUSED_WAIT: Duration = Duration::from_secs(6);

/// Follows up to `max_flows` flows.
#[derive(Debug)]
pub struct Correlator {
    timeouts: Timeouts,
    max_flows: usize,
    hasher: DefaultHashBuilder,
    flows: Table,
    wheel: Wheel,
    /// Flows that are to be told at the next occasion.
    hot: Vec<u32>,
    overflow: Overflow,
    shared: Shared,
    stats: CorrelatorStats,
}

impl Correlator {
    pub fn new(timeouts: Timeouts, max_flows: usize) -> Self {
        // Flows are numbered in 32 bits.
        let max_flows = max_flows.min(wheel::NONE as usize - 1);
        let memory = Memory::new(max_flows.max(FEWEST_REMEMBERED));
        Self {
            timeouts,
            max_flows,
            hasher: DefaultHashBuilder::default(),
            flows: Table::default(),
            wheel: Wheel::new(),
            hot: Vec::new(),
            overflow: Overflow::default(),
            shared: Shared { books: Books::default(), states: States::new(), memory },
            stats: CorrelatorStats::default(),
        }
    }

    /// Takes in what a predecessor told, so that nothing is told twice: records as
    /// `store::Reader::told` visits them.
    pub fn learn(&mut self, told: &FlowRecord) {
        self.shared.memory.learn(told);
    }

    pub fn stats(&self) -> CorrelatorStats {
        CorrelatorStats {
            crowded_out: self.shared.memory.crowded_out,
            folded: self.overflow.records,
            folded_octets: self.overflow.octets,
            states_left_out: self.shared.states.left_out,
            ..self.stats
        }
    }

    /// How many flows are being followed.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in a record of the Node with Observation Domain `domain`.
    pub fn receive(&mut self, record: &FlowRecord, domain: u32, now_ms: u64) {
        let report = Report::new(record, domain, now_ms);
        self.take(&report, self.hash(&report.key), None);
    }

    /// Takes in several records of one Node.
    ///
    /// Where a flow is in memory is mostly not in any cache. Some flows are looked for and touched
    /// before the first of them is worked on, so that the processor waits for all of them at once.
    pub fn receive_all<'a>(
        &mut self,
        mut records: impl Iterator<Item = &'a FlowRecord>,
        domain: u32,
        now_ms: u64,
    ) {
        let mut ahead = Vec::with_capacity(AHEAD);
        loop {
            for record in records.by_ref().take(AHEAD) {
                let report = Report::new(record, domain, now_ms);
                let hash = self.hash(&report.key);
                ahead.push((report, hash, None));
            }
            if ahead.is_empty() {
                return;
            }
            for (_, hash, found) in &mut ahead {
                *found = self.flows.with_hash(*hash);
            }
            self.touch(&ahead.iter().filter_map(|(.., found)| *found));
            for (report, hash, found) in ahead.drain(..) {
                self.take(&report, hash, found);
            }
        }
    }

    /// Reads a little of these flows, so that they are in the cache when it is their turn.
    #[inline]
    fn touch(&self, numbers: &(impl Iterator<Item = u32> + Clone)) {
        for touch in [FlowEntry::touch, FlowEntry::touch_far] {
            let touched = numbers.clone().filter_map(|number| self.flows.get(number).map(touch));
            black_box(touched.fold(0, |sum, read| sum ^ read));
        }
    }

    /// The record's flow is probably `found`.
    fn take(&mut self, report: &Report<'_>, hash: u32, found: Option<u32>) {
        self.stats.received += 1;
        let continues = |number: &u32| {
            let entry = self.flows.get(*number);
            entry.is_some_and(|entry| entry.key == report.key && entry.continues(report))
        };
        let found = found.filter(continues).or_else(|| self.find(hash, report));
        if let Some(number) = found {
            return self.update(number, report);
        }
        let key = report.key;
        if self.len() >= self.max_flows || self.is_crowded(hash, &key) {
            return self.overflow.fold(report, &mut self.shared.memory);
        }
        self.insert(hash, report);
    }

    fn hash(&self, key: &FlowKey) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hash_key(key, &mut hasher);
        // The upper half is as good as any.
        (hasher.finish() >> 32) as u32
    }

    fn is_crowded(&self, hash: u32, key: &FlowKey) -> bool {
        self.flows.with_key(hash, key).nth(MAX_FLOWS_PER_KEY - 1).is_some()
    }

    /// The flow that a report continues or completes.
    fn find(&self, hash: u32, report: &Report<'_>) -> Option<u32> {
        let skew = millis(self.timeouts.clock_skew);
        let mut nearest: Option<(u64, u32)> = None;
        for (number, entry) in self.flows.with_key(hash, &report.key) {
            if entry.continues(report) {
                return Some(number);
            }
            if let Some(distance) = entry.distance(report)
                && distance <= skew
                && nearest.is_none_or(|known| (distance, number) < known)
            {
                nearest = Some((distance, number));
            }
        }
        nearest.map(|(_, number)| number)
    }

    fn update(&mut self, number: u32, report: &Report<'_>) {
        let Some(entry) = self.flows.get_mut(number) else { return };
        let was_complete = entry.is_complete();
        let was_told = entry.told;
        let admitted = entry.take(report, &mut self.shared);
        self.stats.admitted(admitted);
        let is_complete = entry.is_complete();
        if !was_complete && is_complete {
            self.stats.joined += 1;
            self.stats.joined_late += u64::from(was_told);
        }
        let tell_now = is_complete && (!was_complete || entry.has_ended());
        if tell_now && entry.changed && !entry.is_hot {
            entry.is_hot = true;
            self.hot.push(number);
        }
        // The other Node has seen it and does not know yet that it was refused.
        if entry.may_be_alone() && !was_told {
            entry.due_ms = entry.due_ms.min(report.now_ms + millis(REFUSED_WAIT));
        }
    }

    fn insert(&mut self, hash: u32, report: &Report<'_>) {
        let (mut entry, admitted) = FlowEntry::new(report, &mut self.shared);
        self.stats.admitted(admitted);
        let [active, inactive] = [self.timeouts.active, self.timeouts.inactive].map(millis);
        entry.is_hot = entry.is_complete() && entry.changed;
        let wait = match &entry {
            entry if entry.is_complete() => active.min(inactive),
            entry if entry.may_be_alone() => millis(REFUSED_WAIT).min(inactive),
            _ => inactive,
        };
        entry.due_ms = report.now_ms + wait;
        let is_hot = entry.is_hot;
        let number = self.flows.insert(hash, entry);
        if is_hot {
            self.hot.push(number);
        }
        self.link(number, report.now_ms);
    }

    /// Puts a flow into the wheel. What changes its time later makes it no earlier than this.
    fn link(&mut self, number: u32, now_ms: u64) {
        let [active, inactive] = [self.timeouts.active, self.timeouts.inactive].map(millis);
        let Some(entry) = self.flows.get_mut(number) else { return };
        let soonest = active.min(inactive).min(millis(REFUSED_WAIT));
        // One that waits for its other half may be told sooner than it is due now.
        let at = if entry.told {
            entry.due_ms.min(now_ms + active.min(inactive))
        } else {
            entry.due_ms.min(now_ms + soonest)
        };
        entry.next = self.wheel.insert(number, at);
    }
}

/// A key in few steps: it is hashed for every record.
fn hash_key(key: &FlowKey, hasher: &mut impl Hasher) {
    for address in [&key.source, &key.destination] {
        match address {
            IpAddr::V4(address) => hasher.write_u64(u64::from(address.to_bits())),
            IpAddr::V6(address) => hasher.write_u128(address.to_bits()),
        }
    }
    let [ports, icmp] = [
        u64::from(key.source_port) << 16 | u64::from(key.destination_port),
        u64::from(key.icmp_type_code) << 8 | u64::from(key.protocol),
    ];
    hasher.write_u64(ports << 32 | icmp);
}

/// At least 1, so that what is planned lies ahead.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod model; // random histories
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors; // records of Antrea's tests
