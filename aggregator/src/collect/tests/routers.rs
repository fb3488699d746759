//! `NetFlow`, by hand; what other programs send is in `tests/`.

use std::net::IpAddr;

use super::world::World;
use super::*;
use crate::metrics::EndReason;

/// When messages are made: 100 s after the router started.
const UP_MS: u32 = 100_000;
const UNIX_S: u32 = 1_700_000_000;

/// A message of version 5 with these records: protocol, source's port, destination's.
fn v5(sequence: u32, records: &[(u8, u16, u16)]) -> Vec<u8> {
    let mut message = vec![0, 5];
    message.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
    for word in [UP_MS, UNIX_S, 250_000_000, sequence, 0] {
        message.extend(word.to_be_bytes());
    }
    for &(protocol, from, to) in records {
        message.extend([10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 2]);
        for word in [5, 600, UP_MS - 9_000, UP_MS - 1_000] {
            message.extend(word.to_be_bytes());
        }
        message.extend([from.to_be_bytes(), to.to_be_bytes()].concat());
        message.extend([0, 0x18, protocol, 0, 0, 0, 0, 0, 24, 24, 0, 0]);
    }
    message
}

/// A message of version 9, which tells `count` records.
fn v9(sequence: u32, source_id: u32, count: u16, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut message = [9, count].map(u16::to_be_bytes).concat();
    for word in [UP_MS, UNIX_S, sequence, source_id] {
        message.extend(word.to_be_bytes());
    }
    message.extend(sets.concat());
    message
}

fn v9_set(id: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + body.len()).unwrap();
    [id.to_be_bytes().as_slice(), &length.to_be_bytes(), body].concat()
}

/// Type and length of each field.
fn v9_template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let count = u16::try_from(fields.len()).unwrap();
    let fields = fields.iter().flat_map(|&(kind, length)| [kind, length]);
    let words = [id, count].into_iter().chain(fields);
    v9_set(0, &words.flat_map(u16::to_be_bytes).collect::<Vec<_>>())
}

const FIELDS: [(u16, u16); 9] =
    [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4), (22, 4), (21, 4)];

fn v9_record(from: u16) -> Vec<u8> {
    let mut record = vec![10, 0, 0, 1, 10, 0, 0, 2];
    record.extend([from.to_be_bytes(), 443_u16.to_be_bytes()].concat());
    record.push(6);
    for word in [700, 7, UP_MS - 5_000, UP_MS - 2_000] {
        record.extend(word.to_be_bytes());
    }
    record
}

#[tokio::test]
async fn version_5_is_understood() {
    let mut world = World::plain().await;
    let sent = [v5(10, &[(6, 1000, 80), (1, 0, 0x0800)]), v5(17, &[(17, 1001, 53)])];
    let _socket = world.send_to(world.netflow, &sent).await;
    let [tcp, icmp, udp] = world.records(3).await.try_into().unwrap();
    let ends = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
    assert_eq!([tcp.key.source, tcp.key.destination], ends);
    let ports = |record: &FlowRecord| {
        let key = &record.key;
        (key.protocol, key.source_port, key.destination_port, key.icmp_type_code)
    };
    assert_eq!(ports(&tcp), (6, 1000, 80, 0));
    assert_eq!(ports(&icmp), (1, 0, 0, 0x0800));
    assert_eq!(ports(&udp), (17, 1001, 53, 0));
    assert_eq!((tcp.forward.packets_delta, tcp.forward.octets_delta), (5, 600));
    assert_eq!((tcp.start_ms, tcp.end_ms), (1_699_999_991_250, 1_699_999_999_250));
    let (sessions, _) = world.collecting.connected().sessions(9);
    let counters = sessions[0].counters;
    assert_eq!((counters.messages, counters.records, counters.lost), (2, 3, 5));
    assert_eq!(sessions[0].transport, Transport::Netflow);
    world.goes_on().await;
}

