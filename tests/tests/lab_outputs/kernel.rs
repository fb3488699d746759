//! What the kernels of both Nodes said of each connection at its end, read from the text of
//! `conntrack -E -o id`. Nothing of the product has a part in it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::{Counts, Key};

/// What the kernels of both ends counted. They are one where a single Node sees all of it.
#[derive(Debug)]
pub(crate) struct Ends {
    source: Counts,
    destination: Counts,
}

impl Ends {
    /// Deltas and totals of the flow itself, for which the source's Node speaks.
    pub(crate) fn in_common(&self) -> Vec<Counts> {
        vec![self.source; 2]
    }

    /// The same, then deltas and totals of each Node.
    pub(crate) fn everywhere(&self) -> Vec<Counts> {
        [vec![self.source; 4], vec![self.destination; 2]].concat()
    }
}

/// What one Node had of a connection.
#[derive(Debug)]
struct Entry {
    node: usize,
    /// Where the Pod is that began, and the one that answers.
    pods: [Option<usize>; 2],
    /// What both Nodes have in common: how the answer looks, behind all translation.
    answer: String,
    key: Key,
    counts: Counts,
}

impl Entry {
    fn read(node: usize, line: &str) -> Self {
        // Most words are there for both directions.
        let both = |name: &str| -> [&str; 2] {
            let words = line.split_whitespace().filter_map(|word| word.split_once('='));
            let mut values = words.filter(|(key, _)| *key == name).map(|(_, value)| value);
            [(); 2].map(|()| values.next().unwrap_or_else(|| panic!("{name}: {line}")))
        };
        let numbers = |name| both(name).map(|it| it.parse::<u64>().expect("a number"));
        let ([source, answers], [dialled, back]) = (both("src"), both("dst"));
        // ICMP has an identifier, the same on the way back, and no ports.
        let is_icmp = line.contains(" type=");
        let ([from, answers_by], [dialled_at, back_to]) =
            if is_icmp { (both("id"), ["0"; 2]) } else { (both("sport"), both("dport")) };
        let to = if is_icmp { "0" } else { answers_by };
        let service = if dialled == answers { "0" } else { dialled_at };
        let protocol = line.split_whitespace().nth(2).expect("a protocol");
        let ([packets, packets_back], [octets, octets_back]) =
            (numbers("packets"), numbers("bytes"));
        Self {
            node,
            pods: [source, answers].map(node_of_pod),
            answer: format!("{protocol} {answers} {answers_by} {back} {back_to}"),
            key: format!("{protocol} {source} {from} {answers} {to} {service}"),
            counts: [packets, octets, packets_back, octets_back],
        }
    }
}

/// The Pods of the first Node are in 10.10.0.0/24 and `fd00:10::/64`, those of the second in
/// 10.10.1.0/24 and `fd00:10:1::/64`; the first address there is the Node's own.
fn node_of_pod(address: &str) -> Option<usize> {
    match address.parse().expect("an address") {
        IpAddr::V4(address) => match address.octets() {
            [10, 10, node @ 0..=1, 2..=255] => Some(node.into()),
            _ => None,
        },
        IpAddr::V6(address) => match address.segments() {
            [0xfd00, 0x10, node @ 0..=1, 0, 0, 0, 0, 2..=0xffff] => Some(node.into()),
            _ => None,
        },
    }
}

/// The connections of Pods, by what each Node told.
pub(crate) fn connections(told: &[String; 2]) -> BTreeMap<Key, Ends> {
    let mut groups: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
    for (node, text) in told.iter().enumerate() {
        let entries = text.lines().map(|line| Entry::read(node, line));
        for entry in entries.filter(|entry| entry.pods != [None; 2]) {
            groups.entry(entry.answer.clone()).or_default().push(entry);
        }
    }
    let mut connections = BTreeMap::new();
    for group in groups.into_values() {
        let (source, destination) = match &group[..] {
            [one] => (one, one),
            [a, b] if (a.node, b.node) == (0, 1) && b.pods[1] == Some(1) => (a, b),
            [a, b] if (a.node, b.node) == (0, 1) && a.pods[1] == Some(0) => (b, a),
            _ => panic!("not one connection: {group:?}"),
        };
        let ends = Ends { source: source.counts, destination: destination.counts };
        let before = connections.insert(source.key.clone(), ends);
        assert!(before.is_none(), "not one connection: {}", source.key);
    }
    connections
}
