//! What ends the process of the original, or makes it take all memory, each against the real
//! listener. None of it is more than a counter here, and the next session is served.

use ::grpc::export::{Export, ExportingProcess};
use ::grpc::v1alpha1::{ExportRequest, Flow};
use ipfix::transport::{Destination, Transport};

use super::world::{World, message, set, template_record};
use super::*;
use crate::metrics::EndReason;

/// Both addresses, the source's port, and the octets.
const FIELDS: [(u32, u16, u16); 4] = [(0, 8, 4), (0, 12, 4), (0, 7, 2), (0, 1, 8)];

fn template_set(fields: &[(u32, u16, u16)]) -> Vec<u8> {
    set(2, &template_record(256, fields))
}

/// A record of `FIELDS`.
fn record(port: u16) -> Vec<u8> {
    let mut record = vec![10, 0, 0, 1, 10, 0, 0, 2];
    record.extend(port.to_be_bytes());
    record.extend(1_000_u64.to_be_bytes());
    record
}

fn ports(records: &[FlowRecord]) -> Vec<u16> {
    records.iter().map(|record| record.key.source_port).collect()
}

#[tokio::test]
async fn padding_is_no_record() {
    let mut world = World::plain().await;
    let padded = [record(1), vec![0; 3]].concat();
    let sets = [template_set(&FIELDS), set(256, &padded), set(256, &[0; 5]), set(256, &[])];
    let session = world.send(&[message(0, 7, &sets), message(1, 7, &[set(256, &[0; 17])])]).await;
    let after = world.send(&[message(0, 8, &[template_set(&FIELDS), set(256, &record(2))])]).await;
    let mut came = ports(&world.records(2).await);
    came.sort_unstable();
    assert_eq!(came, [1, 2]);
    assert_eq!(world.metrics.ended(EndReason::Malformed), 0);
    drop((session, after));
    world.goes_on().await;
}

#[tokio::test]
async fn a_second_data_set_is_one_more_set() {
    let mut world = World::plain().await;
    let two = |first| set(256, &[record(first), record(first + 1)].concat());
    let sets = [template_set(&FIELDS), two(1), two(3)];
    let session = world.send(&[message(0, 7, &sets)]).await;
    assert_eq!(ports(&world.records(4).await), [1, 2, 3, 4]);
    drop(session);
    world.goes_on().await;
}

#[tokio::test]
async fn several_templates_in_a_set_and_options_are_understood() {
    let mut world = World::plain().await;
    let both = [template_record(256, &FIELDS[..2]), template_record(257, &FIELDS)].concat();
    // One scope field, exportingProcessId, and observedFlowTotalCount.
    let options = [[1, 2], [0, 2], [0, 1], [0, 144], [0, 4], [0, 3], [0, 8]].concat();
    let told = set(258, &[0; 12]);
    let sets = [set(2, &both), set(3, &options), told, set(257, &record(9))];
    let session = world.send(&[message(0, 7, &sets)]).await;
    assert_eq!(ports(&world.records(1).await), [9]);
    drop(session);
    world.goes_on().await;
}

#[tokio::test]
async fn fields_that_are_shorter_or_longer_than_their_element_are_read_or_left_out() {
    let mut world = World::plain().await;
    // Octets in 3 bytes and in 9, ports in 1 and in 3, half an address behind the two whole ones.
    let short = [(0, 8, 4), (0, 12, 4), (0, 7, 1), (0, 1, 3), (56506, 168, 2)];
    let long = [(0, 8, 4), (0, 12, 4), (0, 7, 3), (0, 1, 9), (0, 4, 0xffff)];
    let ends = [10, 0, 0, 1, 10, 0, 0, 2];
    let first = [ends.as_slice(), &[80, 1, 0, 0, 9, 9]].concat();
    let second = [ends.as_slice(), &[0, 0, 81], &[0; 8], &[5], &[0]].concat();
    let sets = [
        set(2, &[template_record(256, &short), template_record(257, &long)].concat()),
        set(256, &first),
        set(257, &second),
    ];
    let session = world.send(&[message(0, 7, &sets)]).await;
    let [first, second] = world.records(2).await.try_into().unwrap();
    assert_eq!((first.key.source_port, first.forward.octets_delta), (80, 65_536));
    assert_eq!(first.service.ip, None);
    assert_eq!((second.key.source_port, second.forward.octets_delta), (81, 0));
    assert_eq!(second.key.protocol, 0);
    drop(session);
    world.goes_on().await;
}

#[tokio::test]
async fn data_of_a_withdrawn_template_is_skipped() {
    let mut world = World::plain().await;
    let withdrawal = set(2, &template_record(256, &[]));
    let data = set(256, &record(2));
    let session = world
        .send(&[
            message(0, 7, &[template_set(&FIELDS), set(256, &record(1))]),
            message(1, 7, &[withdrawal]),
            message(1, 7, &[data]),
            // It may be said anew.
            message(2, 7, &[template_set(&FIELDS), set(256, &record(3))]),
        ])
        .await;
    assert_eq!(ports(&world.records(2).await), [1, 3]);
    assert_eq!(world.metrics.sets_without_template.get(), 1);
    drop(session);
    world.goes_on().await;
}

