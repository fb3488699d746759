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
mod merge; // names of both ends into one record
mod flow_entry; // one flow and its halves
mod told; // what has been told of connections nobody follows

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::time::Duration;

use flow::{FlowKey, FlowRecord};
use hashbrown::{DefaultHashBuilder, HashTable};

use flow_entry::{Admitted, FlowEntry};
use role::Role;
use told::Memory;

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

/// What happened, counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CorrelatorStats {
    pub received: u64,
    pub emitted: u64,
    /// Flows whose two halves were joined.
    pub joined: u64,
    /// Flows told with one half only, since the other never came.
    pub unpaired: u64,
    /// Flows whose other half came after they had been told alone.
    pub joined_late: u64,
    /// Records that continue a flow of which earlier records never came.
    pub gaps: u64,
    /// Octets (both directions) that those records told.
    pub gap_octets: u64,
    /// Flows continued from what had been told of them in an earlier life.
    pub resumed: u64,
    /// Halves whose earlier life was forgotten for want of room.
    pub crowded_out: u64,
    /// Records refused because `max_flows` are being followed already.
    pub refused: u64,
}

impl CorrelatorStats {
    fn admitted(&mut self, admitted: Admitted) {
        self.resumed += u64::from(admitted.resumed);
        self.gaps += u64::from(admitted.gap_octets > 0);
        self.gap_octets += admitted.gap_octets;
    }
}

/// How many connections with one 5-tuple may follow each other within the inactive timeout. All
/// of them are looked through for each record, so their number must not be the sender's choice.
const MAX_FLOWS_PER_KEY: usize = 256;

/// Follows up to `max_flows` flows.
#[derive(Debug)]
pub struct Correlator {
    timeouts: Timeouts,
    max_flows: usize,
    hasher: DefaultHashBuilder,
    entries: Vec<Option<FlowEntry>>,
    free: Vec<usize>,
    /// Indices of `entries` by flow key; a key that is used again stands here twice.
    by_key: HashTable<usize>,
    /// When each entry is to be looked at, in milliseconds.
    schedule: BTreeSet<(u64, usize)>,
    memory: Memory,
    stats: CorrelatorStats,
}

impl Correlator {
    pub fn new(timeouts: Timeouts, max_flows: usize) -> Self {
        Self {
            timeouts,
            max_flows,
            hasher: DefaultHashBuilder::default(),
            entries: Vec::new(),
            free: Vec::new(),
            by_key: HashTable::new(),
            schedule: BTreeSet::new(),
            memory: Memory::new(max_flows),
            stats: CorrelatorStats::default(),
        }
    }

    /// Takes in what a predecessor told, so that nothing is told twice: records as
    /// `store::Reader::told` visits them.
    pub fn learn(&mut self, told: &FlowRecord) {
        self.memory.learn(told);
    }

    pub fn stats(&self) -> CorrelatorStats {
        CorrelatorStats { crowded_out: self.memory.crowded_out, ..self.stats }
    }

    /// How many flows are being followed.
    pub fn len(&self) -> usize {
        self.schedule.len()
    }

    pub fn is_empty(&self) -> bool {
        self.schedule.is_empty()
    }

    /// Takes in a record of the Node with Observation Domain `domain`.
    pub fn receive(&mut self, record: FlowRecord, domain: u32, now_ms: u64) {
        self.stats.received += 1;
        let role = Role::of(&record);
        let key = role::correlation_key(&record);
        if let Some(index) = self.find(&key, &record, role, domain) {
            return self.update(index, record, role, domain, now_ms);
        }
        if self.len() >= self.max_flows || self.uses(&key) >= MAX_FLOWS_PER_KEY {
            self.stats.refused += 1;
            return;
        }
        self.insert(key, record, role, domain, now_ms);
    }

    /// How many flows with this key are being followed.
    fn uses(&self, key: &FlowKey) -> usize {
        let entries = self.by_key.iter_hash(self.hasher.hash_one(key));
        entries.filter(|&&i| self.entry(i).is_some_and(|entry| entry.key == *key)).count()
    }

