//! One line of `conntrack -E -o id` or `conntrack -L -o id`.
//!
//! ```text
//! [DESTROY] tcp  6 src=… dst=… sport=… dport=… packets=… bytes=… src=… dst=… … id=…
//! ```
//!
//! Each line holds two tuples: what the first packet looked like, and what its answer
//! looks like. They differ by more than direction where addresses were translated.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};

use crate::demo::Totals;

/// One direction of a connection, as seen on the wire before translation.
///
/// ICMP has no ports: the Echo identifier stands in both. Other protocols without ports
/// have 0 there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub source_port: u16,
    pub destination_port: u16,
}

/// A connection as one Node's kernel tracked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelConnection {
    pub node: &'static str,
    pub id: u32,
    pub protocol: u8,
    pub original: Tuple,
    pub reply: Tuple,
    pub totals: Totals,
}

/// Reads what `conntrack` printed on `node`. A line that is not understood is an error:
/// leaving it out would hide a connection.
pub fn parse_all(node: &'static str, text: &str) -> Result<Vec<KernelConnection>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| parse(node, line).with_context(|| format!("conntrack printed {line:?}")))
        .collect()
}

fn parse(node: &'static str, line: &str) -> Result<KernelConnection> {
    let mut words = line.split_whitespace().filter(|word| !word.starts_with('['));
    let _name = words.next();
    let protocol = words.next().and_then(|word| word.parse().ok()).context("no protocol number")?;
    let fields = Fields::of(words);
    let (packets, octets) = fields.counters(0)?;
    let (reverse_packets, reverse_octets) = fields.counters(1)?;
    Ok(KernelConnection {
        node,
        id: number("id", fields.last("id"))?,
        protocol,
        original: fields.tuple(0)?,
        reply: fields.tuple(1)?,
        totals: Totals { packets, octets, reverse_packets, reverse_octets },
    })
}

/// The `key=value` words of a line. Most keys appear once for each direction.
struct Fields<'a>(HashMap<&'a str, Vec<&'a str>>);

impl<'a> Fields<'a> {
    fn of(words: impl Iterator<Item = &'a str>) -> Self {
        let mut fields: HashMap<_, Vec<_>> = HashMap::new();
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            fields.entry(key).or_default().push(value);
        }
        Self(fields)
    }

    fn tuple(&self, direction: usize) -> Result<Tuple> {
        // ICMP prints its identifier under the same key as conntrack prints its own
        // id of the connection, which comes last.
        let (source_port, destination_port) = if self.0.contains_key("type") {
            let id = number("id", self.at("id", direction))?;
            (id, id)
        } else if self.0.contains_key("sport") {
            (
                number("sport", self.at("sport", direction))?,
                number("dport", self.at("dport", direction))?,
            )
        } else {
            (0, 0) // IGMP, and whatever else the kernel knows no more of
        };
        Ok(Tuple {
            source: number("src", self.at("src", direction))?,
            destination: number("dst", self.at("dst", direction))?,
            source_port,
            destination_port,
        })
    }

    /// Packets and octets of one direction. They are missing where accounting is off,
    /// which must not pass for zero.
    fn counters(&self, direction: usize) -> Result<(u64, u64)> {
        Ok((
            number("packets", self.at("packets", direction))?,
            number("bytes", self.at("bytes", direction))?,
        ))
    }

    fn at(&self, key: &str, direction: usize) -> Option<&'a str> {
        self.0.get(key)?.get(direction).copied()
    }

    fn last(&self, key: &str) -> Option<&'a str> {
        self.0.get(key)?.last().copied()
    }
}

