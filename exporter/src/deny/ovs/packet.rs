//! The packet in a packet-in: whose it is, where it goes, how long it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipfix::reader::{Reader, Truncated};

use super::message::Unreadable;
use crate::conntrack::{Icmp, Tuple};

const MAC_ADDRESSES: usize = 12;
/// Types of Ethernet frames.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: [u16; 2] = [0x8100, 0x88a8];

/// IP protocols, as far as they have ports, an ICMP header, or another header behind them.
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// Offset of a fragment, in both versions of IP without the flags.
const IPV4_OFFSET: u16 = 0x1fff;
const IPV6_OFFSET: u16 = 0xfff8;

/// What conntrack would make of a packet, had it come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) tuple: Tuple,
    /// Length of the IP packet with its header, however much of it is here.
    pub(super) octets: u64,
}

/// Reads an Ethernet frame, of which the end may be missing.
///
/// `Ok(None)` is one without IP in it. Ports that are not there, since only the first fragment
/// has any, are 0.
pub(super) fn read(frame: &[u8]) -> Result<Option<Packet>, Unreadable> {
    let mut reader = Reader::new(frame);
    reader.bytes(MAC_ADDRESSES)?;
    let mut kind = reader.u16()?;
    while VLAN.contains(&kind) {
        reader.u16()?;
        kind = reader.u16()?;
    }
    match kind {
        IPV4 => ipv4(reader).map(Some),
        IPV6 => ipv6(reader).map(Some),
        _ => Ok(None),
    }
}

fn ipv4(mut reader: Reader<'_>) -> Result<Packet, Unreadable> {
    let version_and_length = reader.u8()?;
    reader.u8()?;
    let octets = reader.u16()?;
    reader.u16()?;
    let offset = reader.u16()? & IPV4_OFFSET;
    reader.u8()?;
    let protocol = reader.u8()?;
    reader.u16()?;
    let (source, destination) = (reader.u32()?, reader.u32()?);
    let length = usize::from(version_and_length & 0xf) * 4;
    if version_and_length >> 4 != 4 || length < 20 || usize::from(octets) < length {
        return Err(Unreadable);
    }
    reader.bytes(length - 20)?;
    let addresses = [source, destination].map(|address| Ipv4Addr::from(address).into());
    let tuple = tuple(addresses, protocol, offset == 0, reader)?;
    Ok(Packet { tuple, octets: octets.into() })
}

fn ipv6(mut reader: Reader<'_>) -> Result<Packet, Unreadable> {
    if reader.u32()? >> 28 != 6 {
        return Err(Unreadable);
    }
    let octets = 40 + u64::from(reader.u16()?);
    let mut protocol = reader.u8()?;
    reader.u8()?;
    let addresses = [address(&mut reader)?, address(&mut reader)?];
    let mut is_first = true;
    // Each turn takes eight bytes at least.
    loop {
        let (next, length) = match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                (reader.u8()?, 8 + usize::from(reader.u8()?) * 8)
            }
            AUTHENTICATION => (reader.u8()?, 8 + usize::from(reader.u8()?) * 4),
            FRAGMENT => {
                let next = reader.u8()?;
                reader.u8()?;
                is_first &= reader.u16()? & IPV6_OFFSET == 0;
                reader.u32()?;
                protocol = next;
                if is_first {
                    continue;
                }
                // What follows in a later fragment is not a header.
                break;
            }
            _ => break,
        };
        reader.bytes(length - 2)?;
        protocol = next;
    }
    let tuple = tuple(addresses, protocol, is_first, reader)?;
    Ok(Packet { tuple, octets })
}

fn address(reader: &mut Reader<'_>) -> Result<IpAddr, Truncated> {
    let mut octets = [0; 16];
    octets.copy_from_slice(reader.bytes(16)?);
    Ok(Ipv6Addr::from(octets).into())
}

fn tuple(
    [source, destination]: [IpAddr; 2],
    protocol: u8,
    is_first: bool,
    mut reader: Reader<'_>,
) -> Result<Tuple, Truncated> {
    if !is_first {
        return Ok(Tuple::new((source, 0), (destination, 0), protocol));
    }
    Ok(match protocol {
        TCP | UDP | SCTP => {
            let ports = (reader.u16()?, reader.u16()?);
            Tuple::new((source, ports.0), (destination, ports.1), protocol)
        }
        ICMP | ICMPV6 if (protocol == ICMPV6) == source.is_ipv6() => {
            Tuple::icmp(source, destination, icmp(protocol, reader)?)
        }
        _ => Tuple::new((source, 0), (destination, 0), protocol),
    })
}

fn icmp(protocol: u8, mut reader: Reader<'_>) -> Result<Icmp, Truncated> {
    let (kind, code) = (reader.u8()?, reader.u8()?);
    reader.u16()?;
    // Other messages have something else where queries and their answers have an identifier.
    let has_id = match protocol {
        ICMP => matches!(kind, 0 | 8 | 13..=18),
        _ => matches!(kind, 128 | 129),
    };
    let id = if has_id { reader.u16()? } else { 0 };
    Ok(Icmp { kind, code, id })
}

#[cfg(test)]
mod tests;
