use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::conntrack::{Counters, Icmp, tcp_state};

/// From Linux 6.18 on x86-64: a dump entry without its netlink header. `conntrack -L` said of it
///
/// ```text
/// tcp 6 431999 ESTABLISHED src=10.9.0.1 dst=10.9.0.2 sport=40846 dport=8080 packets=4 bytes=221
/// src=10.9.0.2 dst=10.9.0.1 sport=8080 dport=40846 packets=3 bytes=1164 [ASSURED] mark=19
/// zone=65520 [start=Sat Nov 21 08:59:13 2026] use=1 id=1571370535
/// ```
///
/// and the rules had set the bits 0 and 33 of the label.
const TCP_DUMP: &str = "
    02 00 00 00 34 00 01 80 14 00 01 80 08 00 01 00 0a 09 00 01 08 00 02 00 0a 09 00 02
    1c 00 02 80 05 00 01 00 06 00 00 00 06 00 02 00 9f 8e 00 00 06 00 03 00 1f 90 00 00
    34 00 02 80 14 00 01 80 08 00 01 00 0a 09 00 02 08 00 02 00 0a 09 00 01
    1c 00 02 80 05 00 01 00 06 00 00 00 06 00 02 00 1f 90 00 00 06 00 03 00 9f 8e 00 00
    06 00 12 00 ff f0 00 00 08 00 03 00 00 00 00 0e 08 00 08 00 00 00 00 13
    08 00 0c 00 5d a9 36 27 08 00 0b 00 00 00 00 01 08 00 07 00 00 06 97 7f
    30 00 04 80 2c 00 01 80 05 00 01 00 03 00 00 00 05 00 02 00 0a 00 00 00
    05 00 03 00 0a 00 00 00 06 00 04 00 23 00 00 00 06 00 05 00 23 00 00 00
    1c 00 09 80 0c 00 01 00 00 00 00 00 00 00 00 04 0c 00 02 00 00 00 00 00 00 00 00 dd
    1c 00 0a 80 0c 00 01 00 00 00 00 00 00 00 00 03 0c 00 02 00 00 00 00 00 00 00 04 8c
    10 00 14 80 0c 00 01 00 18 ea 03 c6 d4 35 78 4c
    14 00 16 00 01 00 00 00 02 00 00 00 00 00 00 00 00 00 00 00";

/// The `DESTROY` event of the same connection, which `conntrack -D` had ended. It carries the
/// `DYING` status and the stop time, and no labels. Attribute 27 is the time of the event, new in
/// Linux 6.14 and unknown to the parser.
const TCP_DESTROY: &str = "
    02 00 00 00 34 00 01 80 14 00 01 80 08 00 01 00 0a 09 00 01 08 00 02 00 0a 09 00 02
    1c 00 02 80 05 00 01 00 06 00 00 00 06 00 02 00 9f 8e 00 00 06 00 03 00 1f 90 00 00
    34 00 02 80 14 00 01 80 08 00 01 00 0a 09 00 02 08 00 02 00 0a 09 00 01
    1c 00 02 80 05 00 01 00 06 00 00 00 06 00 02 00 1f 90 00 00 06 00 03 00 9f 8e 00 00
    06 00 12 00 ff f0 00 00 08 00 0c 00 5d a9 36 27 08 00 03 00 00 00 02 0e
    08 00 07 00 00 06 97 7f
    1c 00 09 80 0c 00 01 00 00 00 00 00 00 00 00 04 0c 00 02 00 00 00 00 00 00 00 00 dd
    1c 00 0a 80 0c 00 01 00 00 00 00 00 00 00 00 03 0c 00 02 00 00 00 00 00 00 00 04 8c
    1c 00 14 80 0c 00 01 00 18 ea 03 c6 d4 35 78 4c 0c 00 02 00 18 ea 03 c6 d7 38 51 9e
    10 00 04 80 0c 00 01 80 05 00 01 00 03 00 00 00 08 00 08 00 00 00 00 13
    0c 00 1b 00 18 ea 03 c6 d7 38 52 70";

/// The `NEW` event of `ping -6`, from the same kernel: neither counters nor times.
const ICMPV6_NEW: &str = "
    0a 00 00 00 54 00 01 80 2c 00 01 80
    14 00 03 00 fd 09 00 00 00 00 00 00 00 00 00 00 00 00 00 01
    14 00 04 00 fd 09 00 00 00 00 00 00 00 00 00 00 00 00 00 02
    24 00 02 80 05 00 01 00 3a 00 00 00 06 00 07 00 1d 42 00 00
    05 00 08 00 80 00 00 00 05 00 09 00 00 00 00 00 54 00 02 80 2c 00 01 80
    14 00 03 00 fd 09 00 00 00 00 00 00 00 00 00 00 00 00 00 02
    14 00 04 00 fd 09 00 00 00 00 00 00 00 00 00 00 00 00 00 01
    24 00 02 80 05 00 01 00 3a 00 00 00 06 00 07 00 1d 42 00 00
    05 00 08 00 81 00 00 00 05 00 09 00 00 00 00 00
    08 00 0c 00 7d 27 d4 68 08 00 03 00 00 00 00 08 08 00 07 00 00 00 00 1e
    0c 00 1b 00 18 ea 03 c6 d4 a9 e0 e5";