    /// The entry that `record` continues or completes.
    fn find(&self, key: &FlowKey, record: &FlowRecord, role: Role, domain: u32) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        let same_key = || {
            let entries = self.by_key.iter_hash(hash).copied();
            entries.filter_map(|i| Some((i, self.entry(i)?))).filter(|(_, e)| e.key == *key)
        };
        let continued = same_key().find(|(_, entry)| entry.continues(record, role, domain));
        let skew = millis(self.timeouts.clock_skew);
        let completed = || {
            same_key()
                .filter_map(|(i, entry)| Some((entry.distance(record, role)?, i)))
                .filter(|(distance, _)| *distance <= skew)
                .min()
        };
        continued.map(|(index, _)| index).or_else(|| completed().map(|(_, index)| index))
    }

    fn update(&mut self, index: usize, record: FlowRecord, role: Role, domain: u32, now_ms: u64) {
        let Some(entry) = self.entries.get_mut(index).and_then(Option::as_mut) else { return };
        let was_complete = entry.is_complete();
        let was_told = entry.told;
        let admitted = entry.take(record, role, domain, now_ms, &mut self.memory);
        self.stats.admitted(admitted);
        if !was_complete && entry.is_complete() {
            self.stats.joined += 1;
            self.stats.joined_late += u64::from(was_told);
        }
        let tell_now = entry.is_complete() && (!was_complete || entry.has_ended());
        if tell_now && entry.changed {
            self.reschedule(index, now_ms);
        }
    }

    fn insert(&mut self, key: FlowKey, record: FlowRecord, role: Role, domain: u32, now_ms: u64) {
        let memory = &mut self.memory;
        let (entry, admitted) = FlowEntry::new(key, record, role, domain, now_ms, memory);
        self.stats.admitted(admitted);
        let first_look =
            if entry.is_complete() { now_ms } else { now_ms + millis(self.timeouts.inactive) };
        let hash = self.hasher.hash_one(key);
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        let hasher = &self.hasher;
        let entries = &self.entries;
        self.by_key.insert_unique(hash, index, |&i| {
            entries.get(i).and_then(Option::as_ref).map_or(0, |e| hasher.hash_one(e.key))
        });
        if let Some(slot) = self.entries.get_mut(index) {
            *slot = Some(entry);
        }
        self.schedule_at(index, first_look);
    }

    /// Hands out what is due at `now_ms`, and forgets flows that nobody reports any more.
    pub fn expire(&mut self, now_ms: u64, emit: &mut Vec<FlowRecord>) {
        self.memory.age(now_ms);
        while let Some(&(due, index)) = self.schedule.first() {
            if due > now_ms {
                return;
            }
            self.tell(index, emit);
            self.settle(index, now_ms);
        }
    }

    /// Hands out everything that has not been told, for shutdown.
    pub fn flush(&mut self, emit: &mut Vec<FlowRecord>) {
        for index in 0..self.entries.len() {
            self.tell(index, emit);
        }
    }

    /// Hands out the entry's record if it has news.
    fn tell(&mut self, index: usize, emit: &mut Vec<FlowRecord>) {
        let Some(entry) = self.entries.get_mut(index).and_then(Option::as_mut) else { return };
        if !entry.changed {
            return;
        }
        self.stats.unpaired += u64::from(!entry.told && !entry.is_complete());
        self.stats.emitted += 1;
        emit.push(entry.export());
    }

    /// Plans the next look at an entry that was just looked at, or forgets it.
    fn settle(&mut self, index: usize, now_ms: u64) {
        let Some(entry) = self.entry(index) else { return };
        let forgotten = entry.received_ms + millis(self.timeouts.inactive);
        if now_ms >= forgotten {
            return self.remove(index);
        }
        let next = now_ms + millis(self.timeouts.active);
        self.reschedule(index, if entry.has_ended() { forgotten } else { next.min(forgotten) });
    }

    fn reschedule(&mut self, index: usize, at_ms: u64) {
        let Some(entry) = self.entry(index) else { return };
        self.schedule.remove(&(entry.due_ms, index));
        self.schedule_at(index, at_ms);
    }

    fn schedule_at(&mut self, index: usize, at_ms: u64) {
        if let Some(entry) = self.entries.get_mut(index).and_then(Option::as_mut) {
            entry.due_ms = at_ms;
            self.schedule.insert((at_ms, index));
        }
    }

    fn remove(&mut self, index: usize) {
        let Some(entry) = self.entries.get_mut(index).and_then(Option::take) else { return };
        self.schedule.remove(&(entry.due_ms, index));
        let hash = self.hasher.hash_one(entry.key);
        if let Ok(found) = self.by_key.find_entry(hash, |&i| i == index) {
            found.remove();
        }
        entry.forget(&mut self.memory);
        self.free.push(index);
    }

    fn entry(&self, index: usize) -> Option<&FlowEntry> {
        self.entries.get(index).and_then(Option::as_ref)
    }
}

/// At least 1, so that what is planned lies ahead.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests;
