//! One connection as one conntrack message tells it.
//!
//! Everything is of fixed size, so entries are copied and compared without touching the heap.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::verdict::Verdict;

/// `IPS_*` bits of [`Entry::status`] (`linux/netfilter/nf_conntrack_common.h`).
pub mod status {
    pub const SEEN_REPLY: u32 = 1 << 1;
    pub const ASSURED: u32 = 1 << 2;
    pub const CONFIRMED: u32 = 1 << 3;
    pub const SRC_NAT: u32 = 1 << 4;
    pub const DST_NAT: u32 = 1 << 5;
    pub const DYING: u32 = 1 << 9;
}

/// States of TCP connections (`linux/netfilter/nf_conntrack_tcp.h`).
pub mod tcp_state {
    pub const ESTABLISHED: u8 = 3;
    pub const TIME_WAIT: u8 = 7;
    pub const CLOSE: u8 = 8;

    const NAMES: [&str; 10] = [
        "NONE",
        "SYN_SENT",
        "SYN_RECV",
        "ESTABLISHED",
        "FIN_WAIT",
        "CLOSE_WAIT",
        "LAST_ACK",
        "TIME_WAIT",
        "CLOSE",
        "SYN_SENT2",
    ];

    /// The name Antrea sends as `tcpState`.
    pub fn name(state: u8) -> Option<&'static str> {
        NAMES.get(usize::from(state)).copied()
    }

    /// No data can follow: the entry only lingers until the kernel's timeout.
    pub fn is_final(state: u8) -> bool {
        matches!(state, TIME_WAIT | CLOSE)
    }
}

pub(super) mod protocol {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const ICMPV6: u8 = 58;
}

/// Which message an entry came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An answer to a dump request.
    Dump,
    /// The event that a connection has begun. Carries no counters and no timestamp.
    New,
    /// The event that something other than counters has changed, which tells no counters; or
    /// the answer to a question about this connection alone, which does.
    Update,
    /// The event that a connection is over, with its final counters. Carries no labels.
    Destroy,
}

/// What one direction of a connection looks like on the wire.
///
/// Like the kernel's own tuple it uses the room of the ports for ICMP's identifier, type and code.
/// IPv4 addresses fill the first four bytes, so that tuples can be compared and hashed as plain
/// memory, and the family tells them from IPv6 addresses that begin alike.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuple {
    pub(super) source: [u8; 16],
    pub(super) destination: [u8; 16],
    /// ICMP: the identifier.
    pub(super) source_port: u16,
    /// ICMP: type in the high byte, code in the low one.
    pub(super) destination_port: u16,
    pub(super) protocol: u8,
    pub(super) is_ipv6: bool,
}

/// The part of an ICMP message, of either version, that conntrack tells connections apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    pub kind: u8,
    pub code: u8,
    pub id: u16,
}

impl Tuple {
    /// A tuple that names nothing yet.
    pub(super) const EMPTY: Self = Self {
        source: [0; 16],
        destination: [0; 16],
        source_port: 0,
        destination_port: 0,
        protocol: 0,
        is_ipv6: false,
    };

    /// Both addresses must be of one family; if not, both become IPv6.
    pub fn new(source: (IpAddr, u16), destination: (IpAddr, u16), protocol: u8) -> Self {
        let is_ipv6 = source.0.is_ipv6() || destination.0.is_ipv6();
        Self {
            source: octets(source.0, is_ipv6),
            destination: octets(destination.0, is_ipv6),
            source_port: source.1,
            destination_port: destination.1,
            protocol,
            is_ipv6,
        }
    }

    /// The version of ICMP follows from the addresses.
    pub fn icmp(source: IpAddr, destination: IpAddr, icmp: Icmp) -> Self {
        let protocol = if source.is_ipv6() { protocol::ICMPV6 } else { protocol::ICMP };
        let type_and_code = u16::from_be_bytes([icmp.kind, icmp.code]);
        Self::new((source, icmp.id), (destination, type_and_code), protocol)
    }

    pub fn source(&self) -> IpAddr {
        self.address(&self.source)
    }

    /// The same packet on its way to somewhere else. An address of another family changes nothing.
    pub(crate) fn with_destination(&self, destination: (IpAddr, u16)) -> Self {
        if destination.0.is_ipv6() != self.is_ipv6 || self.is_icmp() {
            return *self;
        }
        let (address, port) = destination;
        Self { destination: octets(address, self.is_ipv6), destination_port: port, ..*self }
    }