fn unhex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tcp(kind: Kind) -> Entry {
    let (client, server) = ((ip("10.9.0.1"), 40846), (ip("10.9.0.2"), 8080));
    Entry {
        zone: 65520,
        id: 1_571_370_535,
        mark: 0x13,
        status: 0xe,
        counters: Some(Counters {
            packets: 4,
            octets: 221,
            reverse_packets: 3,
            reverse_octets: 1164,
        }),
        start_ns: Some(1_795_251_553_959_245_900),
        tcp_state: Some(tcp_state::ESTABLISHED),
        timeout: 431_999,
        ..Entry::new(kind, Tuple::new(client, server, 6), Tuple::new(server, client, 6))
    }
}

#[track_caller]
fn check(fixture: &str, expected: Entry) {
    assert_eq!(parse(expected.kind, &unhex(fixture)), Ok(expected));
}

#[test]
#[cfg(target_endian = "little")]
fn a_dump_tells_everything() {
    let mut labels = [0; 16];
    labels[15] = 1;
    labels[11] = 2;
    check(TCP_DUMP, Entry { labels: Some(labels), ..tcp(Kind::Dump) });
}

#[test]
#[cfg(target_endian = "little")]
fn a_destroy_event_tells_the_end_but_no_labels() {
    let stop_ns = Some(1_795_251_554_009_764_254);
    check(TCP_DESTROY, Entry { status: 0x20e, stop_ns, ..tcp(Kind::Destroy) });
}

#[test]
#[cfg(target_endian = "little")]
fn a_new_event_tells_no_counters() {
    let ping = |source, destination, kind| {
        Tuple::icmp(ip(source), ip(destination), Icmp { kind, code: 0, id: 0x1d42 })
    };
    let (request, reply) = (ping("fd09::1", "fd09::2", 128), ping("fd09::2", "fd09::1", 129));
    let entry =
        Entry { id: 0x7d27_d468, status: 8, timeout: 30, ..Entry::new(Kind::New, request, reply) };
    check(ICMPV6_NEW, entry);
}

#[test]
#[cfg(target_endian = "little")]
fn what_is_cut_short_is_refused_or_tells_less() {
    let (whole, entry) = (unhex(TCP_DUMP), parse(Kind::Dump, &unhex(TCP_DUMP)).unwrap());
    for length in 0..whole.len() {
        match parse(Kind::Dump, &whole[..length]) {
            Ok(less) => assert_eq!((less.original, less.id), (entry.original, entry.id)),
            Err(error) => assert!(
                matches!(error, ParseError::Malformed | ParseError::Missing(_)),
                "{length} bytes"
            ),
        }
    }
    assert_eq!(parse(Kind::Dump, &whole[..4]), Err(ParseError::Missing("the original tuple")));
}

#[test]
fn one_address_of_each_family_is_no_tuple() {
    let ip = nest(1, &[attribute(CTA_IP_V4_SRC, &[10, 0, 0, 1]), attribute(4, &[0; 16])]);
    let tuple = nest(CTA_TUPLE_ORIG, &[ip, nest(2, &[attribute(CTA_PROTO_NUM, &[6])])]);
    let body = [vec![0; 4], tuple].concat();
    assert_eq!(parse(Kind::New, &body), Err(ParseError::Missing("the original tuple")));
}

#[test]
fn a_zone_of_one_direction_is_inside_its_tuple() {
    let mut body = encode(&Entry { zone: 0, ..tcp(Kind::Dump) });
    let zone = attribute(CTA_TUPLE_ZONE, &[0, 5]);
    body.extend(nest(CTA_TUPLE_ORIG, &[tuple_parts(&tcp(Kind::Dump).original), zone]));
    assert_eq!(parse(Kind::Dump, &body).unwrap().zone, 5);
}

proptest! {
    #[test]
    fn what_is_encoded_is_parsed(entry in any_entry()) {
        prop_assert_eq!(parse(entry.kind, &encode(&entry)), Ok(entry));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        parse(Kind::New, &bytes).ok();
    }

    #[test]
    fn no_damage_makes_it_panic(
        entry in any_entry(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut body = encode(&entry);
        for (at, byte) in damage {
            *at.get_mut(&mut body) = byte;
        }
        parse(entry.kind, &body).ok();
    }
}

fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + payload.len()).unwrap();
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), payload].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn nest(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | 0x8000, &parts.concat())
}

