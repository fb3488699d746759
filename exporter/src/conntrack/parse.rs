//! A ctnetlink message body becomes an [`Entry`].
//!
//! One pass, wanted attributes only, numbers from `linux/netfilter/nfnetlink_conntrack.h`. Unknown
//! attributes are skipped, since kernels add some with every few releases. What the kernel leaves
//! out means:
//!
//! - no `CTA_COUNTERS_*`: the connection began while `nf_conntrack_acct` was 0, or the message is
//!   a `NEW` or `UPDATE` event, which never carry them;
//! - no `CTA_MARK`: 0 (dumps always carry it, events only when it is not 0);
//! - no `CTA_LABELS`: unknown, since `DESTROY` events leave them out;
//! - no `CTA_ZONE`: 0, unless only one direction has a zone; then it is inside that tuple.

use super::attributes::{
    Attributes, Malformed, bytes, put, put_nested, u8_be, u16_be, u32_be, u64_be,
};
use super::entry::{Entry, Kind, Tuple};

/// `struct nfgenmsg`: family, version, resource id.
const NFGENMSG: usize = 4;

pub(super) const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_PROTOINFO: u16 = 4;
const CTA_TIMEOUT: u16 = 7;
const CTA_MARK: u16 = 8;
const CTA_COUNTERS_ORIG: u16 = 9;
const CTA_COUNTERS_REPLY: u16 = 10;
const CTA_ID: u16 = 12;
pub(super) const CTA_ZONE: u16 = 18;
const CTA_TIMESTAMP: u16 = 20;
const CTA_LABELS: u16 = 22;

const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_TUPLE_ZONE: u16 = 3;

const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;

const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_PROTO_ICMP_ID: u16 = 4;
const CTA_PROTO_ICMP_TYPE: u16 = 5;
const CTA_PROTO_ICMP_CODE: u16 = 6;
const CTA_PROTO_ICMPV6_ID: u16 = 7;
const CTA_PROTO_ICMPV6_TYPE: u16 = 8;
const CTA_PROTO_ICMPV6_CODE: u16 = 9;

const CTA_PROTOINFO_TCP: u16 = 1;
const CTA_PROTOINFO_TCP_STATE: u16 = 1;

const CTA_COUNTERS_PACKETS: u16 = 1;
const CTA_COUNTERS_BYTES: u16 = 2;

const CTA_TIMESTAMP_START: u16 = 1;
const CTA_TIMESTAMP_STOP: u16 = 2;

/// Why a message is not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("an attribute has a wrong length")]
    Malformed,
    #[error("{0} is missing")]
    Missing(&'static str),
}

impl From<Malformed> for ParseError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// Reads what follows the netlink header of a conntrack message.
pub fn parse(kind: Kind, body: &[u8]) -> Result<Entry, ParseError> {
    entry(kind, body.get(NFGENMSG..).ok_or(ParseError::Malformed)?)
}

/// Reads the attributes of a connection, wherever they stand.
pub(crate) fn entry(kind: Kind, attributes: &[u8]) -> Result<Entry, ParseError> {
    let mut entry = Entry::new(kind, Tuple::EMPTY, Tuple::EMPTY);
    let (mut original, mut reply, mut id) = (false, false, false);
    for attribute in Attributes::new(attributes) {
        let (kind, payload) = attribute?;
        match kind {
            CTA_TUPLE_ORIG => original = tuple(payload, &mut entry.original, &mut entry.zone)?,
            CTA_TUPLE_REPLY => reply = tuple(payload, &mut entry.reply, &mut entry.zone)?,
            CTA_STATUS => entry.status = u32_be(payload)?,
            CTA_PROTOINFO => entry.tcp_state = tcp_state(payload)?,
            CTA_TIMEOUT => entry.timeout = u32_be(payload)?,
            CTA_MARK => entry.mark = u32_be(payload)?,
            CTA_COUNTERS_ORIG => {
                let counters = entry.counters.get_or_insert_default();
                (counters.packets, counters.octets) = direction(payload)?;
            }
            CTA_COUNTERS_REPLY => {
                let counters = entry.counters.get_or_insert_default();
                (counters.reverse_packets, counters.reverse_octets) = direction(payload)?;
            }
            CTA_ID => {
                entry.id = u32_be(payload)?;
                id = true;
            }
            CTA_ZONE => entry.zone = u16_be(payload)?,
            CTA_TIMESTAMP => (entry.start_ns, entry.stop_ns) = timestamps(payload)?,
            CTA_LABELS => entry.labels = Some(labels(payload)?),
            _ => {}
        }
    }
    match (original, reply, id) {
        (false, ..) => Err(ParseError::Missing("the original tuple")),
        (_, false, _) => Err(ParseError::Missing("the reply tuple")),
        (.., false) => Err(ParseError::Missing("the id")),
        _ => Ok(entry),
    }
}

/// Returns whether the tuple names both addresses and a protocol.
#[inline]
fn tuple(payload: &[u8], tuple: &mut Tuple, zone: &mut u16) -> Result<bool, Malformed> {
    let (mut addresses, mut protocol) = (false, false);
    for attribute in Attributes::new(payload) {
        let (kind, payload) = attribute?;
        match kind {
            CTA_TUPLE_IP => addresses = self::addresses(payload, tuple)?,
            CTA_TUPLE_PROTO => protocol = self::protocol(payload, tuple)?,
            CTA_TUPLE_ZONE => *zone = u16_be(payload)?,
            _ => {}
        }
    }
    Ok(addresses && protocol)
}

