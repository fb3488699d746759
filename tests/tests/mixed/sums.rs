//! Packets and octets of each flow, as the kernel has them and as a destination was told them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cli::demo::Totals;
use cli::demo::judge::KernelConnection;
use serde::Deserialize;
use serde_json::Value;

/// Protocol, source and destination; an echo's identifier is its source port.
pub(crate) type Key = (u8, IpAddr, u16, IpAddr, u16);
/// By flow. The same addresses and ports are one flow, however often they are used.
pub(crate) type Sums = BTreeMap<Key, Totals>;

const ICMP: [u8; 2] = [1, 58];

/// A line of `fyke ipfix collect --json`.
#[derive(Debug, Deserialize)]
struct Line {
    fields: Record,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    protocol_identifier: u8,
    #[serde(rename = "sourceIPv4Address", alias = "sourceIPv6Address")]
    source: IpAddr,
    #[serde(rename = "destinationIPv4Address", alias = "destinationIPv6Address")]
    destination: IpAddr,
    source_transport_port: u16,
    destination_transport_port: u16,
    packet_delta_count: u64,
    octet_delta_count: u64,
    reverse_packet_delta_count: u64,
    reverse_octet_delta_count: u64,
}

/// The sums of all deltas in the lines of `text`.
pub(crate) fn of_records(text: &str) -> Sums {
    let mut sums = Sums::new();
    // The last line may be half written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let line: Line = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let record = line.fields;
        let from = (record.source, record.source_transport_port);
        let to = (record.destination, record.destination_transport_port);
        *sums.entry(key(record.protocol_identifier, from, to)).or_default() += Totals {
            packets: record.packet_delta_count,
            octets: record.octet_delta_count,
            reverse_packets: record.reverse_packet_delta_count,
            reverse_octets: record.reverse_octet_delta_count,
        };
    }
    sums
}

/// What the kernel of `node` has counted of connections from `source` addresses.
pub(crate) fn of_kernel(connections: &[KernelConnection], node: &str, source: [IpAddr; 2]) -> Sums {
    let mut sums = Sums::new();
    let ours = |it: &&KernelConnection| it.node == node && source.contains(&it.original.source);
    for connection in connections.iter().filter(ours) {
        let tuple = connection.original;
        let from = (tuple.source, tuple.source_port);
        let to = (tuple.destination, tuple.destination_port);
        *sums.entry(key(connection.protocol, from, to)).or_default() += connection.totals;
    }
    sums
}

/// What nft has counted by the elements of sets, whose names tell the rest.
pub(crate) fn of_sets(json: &str, source: [IpAddr; 2], destination: [IpAddr; 2]) -> Sums {
    let listed: Value = serde_json::from_str(json).expect("nft speaks JSON");
    let sets = listed["nftables"].as_array().expect("a list");
    let mut sums = Sums::new();
    for set in sets.iter().filter_map(|it| it.get("set")) {
        let (kind, family) = set["name"].as_str().expect("a name").split_at(4);
        let family = usize::from(family == "6");
        let protocol = match kind {
            "tcp_" => 6,
            "udp_" => 17,
            _ => ICMP[family],
        };
        for element in set["elem"].as_array().into_iter().flatten().map(|it| &it["elem"]) {
            let port = element["val"].as_u64().and_then(|port| port.try_into().ok());
            let from = (source[family], port.expect("a port"));
            let number = |name: &str| element["counter"][name].as_u64().expect("a count");
            let totals =
                Totals { packets: number("packets"), octets: number("bytes"), ..Totals::default() };
            sums.insert(key(protocol, from, (destination[family], super::traffic::PORT)), totals);
        }
    }
    sums
}

pub(crate) fn key(protocol: u8, from: (IpAddr, u16), to: (IpAddr, u16)) -> Key {
    let to_port = if ICMP.contains(&protocol) { 0 } else { to.1 };
    (protocol, from.0, from.1, to.0, to_port)
}

/// As Antrea's profile has it, which tells no echo from another.
pub(crate) fn without_identifiers(sums: &Sums) -> Sums {
    let mut merged = Sums::new();
    for (&(protocol, source, port, destination, to_port), &totals) in sums {
        let port = if ICMP.contains(&protocol) { 0 } else { port };
        *merged.entry((protocol, source, port, destination, to_port)).or_default() += totals;
    }
    merged
}

/// What went forth alone.
pub(crate) fn forward(sums: &Sums) -> Sums {
    let forth =
        |it: &Totals| Totals { packets: it.packets, octets: it.octets, ..Totals::default() };
    sums.iter().map(|(&key, totals)| (key, forth(totals))).collect()
}

/// Flows in which two differ, with what each says, at most ten of them in words.
pub(crate) fn differences(told: &Sums, expected: &Sums) -> Vec<String> {
    let keys = told.keys().chain(expected.keys().filter(|key| !told.contains_key(key)));
    let differ = keys.filter(|key| told.get(key) != expected.get(key));
    let words = |key: &Key| format!("{key:?}: {:?}, not {:?}", told.get(key), expected.get(key));
    differ.map(words).collect()
}

#[track_caller]
pub(crate) fn assert_same(who: &str, told: &Sums, expected: &Sums) {
    let differences = differences(told, expected);
    let first: Vec<_> = differences.iter().take(10).collect();
    let (count, of) = (differences.len(), expected.len());
    assert!(differences.is_empty(), "{who}: {count} of {of} flows differ: {first:#?}");
}

pub(crate) const fn plus(a: Totals, b: Totals) -> Totals {
    Totals {
        packets: a.packets + b.packets,
        octets: a.octets + b.octets,
        reverse_packets: a.reverse_packets + b.reverse_packets,
        reverse_octets: a.reverse_octets + b.reverse_octets,
    }
}

pub(crate) const fn minus(a: Totals, b: Totals) -> Totals {
    Totals {
        packets: a.packets - b.packets,
        octets: a.octets - b.octets,
        reverse_packets: a.reverse_packets - b.reverse_packets,
        reverse_octets: a.reverse_octets - b.reverse_octets,
    }
}

pub(crate) const fn is_at_most(a: &Totals, b: &Totals) -> bool {
    a.packets <= b.packets
        && a.octets <= b.octets
        && a.reverse_packets <= b.reverse_packets
        && a.reverse_octets <= b.reverse_octets
}
