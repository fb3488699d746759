//! Our own reading and writing beside that of `prost`, by the `.proto` file.

use std::net::IpAddr;

use flow::{
    Counters, Direction, Endpoint, Exit, FlowEndReason, FlowKey, FlowRecord, FlowType, Joined,
    PolicyRule, Service, Side, Uid, Uids,
};
use proptest::prelude::*;
use prost::Message;

use crate::v1alpha1::transport::Protocol;
use crate::v1alpha1::{self as messages, ExportRequest, Flow};
use crate::{Batch, Head, Malformed, Requests, encode};

mod full; // a value in every attribute

use full::{full, full_message};

const HEAD: Head =
    Head { export_time_ns: 1_700_000_010_123_456_789, domain: 912_985_946, with_ids: true };

fn counters(base: u64) -> Counters {
    Counters {
        packets_total: base,
        octets_total: base + 1,
        packets_delta: base + 2,
        octets_delta: base + 3,
    }
}

fn labels(pairs: &[(&str, &str)]) -> messages::Labels {
    let owned = |(key, value): &(&str, &str)| ((*key).into(), (*value).into());
    messages::Labels { labels: pairs.iter().map(owned).collect() }
}

fn time(seconds: i64, nanos: i32) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos }
}

fn encoded(record: &FlowRecord, head: &Head) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(record, head, &mut bytes);
    bytes
}

fn read_by_prost(record: &FlowRecord, head: &Head) -> Flow {
    let request = ExportRequest::decode(encoded(record, head).as_slice()).unwrap();
    request.flows.into_iter().next().unwrap()
}

/// What gRPC puts before a message, and the message.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// Everything a stream tells if it comes in pieces of `piece` bytes.
fn read(bytes: &[u8], piece: usize) -> Result<Vec<Batch>, Malformed> {
    let mut requests = Requests::default();
    let mut batches = Vec::new();
    for piece in bytes.chunks(piece) {
        requests.push(piece);
        loop {
            let mut batch = Batch::default();
            requests.take(&mut batch)?;
            if batch.records.is_empty() {
                break;
            }
            batches.push(batch);
        }
    }
    requests.end().map(|()| batches)
}

fn read_one(flow: &Flow) -> FlowRecord {
    let request = ExportRequest { flows: vec![flow.clone()] }.encode_to_vec();
    let mut batches = read(&framed(&request), usize::MAX).unwrap();
    batches.remove(0).records.remove(0)
}

#[test]
fn a_record_is_the_message_that_the_proto_file_says() {
    assert_eq!(read_by_prost(&full(), &HEAD), full_message());
    // And to the byte what others write.
    let theirs = ExportRequest { flows: vec![full_message()] }.encode_to_vec();
    assert_eq!(encoded(&full(), &HEAD), theirs);
}

#[test]
fn a_message_is_read_as_the_record_it_was_made_of() {
    assert_eq!(read_one(&full_message()), full());
}

#[test]
fn labels_are_told_by_key_and_only_if_they_were_looked_up() {
    let many = [("z", "last"), ("app.kubernetes.io/name", ""), ("\"", "ü\n"), ("", "odd")];
    let text = r#"{"":"odd","\"":"ü\n","app.kubernetes.io/name":"","z":"last"}"#;
    let mut flow = full_message();
    let k8s = flow.k8s.as_mut().unwrap();
    (k8s.source_pod_labels, k8s.destination_pod_labels) = (Some(labels(&many)), None);
    let record = read_one(&flow);
    assert_eq!((record.source.labels.as_str(), record.destination.labels.as_str()), (text, ""));
    assert_eq!(read_by_prost(&record, &HEAD), flow);
    // Nobody can use a part of them.
    let k8s = flow.k8s.as_mut().unwrap();
    k8s.source_pod_labels = Some(labels(&[("a", "x".repeat(5000).as_str())]));
    assert_eq!(read_one(&flow).source.labels.as_str(), "");
}

