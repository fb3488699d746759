//! Records by which Antrea's own tests, and measurements of it, show what its aggregator does.
//! Where that is wrong, here is what is right: docs/decisions/0022.
use std::net::IpAddr;

use flow::FlowEndReason::{ActiveTimeout, EndOfFlow};
use flow::{Correlation, Counters, FlowEndReason, FlowType, Name, protocol};

use super::tests::TIMEOUTS;
use super::*;

/// Packets and octets, total and delta.
type Counts = [u64; 4];

fn counters([packets_total, packets_delta, octets_total, octets_delta]: Counts) -> Counters {
    Counters { packets_total, octets_total, packets_delta, octets_delta }
}

/// 10.0.0.1:1234 to 10.0.0.2:5678, times in seconds.
fn record(start: u64, end: u64, end_reason: FlowEndReason, counts: Counts) -> FlowRecord {
    let mut record = FlowRecord {
        start_ms: (1_637_000_000 + start) * 1000,
        end_ms: (1_637_000_000 + end) * 1000,
        end_reason,
        flow_type: FlowType::IntraNode,
        forward: counters(counts),
        reverse: counters(counts),
        ..FlowRecord::default()
    };
    record.key.source = [10, 0, 0, 1].into();
    record.key.destination = [10, 0, 0, 2].into();
    (record.key.source_port, record.key.destination_port) = (1234, 5678);
    record.key.protocol = protocol::TCP;
    record
}

fn octets(start: u64, end: u64, reason: FlowEndReason, total: u64, delta: u64) -> FlowRecord {
    record(start, end, reason, [total / 100, delta / 100, total, delta])
}

fn from_source(mut record: FlowRecord) -> (FlowRecord, u32) {
    record.flow_type = FlowType::InterNode;
    record.source.pod = "pod1".into();
    record.service.ip = Some([192, 168, 0, 1].into());
    record.service.port = 4739;
    (record, 1)
}

fn from_destination(mut record: FlowRecord) -> (FlowRecord, u32) {
    record.flow_type = FlowType::InterNode;
    record.destination.pod = "pod2".into();
    (record, 2)
}

fn state(mut half: (FlowRecord, u32), state: &str) -> (FlowRecord, u32) {
    half.0.tcp_state = Name::from(state);
    half
}

/// Tells the records one by one at these times, in seconds.
fn tell(records: impl IntoIterator<Item = (u64, (FlowRecord, u32))>) -> Vec<FlowRecord> {
    let (mut correlator, mut told) = (Correlator::new(TIMEOUTS, 10), Vec::new());
    for (at, (record, domain)) in records {
        correlator.expire(at * 1000, &mut told);
        correlator.receive(&record, domain, at * 1000);
        correlator.expire(at * 1000, &mut told);
    }
    correlator.expire(1_000_000, &mut told);
    told
}

