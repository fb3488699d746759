//! Templates of every Antrea Agent there was, as its changes tell: the first version of each.
//!
//! A record has in each field what tells the attribute from all others, so that none is taken for
//! its neighbour.

use std::net::IpAddr;

use super::world::{World, message, set, template_record};
use super::*;

/// An element and its length; 65535 is a string.
type Element = (u32, u16, u16);

const IANA: [Element; 9] = [
    (0, 150, 4),
    (0, 151, 4),
    (0, 7, 2),
    (0, 11, 2),
    (0, 4, 1),
    (0, 86, 8),
    (0, 85, 8),
    (0, 2, 8),
    (0, 1, 8),
];
const ENDS: [Element; 2] = [(0, 8, 4), (0, 12, 4)];
const REVERSE: [Element; 4] = [(29305, 86, 8), (29305, 85, 8), (29305, 2, 8), (29305, 1, 8)];
/// Pod, namespace and Node of both ends.
const NAMES: [u16; 6] = [101, 100, 104, 103, 102, 105];

fn antrea(id: u16) -> Element {
    let length = match id {
        115 | 118 | 137 | 139 | 140 => 1,
        108 | 172 => 2,
        106 | 168 | 170 => 4,
        107 | 169 | 171 => 16,
        _ => u16::MAX,
    };
    (56506, id, length)
}

fn fields(version: (u8, u8)) -> Vec<Element> {
    let since = |first: (u8, u8)| version >= first;
    let mut fields = IANA.to_vec();
    // Two addresses were third and fourth at first, and behind the others since 0.12.
    let at = if since((0, 12)) { fields.len() } else { 2 };
    fields.splice(at..at, ENDS);
    if since((1, 0)) {
        fields.insert(2, (0, 136, 1));
    }
    fields.extend(REVERSE);
    if version == (0, 9) {
        let interim = NAMES.map(|id| (55829, id, u16::MAX));
        fields.extend(interim.into_iter().chain([(55829, 106, 4), (55829, 108, u16::MAX)]));
        return fields;
    }
    fields.extend(NAMES.map(antrea));
    fields.push(antrea(if since((0, 12)) { 108 } else { 106 }));
    fields.push(antrea(109));
    for [name, namespace, kind, rule, action] in
        [[110, 111, 115, 141, 139], [112, 113, 118, 142, 140]]
    {
        fields.extend([name, namespace].map(antrea));
        if since((1, 1)) {
            fields.extend([kind, rule, action].map(antrea));
        }
    }
    let later: [((u8, u8), &[u16]); 5] = [
        ((1, 0), &[136, 137]),
        ((1, 13), &[153, 154]),
        ((1, 15), &[155, 156]),
        ((2, 0), &[157]),
        ((2, 7), &[172]),
    ];
    for (first, ids) in later {
        let is_gone = ids == [155, 156] && since((2, 6));
        if since(first) && !is_gone {
            fields.extend(ids.iter().copied().map(antrea));
        }
    }
    if since((0, 12)) {
        fields.push(antrea(106));
    }
    if since((2, 7)) {
        fields.extend([170, 168].map(antrea));
    }
    fields
}

/// What a field of a record has in it.
fn value((pen, id, length): Element) -> Vec<u8> {
    match (pen, id, length) {
        (_, _, u16::MAX) => {
            let text = format!("{pen}/{id}");
            let length = u8::try_from(text.len()).unwrap();
            [&[length], text.as_bytes()].concat()
        }
        (0, 8 | 12, 4) | (_, 106 | 168 | 170, 4) => vec![10, 0, 0, u8::try_from(id % 200).unwrap()],
        (0, 150 | 151, 4) => (1_700_000_000 + u32::from(id)).to_be_bytes().into(),
        (_, 137 | 136 | 139 | 140 | 115 | 118, 1) => vec![2],
        (_, _, 1) => vec![6],
        (_, _, 2) => (1_000 + id).to_be_bytes().into(),
        (_, _, _) => (u64::from(pen) * 1_000 + u64::from(id)).to_be_bytes().into(),
    }
}

