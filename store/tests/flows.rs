//! Records put together to flows, and their sums.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use std::collections::HashMap;

use flow::{Counters, FlowRecord, Side};
use proptest::prelude::*;
use store::{Reader, Writer};
use support::{record, records};
use tempfile::{TempDir, tempdir};

const NOW: u64 = 1_795_251_599_000;

/// A store in which each of `batches` is a file of its own.
fn store_with(batches: &[Vec<FlowRecord>]) -> (TempDir, Reader) {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    for (batch, at) in batches.iter().zip(NOW..) {
        writer.append(batch, at).unwrap();
        writer.flush().unwrap();
    }
    let reader = Reader::open(dir.path()).unwrap();
    (dir, reader)
}

fn deltas(counters: Counters) -> [u64; 2] {
    [counters.packets_delta, counters.octets_delta]
}

/// The deltas of a record or flow: its own, then those of each Node.
fn all_deltas(record: &FlowRecord) -> [[u64; 2]; 6] {
    let Side { forward, reverse, .. } = record.joined.from_source;
    let Side { forward: to, reverse: back, .. } = record.joined.from_destination;
    [record.forward, record.reverse, forward, reverse, to, back].map(deltas)
}

fn sums(records: &[FlowRecord]) -> HashMap<u64, [[u64; 2]; 6]> {
    let mut sums: HashMap<u64, [[u64; 2]; 6]> = HashMap::new();
    for record in records {
        let sum = sums.entry(record.flow_id).or_default();
        for (sum, delta) in sum.iter_mut().zip(all_deltas(record)) {
            *sum = [sum[0] + delta[0], sum[1] + delta[1]];
        }
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn sums_are_exact_however_the_records_are_spread(
        batches in prop::collection::vec(prop::collection::vec(0..10_000_u64, 0..60), 1..6),
    ) {
        let batches: Vec<Vec<_>> =
            batches.into_iter().map(|batch| batch.into_iter().map(record).collect()).collect();
        let expected = sums(&batches.concat());
        let (_dir, reader) = store_with(&batches);

        let flows = reader.flows().unwrap().0;
        let got: HashMap<_, _> = flows
            .iter()
            .map(|flow| (flow.record.flow_id, all_deltas(&flow.record)))
            .collect();
        prop_assert_eq!(&got, &expected);
    }
}

#[test]
fn flows_come_newest_first_with_what_they_were_made_of() {
    let (_dir, reader) = store_with(&[records(0..7), records(7..10)]);
    let (flows, _) = reader.flows().unwrap();
    let got: Vec<_> = flows[..4]
        .iter()
        .map(|flow| (flow.record.flow_id, flow.record.end_ms, flow.records))
        .collect();
    assert_eq!(got, [(3, 1009, 2), (2, 1008, 2), (1, 1007, 2), (7, 1006, 1)]);
    assert_eq!(flows.len(), 7);
    let first = &flows[0];
    assert_eq!((first.first_inserted_ms, first.last_inserted_ms), (NOW, NOW + 1));
    assert_eq!(first.record.source, record(9).source);
}

#[test]
fn what_has_been_told_is_visited_with_all_that_tells_connections_apart() {
    let stored = records(0..3);
    let (_dir, reader) = store_with(&[stored[..1].to_vec(), stored[1..].to_vec()]);
    let mut told = Vec::new();
    let scan = reader.told(NOW + 1, |record| told.push(record.clone())).unwrap();
    assert_eq!((told.len(), scan.skipped), (2, 0));
    for (told, stored) in told.iter().zip(&stored[1..]) {
        assert_eq!((told.flow_id, told.key), (stored.flow_id, stored.key));
        assert_eq!((told.flow_type, told.correlation), (stored.flow_type, stored.correlation));
        let nat = |record: &FlowRecord| (record.proxy_snat_ip, record.proxy_snat_port);
        assert_eq!(nat(told), nat(stored));
        let side = |side: &flow::Side| {
            let totals = [&side.forward, &side.reverse].map(|c| (c.packets_total, c.octets_total));
            (side.domain, side.flow_id, side.start_ms, side.end_ms, totals)
        };
        assert_eq!(side(&told.joined.from_source), side(&stored.joined.from_source));
        assert_eq!(side(&told.joined.from_destination), side(&stored.joined.from_destination));
    }
}
