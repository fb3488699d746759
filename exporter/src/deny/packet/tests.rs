use proptest::prelude::*;

use super::*;

/// A packet as its RFCs describe it, before it is bytes.
#[derive(Debug, Clone)]
struct Plan {
    is_ipv6: bool,
    source: [u8; 16],
    destination: [u8; 16],
    protocol: u8,
    /// Ports, or type and code, and then the identifier.
    words: [u16; 3],
    /// Bytes of options (IPv4, in words of four) or kinds of extension headers with their length.
    options: usize,
    extensions: Vec<(u8, u8)>,
    /// In units of 8 bytes; `None` if it is no fragment.
    fragment: Option<u16>,
    body: usize,
}

impl Plan {
    fn bytes(&self) -> Vec<u8> {
        let payload = self.payload();
        if self.is_ipv6 { self.ipv6(&payload) } else { self.ipv4(&payload) }
    }

    fn payload(&self) -> Vec<u8> {
        let [a, b, c] = self.words;
        let head = match self.protocol {
            1 | 58 => [&a.to_be_bytes()[..], &[0, 0], &b.to_be_bytes(), &c.to_be_bytes()].concat(),
            _ => [a, b, c, 0].map(u16::to_be_bytes).concat(),
        };
        [head, vec![0xaa; self.body]].concat()
    }

    fn ipv4(&self, payload: &[u8]) -> Vec<u8> {
        let header = 20 + 4 * self.options;
        let length = u16::try_from(header + payload.len()).unwrap();
        let first = 0x40 | u8::try_from(header / 4).unwrap();
        let fragment = self.fragment.map_or(0x4000, |offset| 0x2000 | offset);
        let [l, f] = [length, fragment].map(u16::to_be_bytes);
        let fixed = [first, 0, l[0], l[1], 0, 9, f[0], f[1], 64, self.protocol, 0, 0];
        let ends = [&self.source[..4], &self.destination[..4]].concat();
        [&fixed[..], &ends, &vec![1; 4 * self.options], payload].concat()
    }

    fn ipv6(&self, payload: &[u8]) -> Vec<u8> {
        let mut chain: Vec<(u8, Vec<u8>)> = Vec::new();
        for &(kind, words) in &self.extensions {
            let unit = if kind == 51 { 4 } else { 8 };
            let mut header = vec![0; 8 + unit * usize::from(words)];
            header[1] = words;
            chain.push((kind, header));
        }
        if let Some(offset) = self.fragment {
            let [high, low] = (offset << 3 | 1).to_be_bytes();
            chain.push((44, vec![0, 0, high, low, 0, 0, 0, 9]));
        }
        let kinds: Vec<u8> = chain.iter().map(|it| it.0).chain([self.protocol]).collect();
        let mut rest = Vec::new();
        for ((_, header), next) in chain.iter().zip(&kinds[1..]) {
            rest.push(*next);
            rest.extend_from_slice(&header[1..]);
        }
        rest.extend_from_slice(payload);
        let [l0, l1] = u16::try_from(rest.len()).unwrap().to_be_bytes();
        let fixed = [0x60, 0, 0, 0, l0, l1, kinds[0], 64];
        [&fixed[..], &self.source, &self.destination, &rest].concat()
    }

