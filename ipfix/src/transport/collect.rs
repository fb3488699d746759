//! The Collecting Process: Transport Sessions from many exporters over TCP, TLS and UDP.
//!
//! What one peer sends can end its own session and nothing else. RFC 7011, section 10.4.3, asks to
//! close a connection that carried a malformed message; over UDP the datagram is dropped, for
//! anybody may have sent it. Even a panic of the caller's code ends one session alone.
//!
//! A caller that is busy stops the reading: TCP then stops the sender, and over UDP the kernel
//! drops what its buffer cannot hold, which sequence numbers will tell.

mod arrived;
mod counters;
mod datagram;
mod limits;
mod session;
mod stream;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

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
pub use limits::Limits;

/// Opens the caller's half of each Transport Session.
pub trait Collector: Send + Sync + 'static {
    /// What the caller compiles a Template into; see [`decode::Session`].
    type Plan: Send + 'static;
    /// What keeps the state of one session.
    type Session: CollectorSession;

    /// Begins a session with `peer`. `decoder` is to decode its messages, and only those: it keeps
    /// to the [`Limits`] of this process and to the rules of the peer's transport.
    fn open(&self, peer: &Peer, decoder: decode::Session<Self::Plan>) -> Self::Session;

    /// Learns of a peer that got no session.
    fn refused(&self, _peer: SocketAddr, _why: &Refused) {}

    /// Learns that a listener could not accept or receive. It goes on; out of file descriptors
    /// most likely, which come back as sessions end.
    fn listener_failed(&self, _error: &io::Error) {}
}

/// The caller's half of one Transport Session.
pub trait CollectorSession: Send + 'static {
    /// Takes one whole message that arrived at `now`, as [`decode::Session::decode_at`] does.
    ///
    /// The next one is not taken before this is done: whoever has no room for what a message may
    /// tell waits here, before decoding it. The future is dropped where it waits when the time to
    /// shut down is over.
    fn message(
        &mut self,
        message: &[u8],
        now: Instant,
    ) -> impl Future<Output = Result<Summary, Rejected>> + Send;

    /// Learns that all messages are taken that have arrived by now: whoever gathers what several
    /// tell passes it on. Also called before [`Self::ended`], unless the caller panicked or the
    /// time to shut down is over.
    fn caught_up(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Learns why the session is over: also that [`Self::message`] panicked, and has left whatever
    /// it left.
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
    /// Everything that had arrived by then was taken.
    #[error("this process is shutting down")]
    Shutdown,
    /// What had arrived and was not taken is lost.
    #[error("this process is shutting down, and had no time left to read it to its end")]
    CutOff,
    /// Over UDP: no record of it was ever understood, and another peer needed its place.
    #[error("no record of it came, and there was no room for others")]
    Crowded,
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
        matches!(self, Self::Closed | Self::Idle | Self::Shutdown | Self::Crowded)
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
    /// The caller's half of the session could not be opened.
    #[error("the code behind the session panicked")]
    Panicked,
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

    /// Accepts connections until `shutdown` turns true, then none, and lets those that are open
    /// finish.
    pub async fn tcp(&self, listener: TcpListener, shutdown: watch::Receiver<bool>) {
        stream::listen(&self.shared, listener, stream::Security::None, shutdown).await;
    }

    /// Accepts TLS connections until `shutdown` turns true, then none, and lets those that are open
    /// finish.
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
    /// One socket keeps one task busy at most; see [`super::bind_udp`] for its buffer. Sessions
    /// whose caller waits make all of them wait, since nobody can stop their peers.
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

impl<C: Collector> Shared<C> {
    fn refuse(&self, address: SocketAddr, why: &Refused) {
        self.registry.refused(why);
        self.collector.refused(address, why);
    }

    fn listener_failed(&self, error: &io::Error) {
        self.registry.listener_failed();
        self.collector.listener_failed(error);
    }
}

/// Returns `address` as IPv4 if it is an IPv4 address in the clothes of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
