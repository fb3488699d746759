//! Where an Exporting Process sends its messages, and how it gets a connection there.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UdpSocket, lookup_host},
    time::timeout,
};

use super::socket;
#[cfg(feature = "tls")]
use super::tls::ClientTls;
use crate::{encode::EncodeError, message::MessageError};

/// A Collecting Process as its exporters see it.
#[derive(Debug, Clone)]
pub struct Destination {
    /// `host:port`. A name is resolved anew for each session, since collectors move.
    pub address: String,
    /// What carries the messages there.
    pub transport: Transport,
    /// Says where `address` is, if not the system's resolver does.
    pub locator: Option<Locator>,
    /// How long it may take.
    pub deadlines: Deadlines,
}

/// Says where a destination is: `host:port` for the system's resolver, or an address and a port.
/// Asked before each session.
#[derive(Clone)]
pub struct Locator(Arc<dyn Fn() -> Location + Send + Sync>);

type Location = Pin<Box<dyn Future<Output = io::Result<String>> + Send>>;

impl Locator {
    /// Asks `locate`, which must come to an end by itself.
    pub fn new<F>(locate: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(locate())))
    }
}

impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locator").finish_non_exhaustive()
    }
}

/// What carries the messages (RFC 7011, section 10).
///
/// Two are left out. SCTP is what no exporter or collector around us speaks. DTLS 1.2 has no
/// maintained implementation in the style of rustls; whoever needs encryption takes TLS, which in
/// addition loses nothing.
#[derive(Debug, Clone)]
pub enum Transport {
    /// Messages back to back on a connection (RFC 7011, section 10.4).
    Tcp,
    /// As TCP, but encrypted (RFC 7011, section 11.1).
    #[cfg(feature = "tls")]
    Tls(ClientTls),
    /// One message per datagram.
    Udp,
}

/// How long a destination may take before it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// To connect, per address the name stands for; and again for the TLS handshake.
    pub connect: Duration,
    /// To take anything at all of what is written.
    pub write: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), write: Duration::from_secs(10) }
    }
}

/// Why there is no session, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The name cannot be looked up.
    #[error("{address} cannot be resolved")]
    Resolve {
        /// `host:port`, as the destination spells it.
        address: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The name exists, but stands for no address.
    #[error("{0} stands for no address")]
    NoAddress(String),
    /// The last address that was tried did not accept the connection.
    #[error("no connection to {address}")]
    Connect {
        /// Where nobody listens.
        address: SocketAddr,
        /// Why there is no connection.
        #[source]
        source: io::Error,
    },
    /// The last address that was tried did not answer ([`Deadlines::connect`]).
    #[error("no connection to {address} within {deadline:?}")]
    ConnectDeadline {
        /// Where nobody answers.
        address: SocketAddr,
        /// How long was waited.
        deadline: Duration,
    },
    /// There is nothing to shake hands with, so the collector was not asked.
    #[error("what TLS needs is not there")]
    NoTls(#[source] io::Error),
    /// The collector is not who it should be, does not trust us, or speaks no TLS.
    #[error("TLS handshake was not successful")]
    Handshake(#[source] io::Error),
    /// The collector did not finish the TLS handshake ([`Deadlines::connect`]).
    #[error("no TLS handshake within {0:?}")]
    HandshakeDeadline(Duration),
    /// The socket failed, or the collector reset the connection.
    #[error("connection broke")]
    Io(#[from] io::Error),
    /// The collector stopped to read ([`Deadlines::write`]).
    #[error("collector took nothing for {0:?}")]
    WriteDeadline(Duration),
    /// The collector ended the session in good order.
    #[error("collector closed the connection")]
    Closed,
    /// The caller's bytes have no message header where one should be.
    #[error("what is to be sent is not a message")]
    Message(#[from] MessageError),
    /// The caller's bytes end in the middle of a message.
    #[error("what is to be sent ends {0} bytes into a message")]
    Truncated(usize),
    /// The Templates of the caller fit no message.
    #[error("template cannot be encoded")]
    Template(#[from] EncodeError),
}

/// A connection that carries bytes in order.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// What a session sends through.
pub(super) enum Link {
    Stream(Box<dyn Stream>),
    Datagrams(UdpSocket),
}

impl Destination {
    /// Names a destination `host:port`, with the default deadlines.
    pub fn new(address: impl Into<String>, transport: Transport) -> Self {
        Self { address: address.into(), transport, locator: None, deadlines: Deadlines::default() }
    }

    /// Returns true if a message is a datagram, and may get lost.
    pub const fn is_udp(&self) -> bool {
        matches!(self.transport, Transport::Udp)
    }

    pub(super) async fn connect(&self) -> Result<Link, SessionError> {
        match self.transport {
            Transport::Udp => {
                let addresses = self.addresses().await?;
                self.first_that(&addresses, udp).await.map(Link::Datagrams)
            }
            _ => self.stream().await.map(Link::Stream),
        }
    }

    /// Connects, and shakes hands where the transport does. For protocols beside IPFIX that share
    /// its destinations; over UDP there is no stream.
    pub async fn stream(&self) -> Result<Box<dyn Stream>, SessionError> {
        let addresses = self.addresses().await?;
        match &self.transport {
            Transport::Udp => Err(io::Error::from(io::ErrorKind::Unsupported).into()),
            Transport::Tcp => Ok(Box::new(self.first_that(&addresses, tcp).await?)),
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => {
                let tls = tls.ready().map_err(SessionError::NoTls)?;
                let handshake = tls.connect(self.first_that(&addresses, tcp).await?);
                let deadline = self.deadlines.connect;
                let connected = timeout(deadline, handshake)
                    .await
                    .map_err(|_| SessionError::HandshakeDeadline(deadline))?
                    .map_err(SessionError::Handshake)?;
                Ok(Box::new(connected))
            }
        }
    }

    /// Returns the longest message of a datagram that the way there carries in one packet, as far
    /// as the kernel knows of it: from its routes, and from what routers have told it.
    pub async fn longest_datagram(&self) -> Result<u16, SessionError> {
        let addresses = self.addresses().await?;
        let socket = self.first_that(&addresses, udp).await?;
        Ok(socket::longest_datagram(&socket)?)
    }

    /// Returns all addresses the name stands for now.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, SessionError> {
        let unresolved = |source| SessionError::Resolve { address: self.address.clone(), source };
        let located = match &self.locator {
            None => self.address.clone(),
            Some(Locator(locate)) => locate().await.map_err(unresolved)?,
        };
        Ok(lookup_host(&located).await.map_err(unresolved)?.collect())
    }

    /// Returns the first connection that works.
    async fn first_that<T, F>(
        &self,
        addresses: &[SocketAddr],
        connect: impl Fn(SocketAddr) -> F,
    ) -> Result<T, SessionError>
    where
        F: Future<Output = io::Result<T>>,
    {
        let mut last = SessionError::NoAddress(self.address.clone());
        let deadline = self.deadlines.connect;
        for &address in addresses {
            last = match timeout(deadline, connect(address)).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(source)) => SessionError::Connect { address, source },
                Err(_) => SessionError::ConnectDeadline { address, deadline },
            };
        }
        Err(last)
    }
}

async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Messages are written as many at a time as there are; what is left waits for nothing.
    stream.set_nodelay(true)?;
    socket::keep_alive(&stream)?;
    Ok(stream)
}

/// A connected socket, so that the kernel passes on that nobody listens at the other end.
async fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}
