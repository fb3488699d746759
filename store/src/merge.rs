//! Records become flows: all records of one flow id are one flow.
//!
//! Attributes are those of the newest record, totals the largest seen, and deltas the sum over
//! all records, on every side, so that they stay exact whatever order the records were stored in.

use std::cmp::Reverse;

use flow::{Counters, FlowRecord, Side};
use hashbrown::HashMap;

use crate::Row;

/// Flows that are being put together.
#[derive(Debug, Default)]
pub struct Flows(HashMap<u64, Flow>);

impl Flows {
    pub fn add(&mut self, row: Row) {
        match self.0.get_mut(&row.record.flow_id) {
            Some(flow) => flow.add(row),
            None => drop(self.0.insert(row.record.flow_id, Flow::new(row))),
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By when they ended, and then by their id.
    pub fn newest_first(self) -> Vec<Flow> {
        let mut flows: Vec<_> = self.0.into_values().collect();
        flows.sort_unstable_by_key(|flow| Reverse((flow.record.end_ms, flow.record.flow_id)));
        flows
    }
}

/// What the records of one flow add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// The newest attributes; the largest totals; the sums of all deltas.
    pub record: FlowRecord,
    /// From how many records this was put together.
    pub records: u64,
    pub first_inserted_ms: u64,
    pub last_inserted_ms: u64,
}

impl Flow {
    fn new(row: Row) -> Self {
        Self {
            record: row.record,
            records: 1,
            first_inserted_ms: row.inserted_ms,
            last_inserted_ms: row.inserted_ms,
        }
    }

    fn add(&mut self, row: Row) {
        // Of records alike in times, that of the larger totals came later.
        let age = |record: &FlowRecord, inserted_ms| {
            let totals = [record.forward, record.reverse].map(|it| it.octets_total);
            (record.end_ms, inserted_ms, totals)
        };
        let is_newer =
            age(&row.record, row.inserted_ms) >= age(&self.record, self.last_inserted_ms);
        let mut newest = row.record;
        if !is_newer {
            std::mem::swap(&mut newest, &mut self.record);
        }
        // From here on `self.record` is the older of the two.
        add_counters(&mut newest.forward, &self.record.forward);
        add_counters(&mut newest.reverse, &self.record.reverse);
        if !newest.joined.is_nothing() || !self.record.joined.is_nothing() {
            let (newer, older) = (&mut *newest.joined, &*self.record.joined);
            add_side(&mut newer.from_source, &older.from_source);
            add_side(&mut newer.from_destination, &older.from_destination);
        }
        self.record = newest;
        self.records += 1;
        self.first_inserted_ms = self.first_inserted_ms.min(row.inserted_ms);
        self.last_inserted_ms = self.last_inserted_ms.max(row.inserted_ms);
    }
}

fn add_counters(newer: &mut Counters, older: &Counters) {
    newer.packets_total = newer.packets_total.max(older.packets_total);
    newer.octets_total = newer.octets_total.max(older.octets_total);
    newer.packets_delta = newer.packets_delta.saturating_add(older.packets_delta);
    newer.octets_delta = newer.octets_delta.saturating_add(older.octets_delta);
}

fn add_side(newer: &mut Side, older: &Side) {
    let is_unreported = newer.end_ms == 0;
    if is_unreported {
        newer.domain = older.domain;
        newer.flow_id = older.flow_id;
        newer.start_ms = older.start_ms;
    }
    newer.end_ms = newer.end_ms.max(older.end_ms);
    add_counters(&mut newer.forward, &older.forward);
    add_counters(&mut newer.reverse, &older.reverse);
}

#[cfg(test)]
mod tests {
    use flow::Joined;

    use super::*;

    fn row(inserted_ms: u64, end_ms: u64, delta: u64, total: u64) -> Row {
        let counters = Counters { octets_delta: delta, octets_total: total, ..Counters::default() };
        let side = Side { end_ms, forward: counters, ..Side::default() };
        let record = FlowRecord {
            end_ms,
            forward: counters,
            joined: Joined { from_source: side, throughput: end_ms, ..Joined::default() }.into(),
            ..FlowRecord::default()
        };
        Row { inserted_ms, record }
    }

    #[test]
    fn the_order_of_the_records_does_not_matter() {
        let rows = [row(1, 10, 5, 5), row(2, 20, 7, 12), row(3, 15, 1, 8)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut flow = Flow::new(rows[order[0]].clone());
            flow.add(rows[order[1]].clone());
            flow.add(rows[order[2]].clone());
            let got = (flow.record.end_ms, flow.record.joined.throughput, flow.record.forward);
            let sums = Counters { octets_delta: 13, octets_total: 12, ..Counters::default() };
            assert_eq!(got, (20, 20, sums), "{order:?}");
            assert_eq!(flow.record.joined.from_source.forward, sums, "{order:?}");
            let inserted = (flow.records, flow.first_inserted_ms, flow.last_inserted_ms);
            assert_eq!(inserted, (3, 1, 3), "{order:?}");
        }
    }
}
