//! A reader that does the least there is to do with a dump, and one that parses it as well.

use std::{hint::black_box, io};

use exporter::conntrack::{ConnectionSource, DumpProgress, Entry, NetlinkSource};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

/// As large as the exporter's.
const BUFFER: usize = 64 * 1024;
const NLMSG_DONE: u16 = 3;

/// Receives dumps of these zones and looks at nothing but where messages end. Returns how many
/// entries there were.
pub(crate) fn read(zones: &[u16]) -> io::Result<u64> {
    zones.iter().map(|&zone| read_zone(zone)).sum()
}

fn read_zone(zone: u16) -> io::Result<u64> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&dump_request(zone), 0)?;
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut entries = 0;
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        let mut rest = &buffer[..];
        while let [l0, l1, _, _, k0, k1, ..] = *rest {
            if u16::from_ne_bytes([k0, k1]) == NLMSG_DONE {
                return Ok(entries);
            }
            let length = usize::from(u16::from_ne_bytes([l0, l1]));
            entries += 1;
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
    }
}

/// Parses dumps of these zones.
pub(crate) fn parse(
    source: &mut NetlinkSource,
    zones: &[u16],
    mut visit: impl FnMut(&Entry),
) -> io::Result<()> {
    for &zone in zones {
        source.start_dump(&[zone]).map_err(io::Error::other)?;
        let mut visit = |entry: &Entry| visit(black_box(entry));
        while source.next_chunk(&mut visit).map_err(io::Error::other)? == DumpProgress::More {}
    }
    Ok(())
}

/// `IPCTNL_MSG_CT_GET` for a dump of one zone.
fn dump_request(zone: u16) -> Vec<u8> {
    let header: [&[u8]; 5] = [
        &28_u32.to_ne_bytes(),
        &0x101_u16.to_ne_bytes(),
        &0x301_u16.to_ne_bytes(),
        &[0; 12],
        &[6_u16.to_ne_bytes(), 18_u16.to_ne_bytes()].concat(),
    ];
    let zone = [&zone.to_be_bytes()[..], &[0; 2]].concat();
    [&header.concat()[..], &zone].concat()
}
