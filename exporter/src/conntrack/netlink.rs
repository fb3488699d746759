//! The kernel's conntrack over netlink.
//!
//! Two sockets, because a dump answers in the order of its own socket and events must not queue
//! behind it. A dump gets a fresh socket: one that was given up half-way would still hold chunks
//! of the old dump, and the kernel refuses a second dump on it with `EBUSY`. Both belong to the
//! network namespace of the thread that opened them.
//!
//! The kernel fills dump messages while we read: the next chunk is prepared when the current one
//! is taken, and so is older than events that come before it is taken.

use std::{io, os::fd::AsFd, thread, time::Duration};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::{
    ConnectionSource, DumpProgress, Events, SourceError, SourceTally, Visit,
    entry::{Entry, Kind},
    message::{
        Message, Messages, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, dump_request, look_up_request,
    },
    parse::parse,
    sys, sysctl,
    table::TableFill,
};
use super::{Health, Tuple};

const NFNLGRP_CONNTRACK_NEW: u32 = 1;
const NFNLGRP_CONNTRACK_UPDATE: u32 = 2;
const NFNLGRP_CONNTRACK_DESTROY: u32 = 3;

/// The kernel fills dump messages up to 32 KiB if the reader's buffer has room for it: on Linux
/// 6.18 a dump of 1M entries through 8 KiB took a quarter longer.
const BUFFER: usize = 64 * 1024;

/// Events taken per call, so that a storm of them cannot keep the caller from its other work.
const EVENTS_PER_CALL: usize = 8192;

/// How to listen to the kernel.
#[derive(Debug, Clone)]
pub struct NetlinkOptions {
    /// Zones whose events are wanted; empty means all.
    pub zones: Vec<u16>,
    /// Whether to listen to events at all. Without them only dumps tell anything.
    pub events: bool,
    /// Bytes the kernel may queue for us before it drops events. An event costs about 1 KiB.
    pub receive_buffer: usize,
    /// Has the kernel keep a connection whose `DESTROY` event did not fit the buffer, and repeat
    /// the event later (`NETLINK_BROADCAST_ERROR`).
    ///
    /// Off by default: kept connections count towards `nf_conntrack_max`, so a stuck exporter
    /// could make the Node refuse new connections. A flow recorder must not be able to do that.
    pub reliable: bool,
    /// Says in each request for a dump which zone is wanted. Without, the kernel answers as those
    /// before 6.8 do, so that a test sees what becomes of it.
    pub ask_for_zone: bool,
}

impl Default for NetlinkOptions {
    fn default() -> Self {
        Self {
            zones: Vec::new(),
            events: true,
            receive_buffer: 32 << 20,
            reliable: false,
            ask_for_zone: true,
        }
    }
}

/// Connections from the kernel of this machine, in the network namespace of the opening thread.
#[derive(Debug)]
pub struct NetlinkSource {
    events: Option<Socket>,
    dump: Option<Dump>,
    /// For questions about one connection; opened for the first.
    questions: Option<Socket>,
    zones: Vec<u16>,
    reliable: bool,
    ask_for_zone: bool,
    /// The kernel was seen to dump zones that it was not asked for.
    dumps_all: bool,
    buffer: Vec<u8>,
    sequence: u32,
    tally: SourceTally,
}

/// A dump under way.
#[derive(Debug)]
struct Dump {
    socket: Socket,
    zones: Vec<u16>,
    /// The only zone that was asked for.
    asked: Option<u16>,
    sequence: u32,
    interrupted: bool,
}

impl NetlinkSource {
    /// Needs `CAP_NET_ADMIN` in the user namespace that owns the network namespace.
    pub fn open(options: NetlinkOptions) -> Result<Self, SourceError> {
        let events = options.events.then(|| event_socket(&options)).transpose();
        Ok(Self {
            events: events.map_err(SourceError::Open)?,
            dump: None,
            questions: None,
            zones: options.zones,
            reliable: options.reliable,
            ask_for_zone: options.ask_for_zone,
            dumps_all: false,
            buffer: Vec::with_capacity(BUFFER),
            sequence: 0,
            tally: SourceTally::default(),
        })
    }
}

impl ConnectionSource for NetlinkSource {
    fn wait(&mut self, timeout: Duration) -> Result<(), SourceError> {
        let Some(events) = &self.events else {
            thread::sleep(timeout);
            return Ok(());
        };
        sys::wait_readable(events.as_fd(), timeout).map_err(SourceError::Events)
    }

