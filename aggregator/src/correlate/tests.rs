use std::net::IpAddr;

use flow::FlowEndReason::{ActiveTimeout, EndOfFlow};
use flow::{Correlation, FlowEndReason, FlowType, ObservedBy, protocol};
use proptest::prelude::*;

use super::*;

mod limits; // flows without room
mod refusals; // flows that a rule refused
mod silence; // what is known of a flow after records were lost, and after a restart

pub(super) const TIMEOUTS: Timeouts = Timeouts {
    active: Duration::from_mins(1),
    inactive: Duration::from_secs(90),
    clock_skew: Duration::from_secs(5),
};

pub(super) fn correlator() -> Correlator {
    Correlator::new(TIMEOUTS, 1000)
}

/// A record of Pod a on Node 1 to Pod b on Node 2.
pub(super) fn record(start_ms: u64, end_ms: u64, total: u64, delta: u64) -> FlowRecord {
    let mut record = FlowRecord { start_ms, end_ms, flow_id: start_ms, ..FlowRecord::default() };
    record.key.source = IpAddr::from([10, 10, 0, 2]);
    record.key.destination = IpAddr::from([10, 10, 1, 2]);
    record.key.source_port = 40000;
    record.key.destination_port = 80;
    record.key.protocol = protocol::TCP;
    record.flow_type = FlowType::InterNode;
    record.end_reason = FlowEndReason::ActiveTimeout;
    record.forward.octets_total = total;
    record.forward.octets_delta = delta;
    record.forward.packets_total = total / 100;
    record.forward.packets_delta = delta / 100;
    record
}

pub(super) fn source(record: FlowRecord) -> (FlowRecord, u32) {
    let mut record = record;
    record.source.pod = "a".into();
    record.source.node = "node-a".into();
    record.service.name = "shop/db:sql".into();
    (record, 1)
}

pub(super) fn destination(record: FlowRecord) -> (FlowRecord, u32) {
    let mut record = record;
    record.destination.pod = "b".into();
    record.destination.node = "node-b".into();
    record.flow_id += 1_000_000;
    (record, 2)
}

pub(super) fn ended(record: FlowRecord) -> FlowRecord {
    FlowRecord { end_reason: FlowEndReason::EndOfFlow, ..record }
}

pub(super) fn whole(record: FlowRecord) -> (FlowRecord, u32) {
    (FlowRecord { flow_type: FlowType::IntraNode, ..source(record).0 }, 1)
}

pub(super) fn with_port(port: u16, (mut record, domain): (FlowRecord, u32)) -> (FlowRecord, u32) {
    record.key.source_port = port;
    (record, domain)
}

/// Receives each record at its time and returns what was told, up to `until_ms`.
pub(super) fn tell(
    correlator: &mut Correlator,
    records: impl IntoIterator<Item = (u64, (FlowRecord, u32))>,
    until_ms: u64,
) -> Vec<FlowRecord> {
    let mut told = Vec::new();
    for (at, (record, domain)) in records {
        correlator.expire(at, &mut told);
        correlator.receive(&record, domain, at);
        correlator.expire(at, &mut told);
    }
    correlator.expire(until_ms, &mut told);
    told
}

#[test]
fn two_halves_become_one_record_in_either_order() {
    let halves = [
        source(ended(record(1000, 2000, 700, 700))),
        destination(ended(record(1003, 2001, 600, 600))),
    ];
    let reversed = [halves[1].clone(), halves[0].clone()];
    let mut ids = Vec::new();
    for order in [halves, reversed] {
        let told = tell(&mut correlator(), order.map(|half| (10_000, half)), 1_000_000);
        let [flow] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(flow.correlation, Correlation::Complete);
        assert_eq!((flow.source.pod.as_str(), flow.destination.pod.as_str()), ("a", "b"));
        assert_eq!(flow.service.name.as_str(), "shop/db:sql");
        assert_eq!(flow.joined.from_source.forward.octets_delta, 700);
        assert_eq!(flow.joined.from_destination.forward.octets_delta, 600);
        assert_eq!(
            (flow.joined.from_source.flow_id, flow.joined.from_destination.flow_id),
            (1000, 1_001_003)
        );
        assert_eq!(flow.forward.octets_delta, 700, "common counters are the source Node's");
        assert_eq!(flow.end_reason, FlowEndReason::EndOfFlow);
        ids.push(flow.flow_id);
    }
    assert_eq!(ids[0], ids[1], "the id does not depend on who came first");
}

