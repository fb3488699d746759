//! Packets as a capture file, made without a network.

use std::fs;
use std::path::Path;

/// Ethernet (`LINKTYPE_ETHERNET`).
const LINK_TYPE: u32 = 1;

/// When the first packet was seen, in seconds.
const BEGIN: u32 = 1_700_000_000;

/// Writes `packets`, which begin with an IPv4 header, a second apart.
pub(crate) fn write(path: &Path, packets: &[Vec<u8>]) {
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    // Magic number, version 2.4, UTC, precision, the longest packet.
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, LINK_TYPE]);
    for (packet, second) in packets.iter().zip(BEGIN..) {
        let length = u32::try_from(packet.len() + 14).expect("a packet");
        file.extend(words(&[second, 0, length, length]));
        file.extend_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00]);
        file.extend_from_slice(packet);
    }
    fs::write(path, file).expect("it is written");
}

/// An IPv4 packet from `source` to `destination`.
fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 20).expect("a packet").to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&destination);
    let sum: u32 = packet.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from(folded & 0xffff).expect("16 bits")
        - u16::try_from(folded >> 16).expect("a carry");
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// A UDP packet to port `to`, whose checksum is left out.
pub(crate) fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).expect("a datagram");
    let mut datagram: Vec<u8> = [from, to, length, 0].map(u16::to_be_bytes).concat();
    datagram.extend_from_slice(payload);
    ipv4(17, [127, 0, 0, 1], [127, 0, 0, 1], &datagram)
}

/// A TCP packet with `flags`, of a connection whose two ends are `[address, port]`.
pub(crate) fn tcp(from: ([u8; 4], u16), to: ([u8; 4], u16), flags: u8, payload: usize) -> Vec<u8> {
    let mut segment = [from.1, to.1].map(u16::to_be_bytes).concat();
    segment.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0x10, 0, 0, 0, 0, 0]);
    segment.resize(segment.len() + payload, b'x');
    ipv4(6, from.0, to.0, &segment)
}