#[tokio::test]
async fn version_9_is_understood_with_templates_of_each_source_for_itself() {
    let mut world = World::plain().await;
    let data = v9_set(300, &[v9_record(1), v9_record(2), vec![0; 2]].concat());
    let socket = world
        .send_to(
            world.netflow,
            &[
                v9(1, 5, 1, &[v9_set(300, &v9_record(9))]),
                v9(2, 5, 3, &[v9_template(300, &FIELDS), data]),
                // The same id, and another source.
                v9(1, 6, 2, &[v9_template(300, &[(4, 1), (1, 4)]), v9_set(300, &[6; 5])]),
                v9(5, 5, 1, &[v9_set(300, &v9_record(3))]),
            ],
        )
        .await;
    let records = world.records(3).await;
    let ports: Vec<_> = records.iter().map(|record| record.key.source_port).collect();
    assert_eq!(ports, [1, 2, 3]);
    let first = &records[0];
    assert_eq!((first.key.destination_port, first.key.protocol), (443, 6));
    assert_eq!((first.forward.octets_delta, first.forward.packets_delta), (700, 7));
    assert_eq!((first.start_ms, first.end_ms), (1_699_999_995_000, 1_699_999_998_000));
    assert_eq!(first.origin.domain, 5);
    assert_eq!(world.metrics.sets_without_template.get(), 1);
    assert_eq!(world.metrics.records_lost.get(), 2, "messages 3 and 4");
    assert_eq!(world.value("records_unusable_total{reason=\"no_addresses\"}"), 1);
    assert_eq!(world.collecting.connected().sessions(9).1, 2);
    drop(socket);
    world.goes_on().await;
}

/// Routers tell what each interval added, and no totals.
#[tokio::test]
async fn what_intervals_added_becomes_a_total() {
    use crate::correlate::{Correlator, Timeouts};
    let mut world = World::plain().await;
    let _socket = world.send_to(world.netflow, &[v5(1, &[(6, 1, 2)]), v5(2, &[(6, 1, 2)])]).await;
    let second = Duration::from_secs(1);
    let timeouts = Timeouts { active: second, inactive: second, clock_skew: second };
    let mut correlator = Correlator::new(timeouts, 10);
    for record in world.records(2).await {
        correlator.receive(&record, 0, 1_700_000_000_000);
    }
    let mut told = Vec::new();
    correlator.flush(1_700_000_000_000, &mut told);
    let [flow] = told.as_slice() else { panic!("{told:?}") };
    let counters = &flow.forward;
    assert_eq!((counters.packets_total, counters.octets_total), (10, 1_200));
    assert_eq!((counters.packets_delta, counters.octets_delta), (10, 1_200));
}

#[tokio::test]
async fn what_is_no_netflow_is_counted_and_costs_nothing() {
    let mut world = World::plain().await;
    let huge = v9_template(300, &[(8, u16::MAX), (12, u16::MAX)]);
    let mut lying = v9(3, 5, 9, &[v9_set(300, &[0; 40])]);
    lying[22..24].fill(0xff);
    let mut many = v5(0, &[(6, 1, 2)]);
    many[2..4].fill(0xff);
    let withdrawn = v9_template(300, &[]);
    let nothing = v9_template(301, &[(8, 0), (12, 0)]);
    let data = [300, 301].map(|id| v9_set(id, &[0; 60])).concat();
    let strange = [
        vec![],
        vec![0, 9],
        vec![0xff; 1400],
        v9(1, 5, 1, &[huge]),
        v9(2, 5, 2, &[withdrawn, nothing, data]),
        lying,
        many,
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    let socket = world.send_to(world.netflow, &strange).await;
    socket.send_to(&v5(0, &[(6, 7, 8)]), world.netflow).await.unwrap();
    loop {
        let [record] = world.records(1).await.try_into().unwrap();
        if record.key.source_port == 7 {
            break;
        }
    }
    world.ended(EndReason::Malformed, 4).await;
    world.goes_on().await;
}

#[tokio::test]
async fn made_up_addresses_do_not_keep_routers_out() {
    let limits = CollectorLimits { datagram_peers: 3, ..CollectorLimits::default() };
    let options = CollectOptions { limits, ..CollectOptions::default() };
    let mut world = World::start(options, None).await;
    let router = world.send_to(world.netflow, &[v5(0, &[(6, 1, 2)])]).await;
    world.records(1).await;
    for _ in 0..5 {
        world.send_to(world.netflow, &[v9(0, 1, 1, &[v9_template(300, &FIELDS)])]).await;
    }
    world.ended(EndReason::Crowded, 3).await;
    router.send_to(&v5(1, &[(6, 3, 4)]), world.netflow).await.unwrap();
    assert_eq!(world.records(1).await[0].key.source_port, 3);
    assert_eq!(world.collecting.connected().sessions(9).1, 3);
    // With none that could make room a new one is refused.
    let limits = CollectorLimits { datagram_peers: 1, ..CollectorLimits::default() };
    let options = CollectOptions { limits, ..CollectOptions::default() };
    let mut world = World::start(options, None).await;
    let _router = world.send_to(world.netflow, &[v5(0, &[(6, 1, 2)])]).await;
    world.records(1).await;
    let _refused = world.send_to(world.netflow, &[v5(0, &[(6, 1, 2)])]).await;
    world.ended(EndReason::TooMany, 1).await;
}
