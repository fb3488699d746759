//! What has been told of connections that are not being followed: forgotten ones, and those of a
//! predecessor, read from the store.
//!
//! A quiet connection is forgotten long before it ends. When its Node speaks of it again, perhaps
//! through an exporter that was started anew, it must continue under its flow's id and from what
//! was told. Bounded in time and number: two generations, of which the older is dropped when the
//! younger is full or its time is over.

use flow::{Correlation, FlowKey, FlowRecord, FlowType, Side};
use hashbrown::HashMap;

use super::half::Totals;
use super::half_id::HalfId;

/// Connections are remembered for one to two times this long.
const GENERATION_MS: u64 = 30 * 60 * 1000;

/// How far one Node's half of a flow has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// 0 if it was told as a part of no flow: there was no room to follow it.
    pub(super) flow_id: u64,
    pub(super) totals: Totals,
    /// The end of the interval that the totals cover, in milliseconds since 1970.
    pub(super) end_ms: u64,
}

#[derive(Debug)]
pub(super) struct Memory {
    young: HashMap<HalfId, Told>,
    old: HashMap<HalfId, Told>,
    /// Halves per generation.
    limit: usize,
    next_generation_ms: u64,
    /// Halves forgotten for want of room.
    pub(super) crowded_out: u64,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { young, old, limit, next_generation_ms: 0, crowded_out: 0 }
    }

    /// Remembers how far a half has been told; of two answers the later one counts.
    pub(super) fn insert(&mut self, id: HalfId, told: Told) {
        if self.young.len() >= self.limit {
            self.crowded_out += u64::try_from(self.old.len()).unwrap_or(u64::MAX);
            self.turn();
        }
        let known = self.young.entry(id).or_insert(told);
        known.totals = known.totals.max(told.totals);
        known.flow_id = if told.flow_id == 0 { known.flow_id } else { told.flow_id };
        known.end_ms = known.end_ms.max(told.end_ms);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// Hands out what is remembered of a half, and forgets it.
    pub(super) fn take(&mut self, id: HalfId) -> Option<Told> {
        let (young, old) = (self.young.remove(&id), self.old.remove(&id));
        young.or(old)
    }

    /// Lets a generation end when its time has come.
    pub(super) fn age(&mut self, now_ms: u64) {
        if now_ms < self.next_generation_ms {
            return;
        }
        // The first call only starts the clock.
        if self.next_generation_ms > 0 {
            self.turn();
        }
        self.next_generation_ms = now_ms + GENERATION_MS;
    }

    fn turn(&mut self) {
        self.old = std::mem::take(&mut self.young);
    }

    /// Takes in a record that a predecessor stored.
    pub(super) fn learn(&mut self, record: &FlowRecord) {
        let key = correlation_key(record);
        for side in [&record.joined.from_source, &record.joined.from_destination] {
            if side.start_ms > 0 {
                let (flow_id, totals, end_ms) = (record.flow_id, Totals::told(side), side.end_ms);
                self.insert(HalfId::of_side(&key, side), Told { flow_id, totals, end_ms });
            }
        }
    }
}

/// The key under which the halves of a stored flow met: see [`super::role::correlation_key`],
/// which is about records as exporters send them.
pub(super) fn correlation_key(record: &FlowRecord) -> FlowKey {
    let met = record.correlation != Correlation::NotNeeded;
    match record.proxy_snat_ip {
        Some(address) if met && record.flow_type == FlowType::FromExternal => {
            FlowKey { source: address, source_port: record.proxy_snat_port, ..record.key }
        }
        _ => record.key,
    }
}

impl Totals {
    fn told(side: &Side) -> Self {
        Self {
            packets: side.forward.packets_total,
            octets: side.forward.octets_total,
            reverse_packets: side.reverse.packets_total,
            reverse_octets: side.reverse.octets_total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> HalfId {
        HalfId::of_side(&FlowKey::default(), &Side { flow_id: number, ..Side::default() })
    }

    fn told(octets: u64) -> Told {
        Told { flow_id: 1, totals: Totals { octets, ..Totals::default() }, end_ms: 0 }
    }

    #[test]
    fn it_is_bounded_in_number() {
        let mut memory = Memory::new(10);
        (0..100).for_each(|number| memory.insert(id(number), told(number)));
        assert!(memory.young.len() <= 10 && memory.old.len() <= 10);
        assert_eq!(memory.crowded_out, 80);
        assert_eq!(memory.take(id(99)), Some(told(99)));
        assert_eq!(memory.take(id(99)), None);
        assert_eq!(memory.take(id(1)), None);
    }

    #[test]
    fn it_is_bounded_in_time() {
        let mut memory = Memory::new(10);
        memory.age(1);
        memory.insert(id(1), told(5));
        memory.age(GENERATION_MS + 1);
        memory.insert(id(2), told(6));
        memory.age(2 * GENERATION_MS + 1);
        assert_eq!((memory.take(id(1)), memory.take(id(2))), (None, Some(told(6))));
    }

    #[test]
    fn the_later_of_two_answers_counts() {
        let mut memory = Memory::new(10);
        for octets in [5, 9, 7] {
            memory.insert(id(1), told(octets));
        }
        assert_eq!(memory.take(id(1)), Some(told(9)));
    }
}
