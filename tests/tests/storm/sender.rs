//! Datagrams at a pace, many per system call: what is tested is whoever records them.

use std::io::{self, IoSlice};
use std::iter;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};

use super::{POD, SERVER, Storm};

const FIRST_SOURCE: u16 = 20_000;
const FIRST_DESTINATION: u16 = 7000;
/// Datagrams per system call, and of those per source port.
const BURST: u16 = 50;
const PER_SOCKET: u16 = 10 * BURST;

/// Sends one datagram on each of so many new connections, at the storm's pace. Returns how many.
pub(crate) fn send(storm: &Storm) -> io::Result<u32> {
    let begin = Instant::now();
    let (mut sent, mut late) = (0, Duration::ZERO);
    let mut headers = MultiHeaders::preallocate(BURST.into(), None);
    for source in FIRST_SOURCE.. {
        let socket = UdpSocket::bind((POD, source))?;
        for burst in 0..PER_SOCKET / BURST {
            if sent == storm.count() {
                let pace = f64::from(sent) / begin.elapsed().as_secs_f64();
                println!("{sent} connections, {pace:.0} per second, at most {late:?} late");
                return Ok(sent);
            }
            let due = Duration::from_secs(1) * sent / storm.per_second;
            late = late.max(begin.elapsed().saturating_sub(due));
            // The pace is what is tested.
            thread::sleep(due.saturating_sub(begin.elapsed()));
            send_to(&socket, &mut headers, FIRST_DESTINATION + burst * BURST)?;
            sent += u32::from(BURST);
        }
    }
    Ok(sent)
}

/// Sends one datagram to each of the next ports.
fn send_to(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrIn>,
    first: u16,
) -> io::Result<()> {
    let ends: Vec<_> = (first..first + BURST)
        .map(|port| Some(SockaddrIn::from(SocketAddrV4::new(SERVER, port))))
        .collect();
    let datagram = [IoSlice::new(b"x")];
    let datagrams = iter::repeat_n(&datagram, ends.len());
    let sent = sendmmsg(socket.as_raw_fd(), headers, datagrams, &ends, [], MsgFlags::empty())?;
    if sent.count() == ends.len() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
}