#[tokio::test]
async fn lengths_of_nothing_end_their_own_session_at_most() {
    let world = World::plain().await;
    let zero_set = message(0, 7, &[vec![1, 0, 0, 0]]);
    let mut zero_message = message(0, 7, &[]);
    zero_message[2..4].fill(0);
    for bytes in [zero_set, zero_message] {
        let mut session = world.send(&[bytes]).await;
        assert_eq!(session.read(&mut [0; 1]).await.unwrap_or(0), 0, "it hangs up");
    }
    world.ended(EndReason::Malformed, 2).await;
    // Neither nothing at all nor records of nothing break a rule.
    let empty = [message(0, 7, &[]), message(0, 7, &[template_set(&[(0, 1, 0), (0, 2, 0)])])];
    let data = message(0, 7, &[set(256, &[0; 4000])]);
    let session = world.send(&[empty.concat(), data]).await;
    world.until("refused", || world.metrics.templates_refused.get() == 1).await;
    world.until("skipped", || world.metrics.sets_without_template.get() == 1).await;
    drop(session);
    world.goes_on().await;
}

#[tokio::test]
async fn datagrams_longer_than_1024_bytes_are_read_whole() {
    let mut world = World::plain().await;
    let records: Vec<_> = (1..=200).flat_map(record).collect();
    let sent = [message(0, 7, &[template_set(&FIELDS)]), message(0, 7, &[set(256, &records)])];
    assert!(sent[1].len() > 3_600);
    let socket = world.send_to(world.udp, &sent).await;
    assert_eq!(ports(&world.records(200).await), (1..=200).collect::<Vec<_>>());
    // A datagram that was cut on the way is malformed, and its sender's next one is not.
    let more = message(200, 7, &[set(256, &record(201))]);
    socket.send_to(&more[..30], world.udp).await.unwrap();
    socket.send_to(&more, world.udp).await.unwrap();
    assert_eq!(ports(&world.records(1).await), [201]);
    let (sessions, _) = world.collecting.connected().sessions(9);
    assert_eq!((sessions.len(), sessions[0].counters.errors), (1, 1));
    world.goes_on().await;
}

/// What is not IPFIX at all.
#[tokio::test]
async fn unexpected_bytes_end_their_own_session() {
    let world = World::plain().await;
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 70_000], b"\x16\x03\x01".repeat(9)]
    {
        let mut session = world.connect().await;
        // It may hang up before everything is written.
        session.write_all(&bytes).await.ok();
        assert_eq!(session.read(&mut [0; 1]).await.unwrap_or(0), 0, "it hangs up");
        world.send_to(world.udp, &[bytes[..bytes.len().min(1400)].to_vec()]).await;
    }
    world.ended(EndReason::Malformed, 6).await;
    world.goes_on().await;
}

/// Requests as bytes.
struct Raw;

impl Export for Raw {
    type Record = Vec<u8>;

    fn encode(&self, record: &Vec<u8>, _: u64, _: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(record);
    }
}

#[tokio::test]
async fn a_grpc_flow_without_its_parts_is_counted_or_taken_as_it_is() {
    use prost::Message;
    let mut world = World::plain().await;
    let key = FlowKey { source_port: 5, ..FlowKey::default() };
    let mut whole = Vec::new();
    let head = ::grpc::Head { export_time_ns: 1, domain: 7, with_ids: false };
    let mut record = FlowRecord { key, start_ms: 1, end_ms: 2, ..FlowRecord::default() };
    (record.forward.octets_total, record.reverse.octets_total) = (100, 200);
    record.source.pod = "web-0".into();
    record.tcp_state = "ESTABLISHED".into();
    ::grpc::encode(&record, &head, &mut whole);
    let whole = ExportRequest::decode(whole.as_slice()).unwrap().flows.remove(0);
    assert!(whole.ipfix.is_some() && whole.k8s.is_some() && whole.stats.is_some());
    let parts: [fn(&mut Flow); 9] = [
        |flow| *flow = Flow::default(),
        |flow| flow.ip = None,
        |flow| flow.ipfix = None,
        |flow| flow.k8s = None,
        |flow| flow.stats = None,
        |flow| flow.reverse_stats = None,
        |flow| flow.start_ts = None,
        |flow| flow.end_ts = None,
        |flow| flow.transport = None,
    ];
    let to = Destination::new(world.grpc.to_string(), Transport::Tcp);
    let mut exporting = ExportingProcess::new(to, 7, Raw);
    for without in parts {
        let mut flow = whole.clone();
        without(&mut flow);
        exporting.push(ExportRequest { flows: vec![flow] }.encode_to_vec());
    }
    exporting.flush(1).await.unwrap();
    let told = world.records(7).await;
    assert_eq!(ports(&told), [5, 5, 5, 5, 5, 5, 0]);
    world.until("counted", || world.metrics.records_received.get() == 9).await;
    assert_eq!(world.value("records_unusable_total{reason=\"no_addresses\"}"), 2);
    exporting.close().await.unwrap();
    drop(exporting);
    world.goes_on().await;
}