#[test]
fn correlation_and_statistics() {
    let (mut correlator, mut told) = (Correlator::new(TIMEOUTS, 10), Vec::new());
    let mut receive = |correlator: &mut Correlator, at: u64, name, (half, domain)| {
        let (half, domain) = state((half, domain), name);
        correlator.receive(&half, domain, at * 1000);
        correlator.expire(at * 1000, &mut told);
    };
    let first =
        [[500, 0, 1000, 0], [502, 0, 1020, 0]].map(|counts| record(0, 1, ActiveTimeout, counts));
    let [source, destination] = first;
    receive(&mut correlator, 1, "ESTABLISHED", from_source(source));
    receive(&mut correlator, 1, "ESTABLISHED", from_destination(destination));
    // Nothing of it is traffic of theirs, so nothing is told yet; but it is there to be seen.
    let mut flows = Vec::new();
    correlator.look(0, 10, |_| true, |flow| flows.push(flow));
    let [flow] = flows.as_slice() else { panic!("{flows:?}") };
    assert_eq!(flow.correlation, Correlation::Complete);
    assert_eq!(
        [flow.joined.from_source.end_ms, flow.joined.from_destination.end_ms],
        [1_637_000_001_000; 2]
    );
    assert_eq!((flow.service.ip, flow.service.port), (Some([192, 168, 0, 1].into()), 4739));
    assert_eq!(flow.joined.from_source.forward, counters([500, 0, 1000, 0]));
    assert_eq!(flow.joined.from_destination.forward, counters([502, 0, 1020, 0]));

    let later = [[1000, 500, 2000, 1000], [1005, 503, 2050, 1030]];
    let [source, destination] = later.map(|counts| record(0, 10, EndOfFlow, counts));
    receive(&mut correlator, 10, "TIME_WAIT", from_source(source));
    receive(&mut correlator, 10, "TIME_WAIT", from_destination(destination));
    let [last] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((last.end_ms, last.end_reason), (1_637_000_010_000, EndOfFlow));
    assert_eq!(last.tcp_state.as_str(), "TIME_WAIT");
    for (side, counts, throughput) in [
        (&last.joined.from_source, [1000, 500, 2000, 1000], 888),
        (&last.joined.from_destination, [1005, 503, 2050, 1030], 915),
    ] {
        assert_eq!([side.forward, side.reverse], [counters(counts); 2]);
        assert_eq!([side.throughput, side.reverse_throughput], [throughput; 2]);
    }
    // The original's are the larger total and the deltas of whoever came last.
    assert_eq!((last.forward, last.joined.throughput), (last.joined.from_source.forward, 888));
}

#[test]
fn an_external_flow_in_both_orders() {
    let (client, snat) = (IpAddr::from([172, 18, 0, 1]), IpAddr::from([10, 244, 2, 1]));
    let pod = IpAddr::from([10, 244, 1, 3]);
    let mut ingress = octets(0, 10, ActiveTimeout, 1000, 1000);
    ingress.flow_type = FlowType::FromExternal;
    (ingress.key.source, ingress.key.source_port) = (client, 38746);
    (ingress.proxy_snat_ip, ingress.proxy_snat_port) = (Some(snat), 52391);
    ingress.service.name = "default/web:http".into();
    ingress.service.ip = Some([10, 96, 0, 5].into());
    let mut inside = octets(0, 10, ActiveTimeout, 1000, 1000);
    inside.flow_type = FlowType::InterNode;
    (inside.key.source, inside.key.source_port) = (snat, 52391);
    inside.destination.pod = "web-0".into();
    for half in [&mut ingress, &mut inside] {
        (half.key.destination, half.key.destination_port) = (pod, 80);
    }
    let halves = [(ingress, 1), (inside, 2)];
    let reversed = [halves[1].clone(), halves[0].clone()];
    for order in [halves, reversed] {
        let told = tell(order.map(|half| (10, half)));
        let [flow] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(flow.flow_type, FlowType::FromExternal);
        assert_eq!((flow.key.source, flow.key.source_port), (client, 38746));
        assert_eq!((flow.proxy_snat_ip, flow.proxy_snat_port), (Some(snat), 52391));
        assert_eq!(flow.destination.pod.as_str(), "web-0");
        assert_eq!(flow.service.name.as_str(), "default/web:http");
    }
}

/// The original: one flow from 0 to 25 s, delta 201,000, 1.2 · 10^18 bit/s.
#[test]
fn a_5_tuple_that_is_used_again() {
    let told = tell([
        (10, (octets(0, 10, EndOfFlow, 200_000, 200_000), 1)),
        (25, (octets(20, 25, ActiveTimeout, 1000, 1000), 1)),
    ]);
    let what = |flow: &FlowRecord| {
        (
            flow.start_ms / 1000 - 1_637_000_000,
            flow.end_reason,
            flow.forward.octets_delta,
            flow.joined.throughput,
        )
    };
    let told: Vec<_> = told.iter().map(what).collect();
    assert_eq!(told, [(0, EndOfFlow, 200_000, 160_000), (20, ActiveTimeout, 1000, 1600)]);
}