fn number<T: FromStr>(key: &str, value: Option<&str>) -> Result<T> {
    let value = value.with_context(|| format!("{key} is missing"))?;
    value.parse().map_err(|_| anyhow!("{key} is {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(from: &str, source_port: u16, to: &str, destination_port: u16) -> Tuple {
        let (source, destination) = (from.parse().unwrap(), to.parse().unwrap());
        Tuple { source, destination, source_port, destination_port }
    }

    fn totals(packets: u64, octets: u64, reverse_packets: u64, reverse_octets: u64) -> Totals {
        Totals { packets, octets, reverse_packets, reverse_octets }
    }

    /// `line` was recorded in a lab on Linux 6.18, printed by conntrack 1.4.7.
    #[track_caller]
    fn check(line: &str, protocol: u8, id: u32, original: Tuple, reply: Tuple, totals: Totals) {
        let node = "node-a";
        let expected = KernelConnection { node, id, protocol, original, reply, totals };
        assert_eq!(parse_all(node, line).unwrap(), [expected]);
    }

    #[test]
    fn tcp_through_a_service() {
        check(
            "[DESTROY] tcp      6 TIME_WAIT src=10.10.0.2 dst=10.96.0.11 sport=43020 dport=80 packets=14 bytes=20744 src=10.10.0.3 dst=10.10.0.2 sport=8080 dport=43020 packets=13 bytes=200684 [ASSURED] delta-time=2 id=214853630",
            6,
            214_853_630,
            tuple("10.10.0.2", 43020, "10.96.0.11", 80),
            tuple("10.10.0.3", 8080, "10.10.0.2", 43020),
            totals(14, 20744, 13, 200_684),
        );
    }

    #[test]
    fn tcp_from_outside_with_both_ends_translated() {
        check(
            "[DESTROY] tcp      6 TIME_WAIT src=fd00:77::100 dst=fd00:77::1 sport=50276 dport=30081 packets=16 bytes=21168 src=fd00:10:1::3 dst=fd00:10::1 sport=8080 dport=50276 packets=15 bytes=201088 [ASSURED] delta-time=2 id=3320870849",
            6,
            3_320_870_849,
            tuple("fd00:77::100", 50276, "fd00:77::1", 30081),
            tuple("fd00:10:1::3", 8080, "fd00:10::1", 50276),
            totals(16, 21168, 15, 201_088),
        );
    }

    #[test]
    fn udp_to_outside_wears_the_nodes_address() {
        check(
            "[DESTROY] udp      17 src=10.10.1.3 dst=192.168.77.100 sport=48456 dport=8080 packets=40 bytes=37120 src=192.168.77.100 dst=192.168.77.2 sport=8080 dport=48456 packets=40 bytes=37120 delta-time=5 id=969741451",
            17,
            969_741_451,
            tuple("10.10.1.3", 48456, "192.168.77.100", 8080),
            tuple("192.168.77.100", 8080, "192.168.77.2", 48456),
            totals(40, 37120, 40, 37120),
        );
    }

    #[test]
    fn icmp_has_two_kinds_of_id() {
        check(
            "[DESTROY] icmp     1 src=10.10.1.2 dst=10.10.0.2 type=8 code=0 id=2900 packets=10 bytes=840 src=10.10.0.2 dst=10.10.1.2 type=0 code=0 id=2900 packets=9 bytes=756 delta-time=4 id=1768650656",
            1,
            1_768_650_656,
            tuple("10.10.1.2", 2900, "10.10.0.2", 2900),
            tuple("10.10.0.2", 2900, "10.10.1.2", 2900),
            totals(10, 840, 9, 756),
        );
    }

    #[test]
    fn icmpv6_likewise() {
        check(
            "[DESTROY] icmpv6   58 src=fd00:10::2 dst=fd00:77::100 type=128 code=0 id=3200 packets=10 bytes=1040 src=fd00:77::100 dst=fd00:77::1 type=129 code=0 id=3200 packets=10 bytes=1040 delta-time=4 id=1832305968",
            58,
            1_832_305_968,
            tuple("fd00:10::2", 3200, "fd00:77::100", 3200),
            tuple("fd00:77::100", 3200, "fd00:77::1", 3200),
            totals(10, 1040, 10, 1040),
        );
    }

    #[test]
    fn a_list_entry_of_a_protocol_without_ports() {
        check(
            "unknown  2 595 src=10.10.0.1 dst=224.0.0.22 packets=1 bytes=40 [UNREPLIED] src=224.0.0.22 dst=10.10.0.1 packets=0 bytes=0 mark=0 delta-time=4 use=1 id=3771623331",
            2,
            3_771_623_331,
            tuple("10.10.0.1", 0, "224.0.0.22", 0),
            tuple("224.0.0.22", 0, "10.10.0.1", 0),
            totals(1, 40, 0, 0),
        );
    }

    #[track_caller]
    fn check_refused(line: &str, why: &str) {
        let error = parse_all("node-a", line).unwrap_err();
        assert_eq!(error.root_cause().to_string(), why);
    }

    #[test]
    fn a_line_that_is_not_understood_is_refused() {
        check_refused("WARNING: something", "no protocol number");
        check_refused(
            "[DESTROY] udp 17 src=10.10.0.2 dst=10.10.0.3 sport=1 dpo",
            "packets is missing",
        );
        check_refused("[DESTROY] udp 17 packets=x bytes=1", "packets is \"x\"");
    }
}
