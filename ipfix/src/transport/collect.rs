//! The Collecting Process: Transport Sessions from many exporters over TCP, TLS and UDP.
//!
//! What one peer sends can end its own session and nothing else. RFC 7011, section 10.4.3, asks to
//! close a connection that carried a malformed message; over UDP the datagram is dropped, for
//! anybody may have sent it. Even a panic of the caller's code ends one session alone.
//!
//! A caller that is busy stops the reading: TCP then stops the sender, and over UDP the kernel
//! drops what its buffer cannot hold, which sequence numbers will tell.

mod counters;
mod datagram;
mod session;
mod stream;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, UdpSocket},
    sync::{Semaphore, watch},
};

use super::ReadError;
#[cfg(feature = "tls")]
use super::tls::ServerTls;
use crate::{
    decode::{self, Summary},
    message::MessageError,
};

use counters::Registry;
pub use counters::{Counters, SessionCounters};

/// Opens the caller's half of each Transport Session.
pub trait Collector: Send + Sync + 'static {
    /// What keeps the state of one session.
    type Session: CollectorSession;

    /// Begins a session with `peer`, which may have a few Templates (`limits`).
    fn open(&self, peer: &Peer, limits: decode::Limits) -> Self::Session;

    /// Learns of a peer that got no session.
    fn refused(&self, _peer: SocketAddr, _why: &Refused) {}
}

/// The caller's half of one Transport Session, most likely around a [`decode::Session`].
pub trait CollectorSession: Send + 'static {
    /// Takes one whole message. The next one is not read before this is done.
    fn message(&mut self, message: &[u8])
    -> impl Future<Output = Result<Summary, Rejected>> + Send;

    /// Learns why the session is over. Not called if [`Self::message`] panicked.
    fn ended(self, _end: &SessionEnd)
    where
        Self: Sized,
    {
    }
}

/// The other end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// An IPv4 address is one, even if the socket is for both families.
    pub address: SocketAddr,
    /// How its messages arrive.
    pub protocol: Protocol,
    /// The certificate the peer has proved to be its own, as DER.
    pub certificate: Option<Arc<[u8]>>,
}

/// How messages arrive (RFC 7011, section 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Back to back on a connection (RFC 7011, section 10.4).
    Tcp,
    /// As over TCP, but encrypted (RFC 7011, section 11.1).
    Tls,
    /// One per datagram (RFC 7011, section 10.3).
    Udp,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The message cannot be decoded (RFC 7011, section 9.1).
    #[error("message is malformed")]
    Malformed(#[from] MessageError),
    /// Nobody wants messages of this session any more.
    #[error("session is not wanted any more")]
    Unwanted,
}

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub enum SessionEnd {
    /// The exporter closed the connection between two messages.
    #[error("closed by the exporter")]
    Closed,
    /// The session was silent for longer than its limit ([`Limits`]).
    #[error("nothing came for too long")]
    Idle,
    /// The process ends, and its time to drain sessions is over.
    #[error("this process is shutting down")]
    Shutdown,
    /// The caller's half took no more ([`CollectorSession::message`]).
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// A message was longer than its limit ([`Limits`]), in bytes.
    #[error("message of {0} bytes is longer than allowed")]
    TooLong(usize),
    /// The connection broke, or what came is no message.
    #[error(transparent)]
    Read(ReadError),
    /// The caller's half of the session is in no state to go on.
    #[error("the code behind the session panicked")]
    Panicked,
}

impl SessionEnd {
    /// Returns true if it ended as sessions do.
    pub const fn is_orderly(&self) -> bool {
        matches!(self, Self::Closed | Self::Idle | Self::Shutdown)
    }

    /// Returns true if the peer broke the rules of the format, or of this process.
    pub const fn is_malformed(&self) -> bool {
        matches!(
            self,
            Self::TooLong(_)
                | Self::Rejected(Rejected::Malformed(_))
                | Self::Read(ReadError::Message(_))
        )
    }
}

/// Why a peer got no session, or a datagram none.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// As many sessions are open as there may be ([`Limits`]).
    #[error("{0} sessions are open already")]
    TooMany(usize),
    /// The peer is not who it should be, does not trust us, or speaks no TLS.
    #[error("TLS handshake was not successful")]
    Handshake(#[source] io::Error),
    /// The peer did not finish the TLS handshake ([`Limits`]).
    #[error("no TLS handshake within {0:?}")]
    HandshakeDeadline(Duration),
    /// What came is no message (RFC 7011, section 3.1).
    #[error("datagram is not a message")]
    Malformed(#[from] MessageError),
    /// The message is longer than its limit ([`Limits`]), in bytes.
    #[error("datagram of {0} bytes is longer than allowed")]
    TooLong(usize),
}

/// What peers may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions open at a time, over all listeners. A UDP session is a peer's address and port.
    pub sessions: usize,
    /// What is remembered of each.
    pub session: decode::Limits,
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 4096,
            session: decode::Limits::default(),
            message: u16::MAX,
            idle: Duration::from_mins(10),
            idle_udp: Duration::from_mins(30),
            handshake: Duration::from_secs(5),
            drain: Duration::from_millis(500),
        }
    }
}

/// Accepts sessions for a [`Collector`], from as many listeners as there are.
#[derive(Debug)]
pub struct CollectingProcess<C> {
    shared: Arc<Shared<C>>,
}

/// What all sessions have in common.
#[derive(Debug)]
struct Shared<C> {
    collector: C,
    limits: Limits,
    permits: Arc<Semaphore>,
    registry: Registry,
}

impl<C: Collector> CollectingProcess<C> {
    /// Makes a process without listeners, whose sessions keep to `limits`.
    pub fn new(collector: C, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.sessions));
        let registry = Registry::default();
        Self { shared: Arc::new(Shared { collector, limits, permits, registry }) }
    }

    /// Accepts connections until `shutdown` turns true, then lets those that are open finish.
    pub async fn tcp(&self, listener: TcpListener, shutdown: watch::Receiver<bool>) {
        stream::listen(&self.shared, listener, stream::Security::None, shutdown).await;
    }

    /// Accepts TLS connections until `shutdown` turns true, then lets those that are open finish.
    #[cfg(feature = "tls")]
    pub async fn tls(
        &self,
        listener: TcpListener,
        tls: ServerTls,
        shutdown: watch::Receiver<bool>,
    ) {
        stream::listen(&self.shared, listener, stream::Security::Tls(tls), shutdown).await;
    }

    /// Receives datagrams until `shutdown` turns true, then those that have arrived already.
    ///
    /// One socket keeps one task busy at most; see [`super::bind_udp`] for its buffer.
    pub async fn udp(&self, socket: UdpSocket, shutdown: watch::Receiver<bool>) {
        datagram::listen(&self.shared, socket, shutdown).await;
    }

    /// Returns what all sessions together have done, those that are over included.
    pub fn counters(&self) -> Counters {
        self.shared.registry.counters()
    }

    /// Returns the sessions that are open, and what each has done.
    pub fn sessions(&self) -> Vec<(Peer, SessionCounters)> {
        self.shared.registry.sessions()
    }

    /// Returns what opens the caller's half of each session.
    pub fn collector(&self) -> &C {
        &self.shared.collector
    }
}

impl<C> Clone for CollectingProcess<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// Returns `address` as IPv4 if it is an IPv4 address in the clothes of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