#[test]
fn an_empty_record_has_every_part_that_antreas_collector_falls_over_without() {
    let flow = read_by_prost(&FlowRecord::default(), &Head { with_ids: false, ..HEAD });
    assert_eq!(flow.id, "");
    assert!(flow.ipfix.is_some() && flow.start_ts.is_some() && flow.end_ts.is_some());
    assert!(flow.ip.is_some() && flow.transport.clone().unwrap().protocol.is_none());
    assert!(flow.k8s.is_some() && flow.stats.is_some() && flow.reverse_stats.is_some());
    assert_eq!(flow.proxy_snat_ip, Vec::<u8>::new());
    assert_eq!(flow.aggregation, None);
    assert_eq!(flow.flow_direction, 0, "as Antrea, which sends none");
}

#[test]
fn without_an_id_the_start_tells_two_connections_of_a_millisecond_apart() {
    let started = |nanos| Flow {
        id: String::new(),
        start_ts: Some(time(1_700_000_000, nanos)),
        ..full_message()
    };
    let (first, second) = (read_one(&started(5_000_001)), read_one(&started(5_000_002)));
    assert_eq!(first.start_ms, 1_700_000_000_005);
    assert_eq!((first.flow_id, second.flow_id), (1, 2));
    let second = FlowRecord { flow_id: 1, ..second };
    assert_eq!(first, second);
}

#[test]
fn what_cannot_be_of_its_type_leaves_its_attribute_unset() {
    let mut flow = full_message();
    flow.id = "not a number".into();
    flow.start_ts = Some(time(-5, 2_000_000_000));
    flow.proxy_snat_ip = vec![1, 2, 3];
    flow.proxy_snat_port = 70_000;
    flow.end_reason = 77;
    let transport = flow.transport.as_mut().unwrap();
    transport.protocol_number = 256;
    let k8s = flow.k8s.as_mut().unwrap();
    k8s.egress_ip = vec![1];
    k8s.ingress_network_policy_rule_action = -1;
    k8s.source_pod_uid = "web-0".into();
    let mut expected = full();
    expected.flow_id = 0;
    expected.start_ms = 0;
    (expected.proxy_snat_ip, expected.proxy_snat_port) = (None, 0);
    expected.end_reason = FlowEndReason::Unspecified;
    expected.key.protocol = 0;
    expected.exit.ip = "".into();
    expected.ingress.action = 0;
    expected.source.pod_uid = None;
    assert_eq!(read_one(&flow), expected);
}

#[test]
fn a_flow_without_its_parts_is_counted_or_taken_as_it_is() {
    let without = |change: fn(&mut Flow)| {
        let mut flow = full_message();
        change(&mut flow);
        let request = ExportRequest { flows: vec![flow] }.encode_to_vec();
        let mut requests = Requests::default();
        requests.push(&framed(&request));
        let mut batch = Batch::default();
        requests.take(&mut batch).unwrap();
        (batch.records, requests.take_counted())
    };
    for useless in [
        |flow: &mut Flow| flow.ip = None,
        |flow: &mut Flow| *flow = Flow::default(),
        |flow: &mut Flow| flow.ip.as_mut().unwrap().source.clear(),
        |flow: &mut Flow| flow.ip.as_mut().unwrap().destination = vec![0; 5],
    ] {
        let (records, counted) = without(useless);
        assert_eq!((records.len(), counted.flows, counted.without_addresses), (0, 1, 1));
    }
    for (change, expected) in [
        ((|flow| flow.k8s = None) as fn(&mut Flow), (|_| ()) as fn(&mut FlowRecord)),
        (
            |flow| flow.transport = None,
            |record| {
                record.key =
                    FlowKey { source_port: 0, destination_port: 0, protocol: 0, ..record.key };
                record.tcp_state = "".into();
            },
        ),
        (
            |flow| (flow.stats, flow.reverse_stats) = (None, None),
            |record| {
                (record.forward, record.reverse) = Default::default();
            },
        ),
        (|flow| flow.ipfix = None, |_| ()),
    ] {
        let (records, _) = without(change);
        let mut whole = full();
        expected(&mut whole);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].key, whole.key);
        assert_eq!((records[0].forward, records[0].reverse), (whole.forward, whole.reverse));
        assert_eq!(records[0].tcp_state, whole.tcp_state);
    }
}

