//! What peers may cost.

use std::time::Duration;

use super::Protocol;
use crate::decode::{self, Rules};

/// What peers may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions open at a time, over all listeners. A UDP session is a peer's address and port.
    pub sessions: usize,
    /// What is remembered of each.
    pub session: decode::Limits,
    /// What exporters may do over TCP and TLS.
    pub stream: Rules,
    /// What exporters may do over UDP.
    pub datagrams: Rules,
    /// The longest message.
    pub message: u16,
    /// How long a connection may be without a whole message.
    pub idle: Duration,
    /// How long a UDP session may be silent. Its Templates go with it, so this must be several
    /// times what exporters let pass before they send them again (RFC 7011, section 8.4).
    pub idle_udp: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long sessions may still be read once shutdown was asked for. What exporters have sent
    /// by then is in the socket buffers.
    pub drain: Duration,
    /// How long a connection may be without a whole message then, before it counts as read to its
    /// end.
    pub drain_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 4096,
            session: decode::Limits::default(),
            stream: Rules::stream(),
            datagrams: Rules::datagrams(),
            message: u16::MAX,
            idle: Duration::from_mins(10),
            idle_udp: Duration::from_mins(30),
            handshake: Duration::from_secs(5),
            drain: Duration::from_secs(1),
            drain_idle: Duration::from_millis(200),
        }
    }
}

impl Limits {
    pub(super) const fn rules(&self, protocol: Protocol) -> Rules {
        match protocol {
            Protocol::Tcp | Protocol::Tls => self.stream,
            Protocol::Udp => self.datagrams,
        }
    }
}