    fn expected(&self) -> Packet {
        let address = |bytes: [u8; 16]| -> IpAddr {
            let [a, b, c, d, ..] = bytes;
            if self.is_ipv6 {
                Ipv6Addr::from(bytes).into()
            } else {
                Ipv4Addr::new(a, b, c, d).into()
            }
        };
        let (source, destination) = (address(self.source), address(self.destination));
        let [first, second, _] = self.words;
        let is_first = self.fragment.is_none_or(|offset| offset == 0);
        let is_icmp = self.protocol == if self.is_ipv6 { 58 } else { 1 };
        let tuple = if is_icmp && is_first {
            let [kind, code] = first.to_be_bytes();
            let echoes: &[u8] = if self.is_ipv6 { &[128, 129] } else { &[0, 8] };
            let id = if echoes.contains(&kind) { second } else { 0 };
            Tuple::icmp(source, destination, Icmp { kind, code, id })
        } else {
            let has_ports = is_first && matches!(self.protocol, 6 | 17 | 33 | 132 | 136);
            let (from, to) = if has_ports { (first, second) } else { (0, 0) };
            Tuple::new((source, from), (destination, to), self.protocol)
        };
        Packet { tuple, octets: u64::try_from(self.bytes().len()).unwrap() }
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let protocol = prop::sample::select(vec![1, 58, 6, 17, 33, 132, 136, 47, 50, 59]);
    // Echo, and others that have no identifier.
    let kind = prop::sample::select(vec![0x0000, 0x0800, 0x0301, 0x0b00, 0x8000, 0x8100, 0x0104]);
    let word = prop_oneof![any::<u16>(), kind];
    let extension = (prop::sample::select(vec![0, 43, 60, 51, 135, 139, 140]), 0..3_u8);
    let words = (word, any::<u16>(), any::<u16>());
    let fragment = prop::option::weighted(0.3, 0..0x1fff_u16);
    (
        any::<(bool, [u8; 16], [u8; 16])>(),
        protocol,
        words,
        0..11_usize,
        prop::collection::vec(extension, 0..4),
        fragment,
        0..100_usize,
    )
        .prop_map(
            |(
                (is_ipv6, source, destination),
                protocol,
                words,
                options,
                extensions,
                fragment,
                body,
            )| {
                // Type 1 to 18 other than echo may have an identifier, which the model leaves out.
                let words = [words.0, words.1, words.2];
                let kind = words[0] >> 8;
                let words =
                    if protocol == 1 && (13..=18).contains(&kind) { [0x0301, 0, 0] } else { words };
                Plan {
                    is_ipv6,
                    source,
                    destination,
                    protocol,
                    words,
                    options,
                    extensions,
                    fragment,
                    body,
                }
            },
        )
}

proptest! {
    #[test]
    fn a_packet_is_read_as_it_was_made(plan in plan()) {
        prop_assert_eq!(read(&plan.bytes()), Ok(plan.expected()));
    }

    #[test]
    fn what_was_cut_off_changes_nothing_that_is_told(plan in plan(), cut in 0..200_usize) {
        let bytes = plan.bytes();
        let captured = &bytes[..bytes.len().saturating_sub(cut)];
        if let Ok(packet) = read(captured) {
            prop_assert_eq!(packet, plan.expected());
        }
    }

    #[test]
    fn no_bytes_do_harm(plan in plan(), damage in prop::collection::vec(any::<(usize, u8)>(), 0..20)) {
        let mut bytes = plan.bytes();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        read(&bytes).ok();
    }

    #[test]
    fn not_even_random_ones(bytes in prop::collection::vec(any::<u8>(), 0..300), version in 4..7_u8) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = version << 4 | *first & 0xf;
        }
        if let Ok(packet) = read(&bytes) {
            prop_assert!(packet.octets <= 65_575);
        }
    }
}

#[test]
fn a_header_that_is_too_short_is_no_packet() {
    let plan = Plan {
        is_ipv6: false,
        source: [1; 16],
        destination: [2; 16],
        protocol: 6,
        words: [1, 2, 3],
        options: 0,
        extensions: Vec::new(),
        fragment: None,
        body: 0,
    };
    let good = plan.bytes();
    assert!(read(&good).is_ok());
    for bytes in [&good[..0], &good[..19], &good[..23], &[&[0x44], &good[1..]].concat()] {
        assert_eq!(read(bytes), Err(Unreadable), "{bytes:?}");
    }
    // Something else than IP.
    assert_eq!(read(&[0x50; 60]), Err(Unreadable));
}