fn tuple_parts(tuple: &Tuple) -> Vec<u8> {
    let ip = match (tuple.source(), tuple.destination()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            [attribute(CTA_IP_V4_SRC, &source.octets()), attribute(2, &destination.octets())]
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            [attribute(CTA_IP_V6_SRC, &source.octets()), attribute(4, &destination.octets())]
        }
        _ => unreachable!("a tuple has one family"),
    };
    let number = attribute(CTA_PROTO_NUM, &[tuple.protocol()]);
    let protocol = match tuple.as_icmp() {
        // ICMPv6's attributes follow those of ICMP in the same order.
        Some(icmp) => {
            let first = if tuple.protocol() == 58 { CTA_PROTO_ICMPV6_ID } else { 4 };
            [
                attribute(first, &icmp.id.to_be_bytes()),
                attribute(first + 1, &[icmp.kind]),
                attribute(first + 2, &[icmp.code]),
            ]
            .concat()
        }
        None => [
            attribute(CTA_PROTO_SRC_PORT, &tuple.source_port().to_be_bytes()),
            attribute(CTA_PROTO_DST_PORT, &tuple.destination_port().to_be_bytes()),
        ]
        .concat(),
    };
    [nest(CTA_TUPLE_IP, &ip), nest(CTA_TUPLE_PROTO, &[number, protocol])].concat()
}

/// As the kernel would write it.
fn encode(entry: &Entry) -> Vec<u8> {
    let number = |value: u64| value.to_be_bytes();
    let mut parts = vec![
        vec![0; 4],
        nest(CTA_TUPLE_ORIG, &[tuple_parts(&entry.original)]),
        nest(CTA_TUPLE_REPLY, &[tuple_parts(&entry.reply)]),
        attribute(CTA_ZONE, &entry.zone.to_be_bytes()),
        attribute(CTA_STATUS, &entry.status.to_be_bytes()),
        attribute(CTA_MARK, &entry.mark.to_be_bytes()),
        attribute(CTA_ID, &entry.id.to_be_bytes()),
        attribute(CTA_TIMEOUT, &entry.timeout.to_be_bytes()),
        attribute(99, &[1, 2, 3]), // from a later kernel
    ];
    if let Some(state) = entry.tcp_state {
        parts.push(nest(CTA_PROTOINFO, &[nest(1, &[attribute(1, &[state])])]));
    }
    if let Some(c) = entry.counters {
        for (kind, packets, octets) in
            [(9, c.packets, c.octets), (10, c.reverse_packets, c.reverse_octets)]
        {
            let both = [attribute(1, &number(packets)), attribute(2, &number(octets))];
            parts.push(nest(kind, &both));
        }
    }
    let start = entry.start_ns.map(|start| attribute(CTA_TIMESTAMP_START, &number(start)));
    let stop = entry.stop_ns.map(|stop| attribute(CTA_TIMESTAMP_STOP, &number(stop)));
    parts.push(nest(CTA_TIMESTAMP, &start.into_iter().chain(stop).collect::<Vec<_>>()));
    if let Some(mut labels) = entry.labels {
        if cfg!(target_endian = "little") {
            labels.reverse();
        }
        parts.push(attribute(CTA_LABELS, &labels));
    }
    parts.concat()
}

fn any_tuple() -> impl Strategy<Value = Tuple> {
    let end = |ip: BoxedStrategy<IpAddr>| (ip, any::<u16>());
    let v4 = any::<[u8; 4]>().prop_map(IpAddr::from).boxed();
    let v6 = any::<[u8; 16]>().prop_map(IpAddr::from).boxed();
    prop_oneof![(end(v4.clone()), end(v4)), (end(v6.clone()), end(v6))].prop_flat_map(
        |(source, destination)| {
            any::<u8>().prop_map(move |protocol| Tuple::new(source, destination, protocol))
        },
    )
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let kind = prop::sample::select(vec![Kind::Dump, Kind::New, Kind::Update, Kind::Destroy]);
    let counters = prop::option::of(any::<[u64; 4]>().prop_map(|[a, b, c, d]| Counters {
        packets: a,
        octets: b,
        reverse_packets: c,
        reverse_octets: d,
    }));
    let numbers = (any::<u16>(), any::<[u32; 4]>());
    let rest = (
        any::<Option<[u8; 16]>>(),
        counters,
        any::<Option<u64>>(),
        any::<Option<u64>>(),
        any::<Option<u8>>(),
    );
    (kind, any_tuple(), any_tuple(), numbers, rest).prop_map(
        |(kind, original, reply, (zone, [id, mark, status, timeout]), rest)| {
            let (labels, counters, start_ns, stop_ns, tcp_state) = rest;
            let known = Entry::new(kind, original, reply);
            let told = Entry { zone, id, mark, status, labels, timeout, ..known };
            Entry { counters, start_ns, stop_ns, tcp_state, ..told }
        },
    )
}