#[test]
fn a_flow_is_over_when_both_nodes_say_so() {
    let records = [
        (10_000, source(record(1000, 2000, 100, 100))),
        (10_000, destination(record(1000, 2000, 100, 100))),
        (20_000, source(ended(record(1000, 12_000, 300, 200)))),
        (71_000, destination(ended(record(1000, 12_000, 300, 200)))),
    ];
    let told = tell(&mut correlator(), records, 1_000_000);
    let reasons: Vec<_> = told.iter().map(|flow| flow.end_reason).collect();
    assert_eq!(reasons, [ActiveTimeout, ActiveTimeout, EndOfFlow]);
    let sum: u64 = told.iter().map(|flow| flow.joined.from_destination.forward.octets_delta).sum();
    assert_eq!(sum, 300);
}

#[test]
fn a_half_without_its_other_half_is_told_marked_and_counted() {
    let mut correlator = correlator();
    let told = tell(&mut correlator, [(0, source(ended(record(0, 10, 100, 100))))], 89_999);
    assert_eq!(told, []);
    let told = tell(&mut correlator, [], 90_000);
    assert_eq!(told[0].correlation, Correlation::SourceOnly);
    assert_eq!(told[0].joined.from_source.forward.octets_delta, 100);
    assert_eq!(correlator.stats().unpaired, 1);
    assert!(correlator.is_empty());
}

#[test]
fn the_other_half_may_come_after_the_first_was_told_alone() {
    let records = (0..10).map(|i| (i * 60_000, source(record(5, i * 60_000, 100 * (i + 1), 100))));
    let late = (600_001, destination(record(7, 600_000, 1000, 1000)));
    let mut correlator = correlator();
    let told = tell(&mut correlator, records.chain([late]), 660_001);
    assert_eq!(told.last().map(|flow| flow.correlation), Some(Correlation::Complete));
    assert!(told.iter().all(|flow| flow.flow_id == told[0].flow_id));
    let destination: u64 =
        told.iter().map(|f| f.joined.from_destination.forward.octets_delta).sum();
    assert_eq!((destination, correlator.stats().joined_late), (1000, 1));
}

/// The source's Node is cut off, the destination's half is told alone, and then everything comes.
#[test]
fn the_halfs_counters_that_were_told_first_stay_the_flows() {
    let first =
        (0..10).map(|i| (i * 60_000, destination(record(7, i * 60_000, 100 * (i + 1), 100))));
    let late = [
        (600_001, source(record(5, 600_000, 1000, 1000))),
        (600_002, destination(record(7, 600_000, 1100, 100))),
        (660_000, source(record(5, 660_000, 1200, 200))),
        (660_001, destination(record(7, 660_000, 1200, 100))),
    ];
    let mut correlator = correlator();
    let told = tell(&mut correlator, first.chain(late), 900_000);
    assert_eq!(told.last().map(|flow| flow.correlation), Some(Correlation::Complete));
    let sum = |of: fn(&FlowRecord) -> u64| told.iter().map(of).sum::<u64>();
    assert_eq!(sum(|flow| flow.forward.octets_delta), 1200);
    assert_eq!(sum(|flow| flow.joined.from_source.forward.octets_delta), 1200);
    assert_eq!(sum(|flow| flow.joined.from_destination.forward.octets_delta), 1200);
}