    fn events(&mut self, visit: &mut Visit<'_>) -> Result<Events, SourceError> {
        let mut taken = Events::default();
        let Some(socket) = &self.events else {
            return Ok(Events { drained: true, ..taken });
        };
        for _ in 0..EVENTS_PER_CALL {
            match receive(socket, &mut self.buffer, libc::MSG_DONTWAIT) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    taken.drained = true;
                    break;
                }
                // The error is told once; the events that did fit are still there.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    taken.overrun = !self.reliable;
                    self.tally.held_back += u64::from(self.reliable);
                    self.tally.overruns += u64::from(!self.reliable);
                    continue;
                }
                Err(error) => return Err(SourceError::Events(error)),
            }
            for message in Messages(&self.buffer) {
                let Ok(message) = message else {
                    self.tally.malformed += 1;
                    continue;
                };
                let Some(kind) = message.event() else { continue };
                let wanted = |zone| self.zones.is_empty() || self.zones.contains(&zone);
                if let Some(entry) = read(&message, kind, wanted, &mut self.tally) {
                    visit(&entry);
                    taken.count += 1;
                    self.tally.events += 1;
                }
            }
        }
        Ok(taken)
    }

    fn dumps_apart(&self) -> bool {
        !self.dumps_all
    }

    fn start_dump(&mut self, zones: &[u16]) -> Result<(), SourceError> {
        self.dump = None;
        self.sequence = self.sequence.wrapping_add(1);
        let socket = question_socket().map_err(SourceError::Open)?;
        let asked = match *zones {
            [zone] if !self.dumps_all => Some(zone),
            _ => None,
        };
        let request = dump_request(asked.filter(|_| self.ask_for_zone), self.sequence);
        let zones = zones.to_vec();
        if let Err(source) = socket.send(&request, 0) {
            return Err(SourceError::Dump { zones, source });
        }
        self.dump =
            Some(Dump { socket, zones, asked, sequence: self.sequence, interrupted: false });
        self.tally.dumps += 1;
        Ok(())
    }

    fn next_chunk(&mut self, visit: &mut Visit<'_>) -> Result<DumpProgress, SourceError> {
        let dump = self.dump.as_mut().ok_or(SourceError::NoDump)?;
        let foreign = self.tally.foreign_zone;
        let progress = receive(&dump.socket, &mut self.buffer, 0)
            .and_then(|()| dump.visit(&self.buffer, visit, &mut self.tally))
            .map_err(|source| SourceError::Dump { zones: dump.zones.clone(), source });
        // Kernels before 6.8 dump the whole table whatever zone is asked for.
        self.dumps_all |= dump.asked.is_some() && self.tally.foreign_zone > foreign;
        if matches!(progress, Ok(DumpProgress::Interrupted)) {
            self.tally.dumps_interrupted += 1;
        }
        if !matches!(progress, Ok(DumpProgress::More)) {
            self.dump = None;
        }
        progress
    }

    fn look_up(
        &mut self,
        zone: u16,
        original: &Tuple,
        visit: &mut Visit<'_>,
    ) -> Result<bool, SourceError> {
        let socket = match self.questions.take() {
            Some(socket) => socket,
            None => question_socket().map_err(SourceError::Open)?,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.tally.look_ups += 1;
        let request = look_up_request(zone, original, self.sequence);
        // The kernel answers before it returns. A socket that fails is not used again.
        socket.send(&request, 0).map_err(SourceError::LookUp)?;
        receive(&socket, &mut self.buffer, libc::MSG_DONTWAIT).map_err(SourceError::LookUp)?;
        let mut found = false;
        for message in Messages(&self.buffer) {
            let Ok(message) = message else {
                self.tally.malformed += 1;
                continue;
            };
            if message.sequence != self.sequence || !message.is_dump_entry() {
                continue;
            }
            let wanted = |of: u16| of == zone;
            if let Some(entry) = read(&message, Kind::Update, wanted, &mut self.tally) {
                visit(&entry);
                found = true;
            }
        }
        self.tally.look_ups_missed += u64::from(!found);
        self.questions = Some(socket);
        Ok(found)
    }

    fn health(&self) -> Option<Health> {
        Some(Health { problems: sysctl::check_sysctls(), table: TableFill::read().ok() })
    }

    fn tally(&self) -> SourceTally {
        self.tally
    }
}

impl Dump {
    fn visit(
        &mut self,
        datagram: &[u8],
        visit: &mut Visit<'_>,
        tally: &mut SourceTally,
    ) -> io::Result<DumpProgress> {
        for message in Messages(datagram) {
            let Ok(message) = message else {
                tally.malformed += 1;
                continue;
            };
            if message.sequence != self.sequence {
                continue;
            }
            self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
            if message.is_dump_entry() {
                let wanted = |zone| self.zones.contains(&zone);
                if let Some(entry) = read(&message, Kind::Dump, wanted, tally) {
                    visit(&entry);
                    tally.dump_entries += 1;
                }
                continue;
            }
            match (message.kind, message.error_number()) {
                (NLMSG_DONE | NLMSG_ERROR, number) if number != 0 => {
                    return Err(io::Error::from_raw_os_error(number));
                }
                (NLMSG_DONE, _) if self.interrupted => return Ok(DumpProgress::Interrupted),
                (NLMSG_DONE, _) => return Ok(DumpProgress::Done),
                _ => {}
            }
        }
        Ok(DumpProgress::More)
    }
}

/// Reads an entry, or counts why there is none to visit.
#[inline]
fn read(
    message: &Message<'_>,
    kind: Kind,
    wanted: impl Fn(u16) -> bool,
    tally: &mut SourceTally,
) -> Option<Entry> {
    match parse(kind, message.body) {
        Ok(entry) if wanted(entry.zone) => return Some(entry),
        Ok(_) => tally.foreign_zone += 1,
        Err(error) => tally.unreadable(error),
    }
    None
}

fn event_socket(options: &NetlinkOptions) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    sys::enlarge_receive_buffer(socket.as_fd(), options.receive_buffer)?;
    if options.reliable {
        socket.set_broadcast_error(true)?;
    }
    socket.add_membership(NFNLGRP_CONNTRACK_NEW)?;
    socket.add_membership(NFNLGRP_CONNTRACK_UPDATE)?;
    socket.add_membership(NFNLGRP_CONNTRACK_DESTROY)?;
    Ok(socket)
}

fn question_socket() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    // Makes the kernel refuse a request it does not understand. Kernels before 4.20 do not know
    // the option, and behave as they always did.
    if let Err(error) = socket.set_netlink_get_strict_chk(true)
        && error.raw_os_error() != Some(libc::ENOPROTOOPT)
    {
        return Err(error);
    }
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// Receives one datagram into `buffer`, whose capacity it never exceeds.
fn receive(socket: &Socket, buffer: &mut Vec<u8>, flags: i32) -> io::Result<()> {
    loop {
        buffer.clear();
        match socket.recv(buffer, flags) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
