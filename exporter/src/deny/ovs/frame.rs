//! The Ethernet frame in a packet-in.

use ipfix::reader::Reader;

use super::message::Unreadable;
use crate::deny::packet::{self, Packet};

const MAC_ADDRESSES: usize = 12;
/// Types of frames.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: [u16; 2] = [0x8100, 0x88a8];

/// Reads a frame, of which the end may be missing. `Ok(None)` is one without IP in it.
pub(super) fn read(frame: &[u8]) -> Result<Option<Packet>, Unreadable> {
    let mut reader = Reader::new(frame);
    reader.bytes(MAC_ADDRESSES)?;
    let mut kind = reader.u16()?;
    while VLAN.contains(&kind) {
        reader.u16()?;
        kind = reader.u16()?;
    }
    if !matches!(kind, IPV4 | IPV6) {
        return Ok(None);
    }
    let packet = packet::read(reader.bytes(reader.remaining())?).map_err(|_| Unreadable)?;
    let is_as_said = packet.tuple.source().is_ipv6() == (kind == IPV6);
    if is_as_said { Ok(Some(packet)) } else { Err(Unreadable) }
}

#[cfg(test)]
mod tests;