/// As routers tell it: each record has what came since the last one, and nothing else.
#[test]
fn what_is_told_by_deltas_alone_adds_up_over_a_silence_and_without_room() {
    let deltas = |at_ms: u64, octets: u64| {
        let mut record = whole(record(0, at_ms, 0, octets)).0;
        (record.flow_id, record.forward.packets_total) = (1, 0);
        (at_ms, (record, 1))
    };
    let records = [deltas(0, 600), deltas(1_000, 600), deltas(200_000, 300), deltas(201_000, 300)];
    let told = tell(&mut correlator(), records.clone(), 900_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 1800);
    let mut crowded = Correlator::new(TIMEOUTS, 0);
    let told = tell(&mut crowded, records, 900_000);
    assert!(told.iter().all(|flow| flow.correlation == Correlation::Overflow));
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 1800);
}

#[test]
fn a_5_tuple_used_again_is_another_flow() {
    // The second connection starts a second after the first; all four halves arrive together.
    let records = [
        source(ended(record(1000, 1500, 100, 100))),
        source(ended(record(2000, 2500, 200, 200))),
        destination(ended(record(1002, 1502, 100, 100))),
        destination(ended(record(2002, 2502, 200, 200))),
    ];
    let told = tell(&mut correlator(), records.map(|half| (3000, half)), 1_000_000);
    let totals: Vec<_> = told
        .iter()
        .map(|f| {
            (
                f.joined.from_source.forward.octets_total,
                f.joined.from_destination.forward.octets_total,
            )
        })
        .collect();
    assert_eq!(totals, [(100, 100), (200, 200)]);
    assert_ne!(told[0].flow_id, told[1].flow_id);
}

#[test]
fn a_record_that_comes_twice_or_late_changes_nothing() {
    let records = [
        (0, whole(record(0, 10, 100, 100))),
        (1000, whole(record(0, 1000, 300, 200))),
        (1001, whole(record(0, 1000, 300, 200))),
        (1002, whole(record(0, 10, 100, 100))),
    ];
    let told = tell(&mut correlator(), records, 80_000);
    let deltas: Vec<_> = told.iter().map(|flow| flow.forward.octets_delta).collect();
    assert_eq!(deltas, [100, 200]);
}

#[test]
fn an_external_client_behind_source_nat_keeps_its_address() {
    let client: IpAddr = [192, 168, 77, 100].into();
    let gateway: IpAddr = [10, 10, 0, 1].into();
    let mut ingress = ended(record(1000, 2000, 100, 100));
    ingress.flow_type = FlowType::FromExternal;
    ingress.key.source = client;
    ingress.proxy_snat_ip = Some(gateway);
    ingress.proxy_snat_port = 50_000;
    let mut inside = destination(ended(record(1001, 2000, 100, 100)));
    inside.0.key.source = gateway;
    inside.0.key.source_port = 50_000;
    for order in [[(ingress.clone(), 1), inside.clone()], [inside.clone(), (ingress, 1)]] {
        let told = tell(&mut correlator(), order.map(|half| (3000, half)), 1_000_000);
        let [flow] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((flow.key.source, flow.key.source_port), (client, 40_000));
        assert_eq!(flow.flow_type, FlowType::FromExternal);
        assert_eq!(flow.destination.pod.as_str(), "b");
    }
}

/// Which ends there was somebody to see, whoever told it.
#[test]
fn who_saw_a_flow_is_told() {
    let of = |flow_type| move |record| (FlowRecord { flow_type, ..whole(record).0 }, 1);
    let both = [source(record(0, 1, 100, 100)), destination(record(0, 1, 100, 100))];
    for (halves, expected) in [
        (both.to_vec(), ObservedBy::Both),
        (both[..1].to_vec(), ObservedBy::Source),
        (both[1..].to_vec(), ObservedBy::Destination),
        (vec![of(FlowType::IntraNode)(record(0, 1, 100, 100))], ObservedBy::Both),
        (vec![of(FlowType::ToExternal)(record(0, 1, 100, 100))], ObservedBy::Source),
        (vec![of(FlowType::FromExternal)(record(0, 1, 100, 100))], ObservedBy::Destination),
        (vec![of(FlowType::Unspecified)(record(0, 1, 100, 100))], ObservedBy::Unspecified),
    ] {
        let told = tell(&mut correlator(), halves.into_iter().map(|half| (1, half)), 200_000);
        let [flow] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(flow.observed_by, expected, "{:?} {:?}", flow.flow_type, flow.correlation);
    }
}