#[inline]
fn addresses(payload: &[u8], tuple: &mut Tuple) -> Result<bool, Malformed> {
    let (mut source, mut destination) = (0, 0);
    for attribute in Attributes::new(payload) {
        let (kind, payload) = attribute?;
        match kind {
            CTA_IP_V4_SRC => tuple.source = ipv4(payload)?,
            CTA_IP_V4_DST => tuple.destination = ipv4(payload)?,
            CTA_IP_V6_SRC => tuple.source = bytes(payload)?,
            CTA_IP_V6_DST => tuple.destination = bytes(payload)?,
            _ => continue,
        }
        match kind {
            CTA_IP_V4_SRC | CTA_IP_V6_SRC => source = kind,
            _ => destination = kind,
        }
    }
    tuple.is_ipv6 = source == CTA_IP_V6_SRC;
    // Each destination's number follows that of the source of its family.
    Ok(source != 0 && destination == source + 1)
}

#[inline]
fn ipv4(payload: &[u8]) -> Result<[u8; 16], Malformed> {
    let [a, b, c, d] = bytes(payload)?;
    Ok([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

#[inline]
fn protocol(payload: &[u8], tuple: &mut Tuple) -> Result<bool, Malformed> {
    let mut known = false;
    let (mut icmp_type, mut icmp_code) = (0, 0);
    for attribute in Attributes::new(payload) {
        let (kind, payload) = attribute?;
        match kind {
            CTA_PROTO_NUM => {
                tuple.protocol = u8_be(payload)?;
                known = true;
            }
            CTA_PROTO_SRC_PORT | CTA_PROTO_ICMP_ID | CTA_PROTO_ICMPV6_ID => {
                tuple.source_port = u16_be(payload)?;
            }
            CTA_PROTO_DST_PORT => tuple.destination_port = u16_be(payload)?,
            CTA_PROTO_ICMP_TYPE | CTA_PROTO_ICMPV6_TYPE => icmp_type = u8_be(payload)?,
            CTA_PROTO_ICMP_CODE | CTA_PROTO_ICMPV6_CODE => icmp_code = u8_be(payload)?,
            _ => {}
        }
    }
    if tuple.as_icmp().is_some() {
        tuple.destination_port = u16::from_be_bytes([icmp_type, icmp_code]);
    }
    Ok(known)
}

#[inline]
fn tcp_state(payload: &[u8]) -> Result<Option<u8>, Malformed> {
    let mut state = None;
    for attribute in Attributes::new(payload) {
        let (CTA_PROTOINFO_TCP, tcp) = attribute? else { continue };
        for attribute in Attributes::new(tcp) {
            let (CTA_PROTOINFO_TCP_STATE, payload) = attribute? else { continue };
            state = Some(u8_be(payload)?);
        }
    }
    Ok(state)
}

/// Packets and bytes of one direction.
#[inline]
fn direction(payload: &[u8]) -> Result<(u64, u64), Malformed> {
    let (mut packets, mut octets) = (0, 0);
    for attribute in Attributes::new(payload) {
        match attribute? {
            (CTA_COUNTERS_PACKETS, payload) => packets = u64_be(payload)?,
            (CTA_COUNTERS_BYTES, payload) => octets = u64_be(payload)?,
            _ => {}
        }
    }
    Ok((packets, octets))
}

#[inline]
fn timestamps(payload: &[u8]) -> Result<(Option<u64>, Option<u64>), Malformed> {
    let (mut start, mut stop) = (None, None);
    for attribute in Attributes::new(payload) {
        match attribute? {
            (CTA_TIMESTAMP_START, payload) => start = Some(u64_be(payload)?),
            (CTA_TIMESTAMP_STOP, payload) => stop = Some(u64_be(payload)?),
            _ => {}
        }
    }
    Ok((start, stop))
}

/// The kernel copies its memory, whose least significant byte comes first on little-endian
/// machines.
#[inline]
fn labels(payload: &[u8]) -> Result<[u8; 16], Malformed> {
    let mut labels: [u8; 16] = bytes(payload)?;
    if cfg!(target_endian = "little") {
        labels.reverse();
    }
    Ok(labels)
}

/// Appends a tuple as the kernel reads it.
pub(super) fn put_tuple(message: &mut Vec<u8>, kind: u16, tuple: &Tuple) {
    put_nested(message, kind, |message| {
        put_nested(message, CTA_TUPLE_IP, |message| put_addresses(message, tuple));
        put_nested(message, CTA_TUPLE_PROTO, |message| put_protocol(message, tuple));
    });
}

fn put_addresses(message: &mut Vec<u8>, tuple: &Tuple) {
    let (kinds, length) = if tuple.is_ipv6 {
        ([CTA_IP_V6_SRC, CTA_IP_V6_DST], 16)
    } else {
        ([CTA_IP_V4_SRC, CTA_IP_V4_DST], 4)
    };
    for (kind, address) in kinds.into_iter().zip([&tuple.source, &tuple.destination]) {
        put(message, kind, &address[..length]);
    }
}

fn put_protocol(message: &mut Vec<u8>, tuple: &Tuple) {
    put(message, CTA_PROTO_NUM, &[tuple.protocol]);
    let Some(icmp) = tuple.as_icmp() else {
        put(message, CTA_PROTO_SRC_PORT, &tuple.source_port.to_be_bytes());
        put(message, CTA_PROTO_DST_PORT, &tuple.destination_port.to_be_bytes());
        return;
    };
    let [id, kind, code] = if tuple.is_ipv6 {
        [CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE]
    } else {
        [CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE]
    };
    put(message, id, &icmp.id.to_be_bytes());
    put(message, kind, &[icmp.kind]);
    put(message, code, &[icmp.code]);
}

#[cfg(test)]
mod tests;
