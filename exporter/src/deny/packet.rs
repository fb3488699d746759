//! Who talks to whom in an IP packet, or in what was captured of it.
//!
//! The bytes are the sender's to choose. Every step looks at bytes that are there and goes on
//! behind them, so it ends, and a length that lies is [`Unreadable`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::protocol::{ICMP, ICMPV6, SCTP, TCP, UDP};

use crate::conntrack::{Icmp, Tuple};

const DCCP: u8 = 33;
const UDP_LITE: u8 = 136;

/// Extension headers of IPv6 (IANA's registry).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// What is told of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Without ports in a fragment that is not the first.
    pub tuple: Tuple,
    /// Of the whole packet with its headers, by what its own header says.
    pub octets: u64,
}

/// It is no IP packet, or too little of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the beginning of an IP packet")]
pub struct Unreadable;

/// Reads a packet from its IP header on.
pub fn read(bytes: &[u8]) -> Result<Packet, Unreadable> {
    let packet = match bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(bytes),
        Some(6) => ipv6(bytes),
        _ => None,
    };
    packet.ok_or(Unreadable)
}

/// RFC 791, section 3.1.
fn ipv4(bytes: &[u8]) -> Option<Packet> {
    let header: &[u8; 20] = bytes.first_chunk()?;
    let header_length = usize::from(header[0] & 0xf) * 4;
    let payload = bytes.get(header_length.max(20)..)?;
    if header_length < 20 {
        return None;
    }
    let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let ends = (Ipv4Addr::new(s0, s1, s2, s3).into(), Ipv4Addr::new(d0, d1, d2, d3).into());
    let octets = match u16::from_be_bytes([header[2], header[3]]) {
        // Longer than the field can say, which only the sending host itself sees.
        0 => bytes.len(),
        length => usize::from(length),
    };
    packet(ends, header[9], (offset == 0).then_some(payload), octets)
}

/// RFC 8200, sections 3 and 4.
fn ipv6(bytes: &[u8]) -> Option<Packet> {
    let (header, mut rest) = bytes.split_first_chunk::<40>()?;
    let source: [u8; 16] = header[8..24].try_into().ok()?;
    let destination: [u8; 16] = header[24..].try_into().ok()?;
    let ends = (Ipv6Addr::from(source).into(), Ipv6Addr::from(destination).into());
    let octets = match u16::from_be_bytes([header[4], header[5]]) {
        // A jumbogram (RFC 2675).
        0 if !rest.is_empty() => bytes.len(),
        length => 40 + usize::from(length),
    };
    let mut next = header[6];
    loop {
        let length = match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 => {
                8 + usize::from(*rest.get(1)?) * 8
            }
            AUTHENTICATION => 8 + usize::from(*rest.get(1)?) * 4,
            FRAGMENT => 8,
            protocol => return packet(ends, protocol, Some(rest), octets),
        };
        let header = rest.get(..length)?;
        let is_later_fragment =
            next == FRAGMENT && u16::from_be_bytes([header[2], header[3]]) >> 3 != 0;
        next = header[0];
        rest = &rest[length..];
        if is_later_fragment {
            // What stands behind is the middle of something.
            return packet(ends, next, None, octets);
        }
    }
}

/// `payload` is what follows the IP headers; `None` in a fragment that is not the first.
fn packet(
    (source, destination): (IpAddr, IpAddr),
    protocol: u8,
    payload: Option<&[u8]>,
    octets: usize,
) -> Option<Packet> {
    let tuple = match (protocol, payload) {
        (TCP | UDP | SCTP | DCCP | UDP_LITE, Some(payload)) => {
            let [s0, s1, d0, d1] = *payload.first_chunk()?;
            let (from, to) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
            Tuple::new((source, from), (destination, to), protocol)
        }
        (ICMP, Some(payload)) if source.is_ipv4() => {
            Tuple::icmp(source, destination, icmp(payload, has_identifier)?)
        }
        (ICMPV6, Some(payload)) if source.is_ipv6() => {
            Tuple::icmp(source, destination, icmp(payload, |kind| matches!(kind, 128 | 129))?)
        }
        _ => Tuple::new((source, 0), (destination, 0), protocol),
    };
    Some(Packet { tuple, octets: u64::try_from(octets).ok()? })
}

fn icmp(payload: &[u8], has_identifier: impl Fn(u8) -> bool) -> Option<Icmp> {
    let [kind, code, ..] = *payload.first_chunk::<4>()?;
    let id = match payload.get(4..6) {
        Some(&[high, low]) if has_identifier(kind) => u16::from_be_bytes([high, low]),
        None if has_identifier(kind) => return None,
        _ => 0,
    };
    Some(Icmp { kind, code, id })
}

/// Echo, timestamp, information and address mask, each with its reply.
fn has_identifier(kind: u8) -> bool {
    matches!(kind, 0 | 8 | 13..=18)
}

#[cfg(test)]
mod tests;