#[test]
fn throughput_is_over_the_interval_that_is_covered() {
    let records = [
        (0, whole(record(0, 1000, 1000, 1000))),
        (61_000, whole(record(0, 61_000, 61_000, 60_000))),
    ];
    let told = tell(&mut correlator(), records, 130_000);
    let rates: Vec<_> = told.iter().map(|flow| flow.joined.throughput).collect();
    assert_eq!(rates, [8000, 8000]);
}

/// A record of a flow of its own, by its port.
#[test]
fn counters_that_fall_are_counted() {
    let records = [(0, whole(record(0, 10, 500, 500))), (9000, whole(record(0, 9000, 40, 40)))];
    let mut correlator = correlator();
    let told = tell(&mut correlator, records, 80_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 500);
    assert_eq!(correlator.stats().totals_fell, 1);
}

#[test]
fn a_flow_can_be_looked_at_by_either_of_its_keys() {
    let mut correlator = correlator();
    let (mut ingress, domain) = source(record(1000, 2000, 100, 100));
    ingress.flow_type = FlowType::FromExternal;
    ingress.key.source = [192, 168, 77, 100].into();
    ingress.proxy_snat_ip = Some([10, 10, 0, 1].into());
    correlator.receive(&ingress, domain, 0);
    for port in 1..100 {
        let (other, domain) = with_port(port, whole(record(0, 10, 100, 100)));
        correlator.receive(&other, domain, 0);
    }
    for source in [IpAddr::from([192, 168, 77, 100]), IpAddr::from([10, 10, 0, 1])] {
        let (mut found, mut from) = (Vec::new(), Some(0));
        while let Some(next) = from {
            from = correlator.look(next, 7, |key| key.source == source, |flow| found.push(flow));
        }
        let [flow] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((flow.key.source, flow.forward.octets_delta), ([192, 168, 77, 100].into(), 100));
    }
    let mut told = Vec::new();
    correlator.flush(0, &mut told);
    assert_eq!(told.len(), 100, "looking changes nothing");
}

proptest! {
    /// Whatever the pauses, loss and repetition of reports, as long as each Node's last one
    /// arrives: the sum of deltas per side is that Node's total, under one id.
    #[test]
    fn deltas_add_up(
        reports in prop::collection::vec((0u64..2, 1u64..1000, any::<bool>(), 0u64..100_000), 1..40),
        last_totals in [100_000u64..200_000, 100_000u64..200_000],
    ) {
        let mut correlator = correlator();
        let mut totals = [1; 2];
        let mut now = 0;
        // Both halves are heard once; what came before is not this process's to tell.
        let mut records = vec![(0, source(record(1, 0, 1, 1))), (0, destination(record(1, 0, 1, 1)))];
        for (side, octets, arrives, pause) in reports {
            let side = usize::try_from(side).unwrap();
            totals[side] += octets;
            now += pause;
            let half = record(1, now, totals[side], octets);
            let half = if side == 0 { source(half) } else { destination(half) };
            if arrives {
                records.push((now, half));
            }
        }
        for side in 0..2 {
            let half = ended(record(1, now, last_totals[side], last_totals[side] - totals[side]));
            records.push((now, if side == 0 { source(half) } else { destination(half) }));
        }
        let told = tell(&mut correlator, records, now + 1_000_000);
        let sums = told.iter().fold([0, 0], |[a, b], flow| {
            [a + flow.joined.from_source.forward.octets_delta, b + flow.joined.from_destination.forward.octets_delta]
        });
        prop_assert_eq!(sums, last_totals);
        prop_assert!(told.iter().all(|flow| flow.flow_id == told[0].flow_id));
    }
}
