//! Packets that log rules of netfilter hand out (nft `log group N`, iptables `-j NFLOG`).
//!
//! The rule that logs a packet does not deny it; the next one does. So a group must get nothing
//! but what is denied, or prefixes must tell the two apart.
mod message; // what the kernel is told, and tells

use std::io;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::prefix::Prefixes;
use super::{Denied, Loss, Reporter, packet};
use crate::conntrack::message::{Message, Messages, NLMSG_ERROR};
use crate::conntrack::sys;
use message::{Command, Logged, request};

/// Groups at most, so that one datagram's cost stays small.
pub const MAX_GROUPS: usize = 16;
/// The kernel collects messages for less than this in one datagram.
const BUFFER: usize = 64 * 1024;
/// Bytes the kernel may queue for us before it drops packets.
const RECEIVE_BUFFER: usize = 4 << 20;
/// How long one wait may last, and with it the end of the process.
const PATIENCE: Duration = Duration::from_millis(100);

/// Why packets cannot be received.
#[derive(Debug, thiserror::Error)]
pub enum NflogError {
    #[error("cannot open a netlink socket")]
    Open(#[source] io::Error),
    /// Somebody else may be bound to it.
    #[error("cannot bind to netfilter's log group {0}")]
    Bind(u16, #[source] io::Error),
    #[error("cannot receive what netfilter logs")]
    Receive(#[source] io::Error),
}

/// Listens to log groups, in the network namespace of the opening thread.
#[derive(Debug)]
pub struct Nflog {
    socket: Socket,
    groups: Vec<Group>,
    prefixes: Prefixes,
    reporter: Reporter,
    buffer: Vec<u8>,
    requests: u32,
}

#[derive(Debug)]
struct Group {
    number: u16,
    /// What the kernel's counter of the group's packets stands at next.
    next: Option<u32>,
}

impl Nflog {
    /// Needs `CAP_NET_ADMIN`. A packet that comes while this is under way is told with `now`.
    pub fn open(
        groups: &[u16],
        prefixes: Prefixes,
        reporter: Reporter,
        now: u64,
    ) -> Result<Self, NflogError> {
        let mut socket = Socket::new(NETLINK_NETFILTER).map_err(NflogError::Open)?;
        socket.bind(&SocketAddr::new(0, 0)).map_err(NflogError::Open)?;
        sys::enlarge_receive_buffer(socket.as_fd(), RECEIVE_BUFFER).map_err(NflogError::Open)?;
        let known = groups.iter().map(|&number| Group { number, next: None });
        let mut nflog = Self {
            socket,
            groups: known.collect(),
            prefixes,
            reporter,
            buffer: Vec::with_capacity(BUFFER),
            requests: 0,
        };
        for &group in groups {
            nflog.bind(group, now).map_err(|error| NflogError::Bind(group, error))?;
        }
        Ok(nflog)
    }

    /// Tells of packets until nobody listens.
    pub fn run(&mut self, clock: impl Fn() -> u64) -> Result<(), NflogError> {
        while !self.reporter.is_closed() {
            sys::wait_readable(self.socket.as_fd(), PATIENCE).map_err(NflogError::Receive)?;
            self.poll(clock()).map_err(NflogError::Receive)?;
        }
        Ok(())
    }

    /// Tells of the packets that are there.
    pub fn poll(&mut self, now: u64) -> io::Result<()> {
        while self.receive(libc::MSG_DONTWAIT)? {
            self.read(now);
        }
        Ok(())
    }

    fn bind(&mut self, group: u16, now: u64) -> io::Result<()> {
        self.request(group, Command::Bind, now)?;
        for command in [Command::CopyPackets, Command::Buffer, Command::Batch, Command::Latency] {
            self.request(group, command, now)?;
        }
        match self.request(group, Command::CountAndConnection, now) {
            // The kernel was built without that. Then nobody tells what destination NAT replaced.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                self.request(group, Command::Count, now)
            }
            answered => answered,
        }
    }

    /// Asks, and takes packets until the answer comes.
    fn request(&mut self, group: u16, command: Command, now: u64) -> io::Result<()> {
        self.requests = self.requests.wrapping_add(1);
        self.socket.send(&request(group, command, self.requests), 0)?;
        loop {
            self.receive(0)?;
            match self.read(now) {
                Some(0) => return Ok(()),
                Some(number) => return Err(io::Error::from_raw_os_error(number)),
                None => {}
            }
        }
    }

    /// Fills the buffer with one datagram. `false` if there is none.
    fn receive(&mut self, flags: i32) -> io::Result<bool> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, flags) {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // Which and how many are lost shows in the numbers of those that follow.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells of the packets in the buffer. Returns the kernel's answer to the last request, an
    /// error's number or 0, if it is there.
    fn read(&mut self, now: u64) -> Option<i32> {
        let Self { groups, prefixes, reporter, buffer, requests, .. } = self;
        let mut answer = None;
        for message in Messages(buffer) {
            match message {
                Err(()) => reporter.lost(Loss::Malformed, 1),
                Ok(message) if message.kind == NLMSG_ERROR => {
                    if message.sequence == *requests {
                        answer = Some(message.error_number());
                    }
                }
                Ok(message) if message::is_packet(&message) => {
                    tell(&message, groups, prefixes, reporter, now);
                }
                Ok(_) => {}
            }
        }
        answer
    }
}

fn tell(
    message: &Message<'_>,
    groups: &mut [Group],
    prefixes: &Prefixes,
    reporter: &Reporter,
    now: u64,
) {
    let Ok(logged) = Logged::read(message.body) else {
        return reporter.lost(Loss::Malformed, 1);
    };
    let group = groups.iter_mut().find(|group| group.number == logged.group);
    if let Some(missing) = group.and_then(|group| group.gap_before(logged.sequence)) {
        reporter.lost(Loss::Overrun, missing.get().into());
    }
    let Some(meaning) = prefixes.meaning(&String::from_utf8_lossy(logged.prefix)) else { return };
    let Ok(packet) = packet::read(logged.payload) else {
        return reporter.lost(Loss::Malformed, 1);
    };
    reporter.tell(Denied {
        time_ns: logged.time_ns.unwrap_or(now),
        original: packet.tuple,
        service: logged.service(&packet.tuple),
        octets: packet.octets,
        packets: 1,
        direction: meaning.direction,
        action: meaning.action,
        rule: meaning.rule,
        other_rule: None,
        mark: logged.connection.map(|entry| entry.mark),
        source: reporter.source(),
    });
}

impl Group {
    /// How many packets are missing before this one, if any are: nothing is counted, which takes a
    /// lock, for each packet of which nothing is to be said.
    fn gap_before(&mut self, sequence: Option<u32>) -> Option<NonZeroU32> {
        let sequence = sequence?;
        let next = self.next.replace(sequence.wrapping_add(1))?;
        let missing = NonZeroU32::new(sequence.wrapping_sub(next));
        // A group that was bound anew counts from its beginning.
        missing.filter(|missing| missing.get() <= u32::MAX / 2)
    }
}

/// The packet that a message tells of.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn packet(body: &[u8]) -> Option<packet::Packet> {
    let logged = Logged::read(body).ok()?;
    let packet = packet::read(logged.payload).ok()?;
    assert!(logged.service(&packet.tuple).is_none() || logged.connection.is_some());
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_across_the_end_of_numbers() {
        let mut group = Group { number: 1, next: None };
        let sequences =
            [Some(5), Some(6), Some(9), None, Some(10), Some(u32::MAX), Some(0), Some(2)];
        let gaps = sequences.map(|it| group.gap_before(it).map(NonZeroU32::get));
        assert_eq!(gaps[..5], [None, None, Some(2), None, None]);
        // Backwards by more than half of all numbers is a new beginning.
        assert_eq!(gaps[5..], [None, None, Some(1)]);
    }
}
