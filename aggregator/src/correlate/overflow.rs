//! Flows for which there is no room: what each Node tells of them becomes one record per Node, so
//! that volumes stay right.
//!
//! How far each was told is remembered with the flows that are forgotten, so that nothing is
//! counted twice here, and a flow for which there is room later goes on from there.

use std::hash::{BuildHasher, RandomState};

use flow::{Correlation, Counters, FlowEndReason, FlowKey, FlowRecord, Joined, Name, Origin, Side};
use hashbrown::HashMap;

use super::flow_entry::Report;
use super::half::{Totals, bits_per_second, tells_no_totals};
use super::half_id::HalfId;
use super::role::Role;
use super::told::{Memory, Told};

/// Nodes told apart. What further ones tell is put together under domain 0.
const NODES: usize = 16_384;

#[derive(Debug, Default)]
pub(super) struct Overflow {
    nodes: HashMap<u32, Node>,
    ids: RandomState,
    next_ms: Option<u64>,
    /// Records that were folded into these.
    pub(super) records: u64,
    /// Octets (both directions) they told.
    pub(super) octets: u64,
}

/// What one Node told of flows that nobody follows, since it was last told.
#[derive(Debug, Default)]
struct Node {
    name: Name,
    /// When it was last told; before, when it began.
    begun_ms: u64,
    /// Of flows between Nodes, the halves that the other Node may have told as well.
    as_destination: Sum,
    /// All others.
    as_source: Sum,
    changed: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    forward: Counters,
    reverse: Counters,
}

impl Overflow {
    /// Takes in a record of a flow that is not followed.
    pub(super) fn fold(&mut self, report: &Report<'_>, memory: &mut Memory) {
        let Report { key, record, role, domain, now_ms } = *report;
        let id = HalfId::new(&key, domain, record.flow_id, record.start_ms);
        let before = memory.take(id);
        let told = before.map_or_else(|| Totals::before(record), |told| told.totals);
        let of = Totals::of(record);
        let totals = if tells_no_totals(record) { told.plus(of) } else { told.max(of) };
        let flow_id = before.map_or(0, |told| told.flow_id);
        let end_ms = before.map_or(0, |told| told.end_ms).max(record.end_ms);
        memory.insert(id, Told { flow_id, totals, end_ms });

        self.records += 1;
        let octets = totals.octets_both_ways() - told.octets_both_ways();
        self.octets = self.octets.saturating_add(octets);
        let is_known = self.nodes.contains_key(&domain) || self.nodes.len() < NODES;
        let node = self.nodes.entry(if is_known { domain } else { 0 }).or_default();
        if node.begun_ms == 0 {
            node.begun_ms = now_ms;
        }
        let (name, sum) = match role {
            Role::Destination => (&record.destination.node, &mut node.as_destination),
            Role::Source | Role::Whole => (&record.source.node, &mut node.as_source),
        };
        if node.name.is_empty() && is_known {
            node.name = name.clone();
        }
        node.changed = true;
        sum.add(totals, told);
    }

    /// Hands out what is due, and says when to come again at the latest.
    pub(super) fn expire(&mut self, now_ms: u64, active_ms: u64, emit: &mut Vec<FlowRecord>) {
        let next_ms = *self.next_ms.get_or_insert(now_ms + active_ms);
        if now_ms >= next_ms {
            self.next_ms = Some(now_ms + active_ms);
            self.flush(now_ms, emit);
        }
    }

    /// Hands out everything.
    pub(super) fn flush(&mut self, now_ms: u64, emit: &mut Vec<FlowRecord>) {
        for (domain, node) in &mut self.nodes {
            if node.changed {
                emit.push(node.export(*domain, now_ms, &self.ids));
            }
        }
    }
}

impl Node {
    fn export(&mut self, domain: u32, now_ms: u64, ids: &impl BuildHasher) -> FlowRecord {
        let covered = (self.begun_ms, now_ms);
        let from_source = self.as_source.side(domain, covered);
        let from_destination = self.as_destination.side(domain, covered);
        // A record of its own each time: totals and deltas are the same.
        let flow_id = ids.hash_one((domain, now_ms)).max(1);
        *self = Self { name: self.name.clone(), begun_ms: now_ms, ..Self::default() };
        let mut record = FlowRecord {
            flow_id,
            key: FlowKey::default(),
            start_ms: covered.0,
            end_ms: now_ms,
            end_reason: FlowEndReason::LackOfResources,
            forward: from_source.forward,
            reverse: from_source.reverse,
            correlation: Correlation::Overflow,
            joined: Joined {
                from_source,
                from_destination,
                throughput: from_source.throughput,
                reverse_throughput: from_source.reverse_throughput,
            }
            .into(),
            origin: Origin { exporter: None, domain },
            ..FlowRecord::default()
        };
        record.source.node = self.name.clone();
        record
    }
}

impl Sum {
    fn add(&mut self, totals: Totals, told: Totals) {
        add(&mut self.forward, totals.packets - told.packets, totals.octets - told.octets);
        let packets = totals.reverse_packets - told.reverse_packets;
        add(&mut self.reverse, packets, totals.reverse_octets - told.reverse_octets);
    }

    fn side(&self, domain: u32, (start_ms, end_ms): (u64, u64)) -> Side {
        let milliseconds = end_ms.saturating_sub(start_ms);
        Side {
            domain,
            flow_id: 0,
            start_ms,
            end_ms,
            forward: self.forward,
            reverse: self.reverse,
            throughput: bits_per_second(self.forward.octets_delta, milliseconds),
            reverse_throughput: bits_per_second(self.reverse.octets_delta, milliseconds),
        }
    }
}

/// What hostile counters amount to is not worth an overflow.
fn add(sum: &mut Counters, packets: u64, octets: u64) {
    sum.packets_delta = sum.packets_delta.saturating_add(packets);
    sum.octets_delta = sum.octets_delta.saturating_add(octets);
    (sum.packets_total, sum.octets_total) = (sum.packets_delta, sum.octets_delta);
}