#[track_caller]
fn check(version: (u8, u8), record: &FlowRecord) {
    let since = |first: (u8, u8)| version >= first;
    let ip = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
    let pen = if version == (0, 9) { 55829 } else { 56506 };
    let name = |id: u16| format!("{pen}/{id}");
    let key = &record.key;
    assert_eq!((Some(key.source), Some(key.destination)), (ip(8), ip(12)));
    assert_eq!((key.source_port, key.destination_port, key.protocol), (1_007, 1_011, 6));
    assert_eq!((record.start_ms, record.end_ms), (1_700_000_150_000, 1_700_000_151_000));
    let (forward, reverse) = (&record.forward, &record.reverse);
    assert_eq!((forward.packets_total, forward.octets_total), (86, 85));
    assert_eq!((forward.packets_delta, forward.octets_delta), (2, 1));
    assert_eq!((reverse.packets_total, reverse.octets_total), (29_305_086, 29_305_085));
    assert_eq!((reverse.packets_delta, reverse.octets_delta), (29_305_002, 29_305_001));
    for (end, ids) in [(&record.source, [101, 100, 104]), (&record.destination, [103, 102, 105])] {
        let told = [&end.pod, &end.namespace, &end.node].map(ToString::to_string);
        assert_eq!(told, ids.map(name));
    }
    // One attribute, whichever of the two elements told it.
    assert_eq!(record.service.ip, ip(if since((2, 7)) { 168 } else { 106 }));
    let service_name = name(if version == (0, 9) { 108 } else { 109 });
    assert_eq!(record.service.name.as_str(), service_name);
    assert_eq!(record.service.port, if since((0, 12)) { 1_108 } else { 0 });
    for (rule, ids) in [(&record.ingress, [110, 111, 141]), (&record.egress, [112, 113, 142])] {
        let told = [&rule.name, &rule.namespace, &rule.rule].map(ToString::to_string);
        let known = [since((0, 11)), since((0, 11)), since((1, 1))];
        let expected =
            std::array::from_fn(|at| if known[at] { name(ids[at]) } else { String::new() });
        assert_eq!(told, expected);
        let action = if since((1, 1)) { 2 } else { 0 };
        assert_eq!((rule.policy_type, rule.action), (action, action));
    }
    let or_nothing = |first, id| if since(first) { name(id) } else { String::new() };
    assert_eq!(record.tcp_state.as_str(), or_nothing((1, 0), 136));
    assert_eq!(record.flow_type as u8, if since((1, 0)) { 2 } else { 0 });
    assert_eq!(record.end_reason as u8, if since((1, 0)) { 2 } else { 0 });
    assert_eq!(record.exit.name.as_str(), or_nothing((1, 13), 153));
    assert_eq!(record.exit.ip.as_str(), or_nothing((1, 13), 154));
    assert_eq!(record.exit.node.as_str(), or_nothing((2, 0), 157));
    let snat = if since((2, 7)) { (ip(170), 1_172) } else { (None, 0) };
    assert_eq!((record.proxy_snat_ip, record.proxy_snat_port), snat);
}

#[tokio::test]
async fn agents_of_every_version_are_understood() {
    let mut world = World::plain().await;
    // How many fields their templates had, and how many of these nobody knows any more.
    let versions: [((u8, u8), usize, u64); 10] = [
        ((0, 9), 23, 0),
        ((0, 11), 27, 0),
        ((0, 12), 28, 0),
        ((1, 0), 31, 0),
        ((1, 1), 37, 0),
        ((1, 13), 39, 0),
        ((1, 15), 41, 2),
        ((2, 0), 42, 2),
        ((2, 6), 40, 0),
        ((2, 7), 43, 0),
    ];
    let mut unknown = 0;
    for (version, count, without_row) in versions {
        let fields = fields(version);
        assert_eq!(fields.len(), count, "{version:?}");
        let data: Vec<u8> = fields.iter().copied().flat_map(value).collect();
        let sets = [set(2, &template_record(256, &fields)), set(256, &data)];
        let _session = world.send(&[message(0, 7, &sets)]).await;
        let [record] = world.records(1).await.try_into().unwrap();
        check(version, &record);
        unknown += without_row;
        assert_eq!(world.value("template_fields_unknown_total"), unknown, "{version:?}");
    }
    world.goes_on().await;
}

/// Nothing but what no flow is without, and the rest in an order and with elements that no version
/// has.
#[tokio::test]
async fn what_is_missing_is_unset_and_what_is_unknown_is_passed_over() {
    let mut world = World::plain().await;
    let fields = [(4242, 1, u16::MAX), (0, 12, 4), (56506, 499, 3), (0, 8, 4), (55829, 500, 2)];
    let data = [&[3, 1, 2, 3], [10, 0, 0, 2].as_slice(), &[9; 3], &[10, 0, 0, 1], &[7, 7]].concat();
    let _session = world
        .send(&[message(0, 7, &[set(2, &template_record(256, &fields)), set(256, &data)])])
        .await;
    let [record] = world.records(1).await.try_into().unwrap();
    let key = FlowKey {
        source: [10, 0, 0, 1].into(),
        destination: [10, 0, 0, 2].into(),
        ..FlowKey::default()
    };
    let origin = flow::Origin { exporter: Some([127, 0, 0, 1].into()), domain: 7 };
    assert_eq!(record, FlowRecord { key, origin, ..FlowRecord::default() });
    assert_eq!(world.value("template_fields_unknown_total"), 3);
    world.goes_on().await;
}