/// The original: the destination's side stays 0.
#[test]
fn a_flow_within_one_second() {
    let halves = [
        from_source(octets(10, 10, ActiveTimeout, 700, 700)),
        from_destination(octets(10, 10, ActiveTimeout, 700, 700)),
    ];
    let told = tell(halves.map(|half| (10, half)));
    let [flow] = told.as_slice() else { panic!("{told:?}") };
    let expected = counters([7, 7, 700, 700]);
    assert_eq!(
        [flow.joined.from_source.forward, flow.joined.from_destination.forward, flow.forward],
        [expected; 3]
    );
    assert_eq!(flow.joined.throughput, 0, "over no time there is no rate");
}

/// The original: delta 2,000 and the end set back to 10 s; then a rate of 800.
#[test]
fn records_out_of_order() {
    let at_15 = [(5, 1000), (15, 3000), (10, 2000)]
        .map(|(end, total)| (15, (octets(0, end, ActiveTimeout, total, 1000), 1)));
    let at_80 = (80, (octets(0, 20, ActiveTimeout, 4000, 1000), 1));
    let told = tell(at_15.into_iter().chain([at_80]));
    let sum: u64 = told.iter().map(|flow| flow.forward.octets_delta).sum();
    assert_eq!(sum, 4000);
    let last = told.last().unwrap();
    assert_eq!((last.forward.octets_delta, last.joined.throughput), (1000, 1600));
    assert_eq!(last.joined.from_source.end_ms, 1_637_000_020_000);
}

/// The original: unchanged, total 1,000 and reason 2.
#[test]
fn the_end_within_the_second_of_the_last_report() {
    let told = tell([
        (5, (octets(0, 5, ActiveTimeout, 1000, 1000), 1)),
        (5, (octets(0, 5, EndOfFlow, 1500, 500), 1)),
    ]);
    let sum: u64 = told.iter().map(|flow| flow.forward.octets_delta).sum();
    let last = told.last().unwrap();
    assert_eq!((sum, last.forward.octets_total, last.end_reason), (1500, 1500, EndOfFlow));
}

/// The counters of the sample record: with 43 s before it told already, they come out as they are.
#[test]
fn the_sample_record() {
    let (forward, reverse) = (
        counters([823_188, 241_333, 30_472_817_041, 8_982_624_938]),
        counters([471_111, 136_211, 24_500_996, 7_083_284]),
    );
    let mut sample = record(0, 0, EndOfFlow, [0; 4]);
    (sample.start_ms, sample.end_ms) = (1_637_706_961_000, 1_637_706_973_000);
    (sample.forward, sample.reverse) = (forward, reverse);
    sample.key.source = [10, 10, 0, 79].into();
    sample.key.destination = [10, 10, 0, 80].into();
    (sample.key.source_port, sample.key.destination_port) = (44752, 5201);
    let labels = r#"{"antrea-e2e":"perftest-a","app":"iperf"}"#;
    sample.source.labels = labels.into();
    let (mut source, domain) = from_source(sample.clone());
    let (mut destination, other) = from_destination(sample);
    (source.end_ms, destination.end_ms) = (1_637_706_974_000, 1_637_706_975_000);
    let told = tell([(0, (source, domain)), (0, (destination, other))]);
    let [flow] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((flow.forward, flow.reverse), (forward, reverse));
    assert_eq!(
        (flow.joined.from_source.end_ms, flow.joined.from_destination.end_ms),
        (1_637_706_974_000, 1_637_706_975_000)
    );
    assert_eq!((flow.start_ms, flow.end_reason), (1_637_706_961_000, EndOfFlow));
    assert_eq!(flow.source.labels.as_str(), labels);
    assert_eq!(flow.joined.throughput, 8_982_624_938 * 8 / 13);
}