#[test]
fn flows_of_several_domains_come_apart() {
    let flow = |domain| {
        let mut flow = full_message();
        flow.ipfix.as_mut().unwrap().observation_domain_id = domain;
        flow
    };
    let request = ExportRequest { flows: [1, 1, 2, 1].map(flow).to_vec() }.encode_to_vec();
    let batches = read(&[framed(&request), framed(&request)].concat(), usize::MAX).unwrap();
    let told: Vec<_> = batches.iter().map(|batch| (batch.domain, batch.records.len())).collect();
    assert_eq!(told, [(1, 2), (2, 1), (1, 3), (2, 1), (1, 1)]);
}

#[test]
fn a_stream_may_come_in_any_pieces() {
    let request = ExportRequest { flows: vec![full_message(); 3] }.encode_to_vec();
    // An unknown field, an empty message, and what a later version may add at the end.
    let unknown = [0x7a, 3, 1, 2, 3, 0x11, 1, 2, 3, 4, 5, 6, 7, 8];
    let odd = [&unknown[..], &request, &[0x18, 0x96, 1]].concat();
    let bytes = [framed(&request), framed(&[]), framed(&odd)].concat();
    for piece in [1, 2, 3, 7, 64, 300, 1000, usize::MAX] {
        let batches = read(&bytes, piece).unwrap();
        let records: Vec<_> = batches.into_iter().flat_map(|batch| batch.records).collect();
        assert_eq!(records, vec![full(); 6], "{piece}");
    }
}

#[test]
fn a_flow_that_is_too_long_is_passed_over_and_costs_nothing() {
    let mut long = full_message();
    #[allow(deprecated, reason = "a field that may be long")]
    let app = &mut long.app;
    *app = Some(messages::App { http_vals: vec![7; 8 << 20], ..messages::App::default() });
    let request = ExportRequest { flows: vec![full_message(), long, full_message()] };
    let bytes = framed(&request.encode_to_vec());
    let mut requests = Requests::default();
    let mut records = 0;
    for piece in bytes.chunks(16_384) {
        requests.push(piece);
        let mut batch = Batch::default();
        requests.take(&mut batch).unwrap();
        records += batch.records.len();
        assert!(requests.waiting() <= 16_384);
    }
    let counted = requests.take_counted();
    assert_eq!((records, counted.too_long, counted.flows, counted.messages), (2, 1, 3, 1));
    requests.end().unwrap();
}

#[test]
fn nonsense_ends_a_stream() {
    let field = |bytes: &[u8]| read(&framed(bytes), usize::MAX).unwrap_err();
    assert_eq!(read(&[1, 0, 0, 0, 0], 1), Err(Malformed::Compressed));
    assert_eq!(field(&[0x0a, 5, 1]), Malformed::Truncated);
    assert_eq!(field(&[0x0b]), Malformed::WireType(3));
    assert_eq!(field(&[0x00, 0]), Malformed::FieldZero);
    assert_eq!(field(&[0xff; 20]), Malformed::Varint);
    assert_eq!(field(&[0x0a, 2, 0x12, 5]), Malformed::Truncated);
    assert_eq!(field(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]), Malformed::Truncated);
    let request = framed(&ExportRequest { flows: vec![full_message()] }.encode_to_vec());
    assert_eq!(read(&request[..3], 9), Err(Malformed::Cut(1)));
    assert_eq!(read(&request[..request.len() - 2], 9), Err(Malformed::Cut(2)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let whole = read(&framed(&bytes), usize::MAX);
        prop_assert_eq!(&whole, &read(&framed(&bytes), 1));
        // What we read, prost reads as well, but for what we pass over unlooked at.
        if ExportRequest::decode(bytes.as_slice()).is_ok() {
            prop_assert!(whole.is_ok(), "{:?}", whole);
        }
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        piece in 1_usize..500,
    ) {
        let mut request = ExportRequest { flows: vec![full_message(); 2] }.encode_to_vec();
        *place.get_mut(&mut request) = byte;
        let pieces = read(&framed(&request), piece);
        let whole = read(&framed(&request), usize::MAX);
        prop_assert_eq!(pieces.is_ok(), whole.is_ok());
        let records = |read: Result<Vec<Batch>, _>| -> Vec<FlowRecord> {
            read.unwrap_or_default().into_iter().flat_map(|batch| batch.records).collect()
        };
        prop_assert_eq!(records(pieces), records(whole));
    }
}