    pub fn destination(&self) -> IpAddr {
        self.address(&self.destination)
    }

    /// 0 for protocols without ports, ICMP among them.
    pub fn source_port(&self) -> u16 {
        if self.is_icmp() { 0 } else { self.source_port }
    }

    /// 0 for protocols without ports, ICMP among them.
    pub fn destination_port(&self) -> u16 {
        if self.is_icmp() { 0 } else { self.destination_port }
    }

    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    pub fn as_icmp(&self) -> Option<Icmp> {
        let [kind, code] = self.destination_port.to_be_bytes();
        self.is_icmp().then_some(Icmp { kind, code, id: self.source_port })
    }

    /// What a packet in the other direction looks like. Of ICMP only the ends change places.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let ports = if self.is_icmp() {
            (self.source_port, self.destination_port)
        } else {
            (self.destination_port, self.source_port)
        };
        Self {
            source: self.destination,
            destination: self.source,
            source_port: ports.0,
            destination_port: ports.1,
            ..*self
        }
    }

    /// Everything in it, packed for hashing.
    pub(crate) fn words(&self) -> [u64; 5] {
        let [s0, s1] = halves(self.source);
        let [d0, d1] = halves(self.destination);
        let ports = u64::from(self.source_port) << 16 | u64::from(self.destination_port);
        let rest = ports << 16 | u64::from(self.protocol) << 8 | u64::from(self.is_ipv6);
        [s0, s1, d0, d1, rest]
    }

    fn is_icmp(&self) -> bool {
        matches!(self.protocol, protocol::ICMP | protocol::ICMPV6)
    }

    fn address(&self, bytes: &[u8; 16]) -> IpAddr {
        if self.is_ipv6 {
            return Ipv6Addr::from(*bytes).into();
        }
        let [a, b, c, d, ..] = *bytes;
        Ipv4Addr::new(a, b, c, d).into()
    }
}

impl Hash for Tuple {
    /// Whole words: slices would be hashed with their lengths, a byte at a time.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for word in self.words() {
            hasher.write_u64(word);
        }
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, destination) = (self.source(), self.destination());
        match self.as_icmp() {
            Some(icmp) => write!(f, "{source} > {destination} {icmp:?}"),
            None => write!(
                f,
                "{source} {} > {destination} {} protocol {}",
                self.source_port, self.destination_port, self.protocol
            ),
        }
    }
}

/// Packets and bytes in both directions. Bytes are those of the IP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    pub packets: u64,
    pub octets: u64,
    pub reverse_packets: u64,
    pub reverse_octets: u64,
}

/// What one conntrack message tells about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    pub original: Tuple,
    pub reply: Tuple,
    pub zone: u16,
    /// `CTA_ID`: a keyed hash of where the kernel keeps the entry and of the original tuple. It
    /// comes back when a later connection with the same tuple gets the same piece of memory.
    pub id: u32,
    pub mark: u32,
    /// Bits of [`status`].
    pub status: u32,
    /// Most significant byte first.
    pub labels: Option<[u8; 16]>,
    /// Missing means "not counted" (accounting was off when it began, or an event that carries
    /// none), not zero.
    pub counters: Option<Counters>,
    /// Nanoseconds since 1970.
    pub start_ns: Option<u64>,
    /// Nanoseconds since 1970; only in [`Kind::Destroy`].
    pub stop_ns: Option<u64>,
    /// A number of [`tcp_state`]; `None` for other protocols.
    pub tcp_state: Option<u8>,
    /// Seconds until the kernel forgets the connection.
    pub timeout: u32,
    /// That it was denied, of which the kernel knows nothing.
    pub denied: Option<Verdict>,
}

impl Entry {
    /// An entry that tells nothing but who talks to whom.
    pub const fn new(kind: Kind, original: Tuple, reply: Tuple) -> Self {
        Self {
            kind,
            original,
            reply,
            zone: 0,
            id: 0,
            mark: 0,
            status: 0,
            labels: None,
            counters: None,
            start_ns: None,
            stop_ns: None,
            tcp_state: None,
            timeout: 0,
            denied: None,
        }
    }
}

fn octets(address: IpAddr, as_ipv6: bool) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) if as_ipv6 => address.to_ipv6_mapped().octets(),
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
    }
}

fn halves(bytes: [u8; 16]) -> [u64; 2] {
    let all = u128::from_ne_bytes(bytes);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
    [(all >> 64) as u64, all as u64]
}
