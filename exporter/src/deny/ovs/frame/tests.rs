use std::net::IpAddr;

use super::*;
use crate::conntrack::Tuple;

/// A UDP datagram, from its IP header on.
const DATAGRAM: [u8; 28] = [
    0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x1f, 0x90, 0, 53, 0, 8, 0,
    0,
];

fn frame(kinds: &[u8]) -> Vec<u8> {
    [&[0; 12], kinds, &DATAGRAM].concat()
}

#[test]
fn ip_is_found_behind_tags_of_vlans() {
    let end = |last, port| (IpAddr::from([10, 0, 0, last]), port);
    let expected = Packet { tuple: Tuple::new(end(1, 8080), end(2, 53), 17), octets: 28 };
    for kinds in [&[8, 0][..], &[0x81, 0, 0, 7, 8, 0], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 8, 0]] {
        assert_eq!(read(&frame(kinds)), Ok(Some(expected)), "{kinds:x?}");
    }
    assert_eq!(read(&frame(&[8, 6])), Ok(None), "ARP");
    // IPv4 that says it is IPv6.
    assert_eq!(read(&frame(&[0x86, 0xdd])), Err(Unreadable));
}

#[test]
fn a_frame_is_needed_up_to_its_ports() {
    let whole = frame(&[8, 0]);
    for end in 0..whole.len() {
        assert_eq!(read(&whole[..end]).is_ok(), end >= 14 + 20 + 4, "{end} bytes");
    }
}
