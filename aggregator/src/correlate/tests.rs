use std::net::IpAddr;

use flow::FlowEndReason::{ActiveTimeout, EndOfFlow};
use flow::{Correlation, FlowEndReason, FlowType, protocol};
use proptest::prelude::*;

use super::*;

pub(super) const TIMEOUTS: Timeouts = Timeouts {
    active: Duration::from_mins(1),
    inactive: Duration::from_secs(90),
    clock_skew: Duration::from_secs(5),
};

fn correlator() -> Correlator {
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

/// Receives each record at its time and returns what was told, up to `until_ms`.
fn tell(
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
fn a_lost_record_is_made_good_and_counted() {
    let mut correlator = correlator();
    let records = [(0, whole(record(0, 10, 100, 100))), (9000, whole(record(0, 9000, 1000, 200)))];
    let told = tell(&mut correlator, records, 80_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 1000);
    assert_eq!((correlator.stats().gaps, correlator.stats().gap_octets), (1, 700));
}

#[test]
fn an_exporter_that_starts_again_is_not_counted_twice() {
    // Its first delta is the connection's whole total.
    let records = [(0, whole(record(0, 10, 500, 500))), (9000, whole(record(0, 9000, 800, 800)))];
    let told = tell(&mut correlator(), records, 80_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 800);
}

#[test]
fn a_restarted_aggregator_continues_from_what_is_stored() {
    let first = tell(&mut correlator(), [(0, whole(record(1, 10, 500, 500)))], 10);
    let mut restarted = correlator();
    restarted.learn(&first[0]);
    // A record of 100 octets was lost with the old process.
    let told = tell(&mut restarted, [(0, whole(record(1, 900, 900, 300)))], 10);
    assert_eq!(told[0].flow_id, first[0].flow_id);
    assert_eq!(told[0].forward.octets_delta, 400);
    let stats = restarted.stats();
    assert_eq!((stats.resumed, stats.gaps, stats.gap_octets), (1, 1, 100));
}

#[test]
fn after_a_restart_either_half_alone_keeps_the_flows_id() {
    let halves = [
        source(ended(record(1000, 2000, 700, 700))),
        destination(ended(record(1003, 2001, 600, 600))),
    ];
    let first = tell(&mut correlator(), halves.map(|half| (10_000, half)), 1_000_000);
    for later in [source(record(1000, 9000, 750, 50)), destination(record(1003, 9000, 650, 50))] {
        let mut restarted = correlator();
        restarted.learn(&first[0]);
        let told = tell(&mut restarted, [(0, later)], 1_000_000);
        assert_eq!(told[0].flow_id, first[0].flow_id);
        let sides = [&told[0].joined.from_source, &told[0].joined.from_destination];
        assert_eq!(sides.map(|side| side.forward.octets_delta).iter().sum::<u64>(), 50);
    }
}

#[test]
fn a_quiet_flow_is_forgotten_but_not_what_was_told_of_it() {
    // Its exporter starts again in the silence and tells the whole total anew.
    let records =
        [(0, whole(record(1, 10, 500, 500))), (1_000_000, whole(record(1, 999_000, 800, 800)))];
    let mut correlator = correlator();
    let told = tell(&mut correlator, records, 1_060_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 800);
    assert_eq!(told[0].flow_id, told[1].flow_id);
    assert_eq!(correlator.stats().resumed, 1);
}

#[test]
fn a_quiet_flow_of_two_nodes_keeps_its_id_whoever_speaks_first() {
    let halves = [source(record(1000, 2000, 700, 700)), destination(record(1003, 2001, 600, 600))];
    let later =
        [destination(record(1003, 900_000, 650, 50)), source(record(1000, 900_000, 750, 50))];
    let records = halves.map(|half| (3000, half)).into_iter();
    let records = records.chain(later.map(|half| (1_000_000, half)));
    let told = tell(&mut correlator(), records, 2_000_000);
    assert!(told.iter().all(|flow| flow.flow_id == told[0].flow_id));
    let sum: u64 = told.iter().map(|flow| flow.joined.from_destination.forward.octets_delta).sum();
    assert_eq!(sum, 650);
}

#[test]
fn what_was_lost_before_a_silence_is_made_good_after_it() {
    let records =
        [(0, whole(record(1, 10, 100, 100))), (1_000_000, whole(record(1, 999_000, 1000, 600)))];
    let mut correlator = correlator();
    let told = tell(&mut correlator, records, 1_060_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 1000);
    assert_eq!(correlator.stats().gap_octets, 300);
}

#[test]
fn what_an_exporter_found_when_it_began_is_nobodys_traffic() {
    let mut correlator = correlator();
    let records = [(0, whole(record(1, 10, 500, 0))), (9000, whole(record(1, 9000, 800, 300)))];
    let told = tell(&mut correlator, records, 80_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 300);
    assert_eq!(correlator.stats().gaps, 0);
}

#[test]
fn the_past_of_a_late_half_is_counted_as_missing() {
    let early = (0, source(record(5, 10, 4000, 4000)));
    let late = (100_000, destination(record(7, 99_000, 4000, 100)));
    let records = [early, (80_000, source(record(5, 79_000, 4000, 0))), late];
    let mut correlator = correlator();
    tell(&mut correlator, records, 200_000);
    assert_eq!(correlator.stats().gap_octets, 3900);
}

#[test]
fn a_restarted_aggregator_without_a_store_tells_only_what_is_new() {
    let told = tell(&mut correlator(), [(0, whole(record(0, 900, 900, 300)))], 10);
    assert_eq!((told[0].forward.octets_delta, told[0].forward.octets_total), (300, 900));
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
fn with_port(port: u16, (mut record, domain): (FlowRecord, u32)) -> (FlowRecord, u32) {
    record.key.source_port = port;
    (record, domain)
}

#[test]
fn flows_beyond_the_limit_are_told_together_and_counted() {
    let mut correlator = Correlator::new(TIMEOUTS, 10);
    let records = (0..25).map(|port| (0, with_port(port, whole(record(0, 10, 100, 100)))));
    // What comes twice is counted once, and growth from where it was.
    let again = (10..25).map(|port| (0, with_port(port, whole(record(0, 10, 100, 100)))));
    let more = (10..25).map(|port| (1, with_port(port, whole(record(0, 20, 250, 100)))));
    let told = tell(&mut correlator, records.chain(again).chain(more), 60_000);
    let (overflow, flows): (Vec<_>, Vec<_>) =
        told.iter().partition(|flow| flow.correlation == Correlation::Overflow);
    assert_eq!((correlator.len(), flows.len(), overflow.len()), (10, 10, 1));
    let [overflow] = overflow.as_slice() else { panic!("{overflow:?}") };
    assert_eq!(overflow.forward.octets_delta, 15 * 250);
    assert_eq!(overflow.end_reason, FlowEndReason::LackOfResources);
    assert_eq!((overflow.source.node.as_str(), overflow.joined.from_source.domain), ("node-a", 1));
    let stats = correlator.stats();
    assert_eq!((stats.folded, stats.folded_octets), (45, 15 * 250));
}

#[test]
fn halves_without_room_do_not_count_twice_among_the_sources() {
    let mut correlator = Correlator::new(TIMEOUTS, 0);
    let halves =
        [(0, source(record(1000, 2000, 700, 700))), (0, destination(record(1003, 2001, 600, 600)))];
    let told = tell(&mut correlator, halves, 60_000);
    let common: u64 = told.iter().map(|flow| flow.forward.octets_delta).sum();
    let sides: Vec<_> = told
        .iter()
        .map(|flow| {
            (
                flow.joined.from_source.forward.octets_delta,
                flow.joined.from_destination.forward.octets_delta,
            )
        })
        .collect();
    assert_eq!(common, 700);
    assert!(sides.contains(&(700, 0)) && sides.contains(&(0, 600)), "{sides:?}");
}

#[test]
fn a_flow_that_finds_room_later_goes_on_from_what_was_told() {
    let mut correlator = Correlator::new(TIMEOUTS, 1);
    let records = [
        (0, with_port(1, whole(record(0, 10, 100, 100)))),
        (1, with_port(2, whole(record(0, 10, 100, 100)))),
        // The first is forgotten by now.
        (100_000, with_port(2, whole(record(0, 99_000, 900, 300)))),
    ];
    let told = tell(&mut correlator, records, 200_000);
    let sum: u64 = told.iter().map(|flow| flow.forward.octets_delta).sum();
    assert_eq!(sum, 100 + 900);
    assert_eq!((correlator.stats().gap_octets, correlator.stats().resumed), (500, 0));
    assert!(told.iter().all(|flow| flow.flow_id != 0));
}

/// Told by the destination's Node: its rule rejected the connection.
fn rejected(record: FlowRecord) -> (FlowRecord, u32) {
    let (mut record, domain) = destination(record);
    record.ingress.action = flow::PolicyRule::REJECT;
    record.ingress.name = "keep-out".into();
    (record, domain)
}

#[test]
fn a_refusal_is_told_without_the_other_half_and_soon() {
    let mut correlator = correlator();
    let told = tell(&mut correlator, [(0, rejected(record(0, 10, 60, 60)))], 6000);
    assert_eq!(told[0].correlation, Correlation::NotNeeded);
    assert_eq!(told[0].ingress.action, flow::PolicyRule::REJECT);
    assert_eq!((told[0].forward.octets_delta, correlator.stats().unpaired), (60, 0));
}

#[test]
fn what_one_node_let_out_and_the_other_refused_is_one_flow_in_either_order() {
    let halves = [source(record(1000, 2000, 180, 180)), rejected(record(1002, 1002, 60, 60))];
    let reversed = [halves[1].clone(), halves[0].clone()];
    for order in [halves, reversed] {
        let told = tell(&mut correlator(), order.map(|half| (10_000, half)), 1_000_000);
        let [flow] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(flow.correlation, Correlation::Complete);
        assert_eq!((flow.source.pod.as_str(), flow.destination.pod.as_str()), ("a", "b"));
        assert_eq!(flow.ingress.name.as_str(), "keep-out");
        assert_eq!(flow.joined.from_source.forward.octets_total, 180);
        assert_eq!(flow.joined.from_destination.forward.octets_total, 60);
    }
}

#[test]
fn what_comes_after_a_refusal_was_told_is_a_flow_of_its_own() {
    let halves = [
        (0, rejected(record(1000, 1002, 60, 60))),
        (10_000, source(ended(record(1000, 2000, 180, 180)))),
    ];
    let told = tell(&mut correlator(), halves, 1_000_000);
    let sums: Vec<_> =
        told.iter().map(|flow| (flow.correlation, flow.forward.octets_delta)).collect();
    assert_eq!(sums, [(Correlation::NotNeeded, 60), (Correlation::SourceOnly, 180)]);
    assert_ne!(told[0].flow_id, told[1].flow_id);
}

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

#[test]
fn one_5_tuple_cannot_pile_up_without_limit() {
    let mut correlator = Correlator::new(TIMEOUTS, 1_000_000);
    for start in 0..1000 {
        let (record, domain) = whole(record(start, start, 100, 100));
        correlator.receive(&record, domain, 0);
    }
    assert_eq!(correlator.len(), MAX_FLOWS_PER_KEY);
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
