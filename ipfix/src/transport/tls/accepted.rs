//! The collector's end of a TLS connection. It only reads.
//!
//! rustls can keep its own buffers, but then one system call brings one TLS record at most, and each
//! is decrypted at the same place and copied to the same place. Some processors take 25 times as
//! long for a copy between places whose addresses differ by little in their last 12 bits, which was
//! half of what TLS cost. Here many records come at once, each at a place of its own.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    io,
    ops::Deref,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{
    CommonState, ServerConfig,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Bytes of TLS records: eight of the longest, and so also the longest message of a handshake that
/// rustls takes. A peer with little to say never touches the pages behind.
const CAPACITY: usize = 128 * 1024;

/// The longest text in one record (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;

/// A connection that is secured, or is about to be.
pub(in crate::transport) struct Accepted {
    stream: TcpStream,
    tls: UnbufferedServerConnection,
    incoming: Incoming,
    /// What TLS itself has to say: its handshake, tickets, new keys, alerts.
    outgoing: Vec<u8>,
    /// Text that had no room where it was wanted.
    rest: VecDeque<u8>,
    /// Nothing more comes, or what comes is not wanted.
    closed: bool,
    /// Why nothing more can be read, once the text before it has been.
    failed: Option<io::Error>,
}

/// What has come and is not decrypted.
struct Incoming {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

/// What to do next.
enum Step {
    Again,
    /// Nothing more can be done with what has come.
    Receive,
    Closed,
}

impl Accepted {
    /// Completes the handshake.
    pub(super) async fn handshake(
        stream: TcpStream,
        config: Arc<ServerConfig>,
    ) -> io::Result<Self> {
        let tls = UnbufferedServerConnection::new(config).map_err(invalid)?;
        let mut accepted = Self {
            stream,
            tls,
            incoming: Incoming::new(),
            outgoing: Vec::new(),
            rest: VecDeque::new(),
            closed: false,
            failed: None,
        };
        poll_fn(|context| accepted.poll_handshake(context)).await?;
        Ok(accepted)
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let nowhere = &mut ReadBuf::new(&mut []);
        // A handshake of TLS 1.2 ends with our words.
        while self.tls.is_handshaking() || self.tls.wants_write() {
            match self.step(nowhere, context)? {
                Step::Again => {}
                Step::Receive => {
                    ready!(self.poll_send(context))?;
                    ready!(self.poll_receive(context))?;
                }
                Step::Closed => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            }
        }
        self.poll_send(context)
    }

    /// Does one thing that can be done with what has come. Adds to `text` what it says.
    fn step(&mut self, text: &mut ReadBuf<'_>, context: &mut Context<'_>) -> io::Result<Step> {
        let status = self.tls.process_tls_records(self.incoming.unread());
        let mut discard = status.discard;
        let step = match status.state {
            Ok(ConnectionState::ReadTraffic(mut records)) => {
                while let Some(record) = records.next_record() {
                    let record = record.map_err(invalid)?;
                    discard += record.discard;
                    let fits = text.remaining().min(record.payload.len());
                    let (now, later) = record.payload.split_at(fits);
                    text.put_slice(now);
                    self.rest.extend(later);
                }
                Ok(Step::Again)
            }
            Ok(ConnectionState::EncodeTlsData(data)) => {
                encode(data, &mut self.outgoing).map(|()| Step::Again)
            }
            // It is in `outgoing`, which is sent before anything more is received.
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Ok(Step::Again)
            }
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                Ok(Step::Receive)
            }
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Step::Closed),
            // Early data, which anybody might have sent again.
            Ok(_) => Err(io::ErrorKind::Unsupported.into()),
            Err(error) => Err(invalid(error)),
        };
        self.incoming.discard(discard);
        step.map_err(|error| self.fail(error, context))
    }

    /// Tells the peer what is wrong, if it can be told at once, and reads no more: rustls must not
    /// be shown again what it has found fault with.
    fn fail(&mut self, error: io::Error, context: &mut Context<'_>) -> io::Error {
        self.closed = true;
        while self.tls.wants_write() {
            let state = self.tls.process_tls_records(&mut []).state;
            let Ok(ConnectionState::EncodeTlsData(data)) = state else { break };
            if encode(data, &mut self.outgoing).is_err() {
                break;
            }
        }
        // The error counts, whether or not anybody hears of it.
        let _told = self.poll_send(context);
        error
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let stream = Pin::new(&mut self.stream);
            let sent = ready!(stream.poll_write(context, &self.outgoing))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = ReadBuf::new(self.incoming.room());
        if room.remaining() == 0 {
            return Poll::Ready(Err(invalid("TLS message is too long")));
        }
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut room))?;
        let received = room.filled().len();
        self.incoming.end += received;
        Poll::Ready(match received {
            // Somebody in between may have cut the connection.
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        })
    }

    fn take_rest(&mut self, text: &mut ReadBuf<'_>) {
        while text.remaining() > 0 && !self.rest.is_empty() {
            let (front, _) = self.rest.as_slices();
            let fits = text.remaining().min(front.len());
            text.put_slice(front.split_at(fits).0);
            self.rest.drain(..fits);
        }
    }

    /// Reads what there is for `text`, and waits only if there is nothing.
    fn poll_text(
        &mut self,
        context: &mut Context<'_>,
        text: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = text.filled().len();
        self.take_rest(text);
        loop {
            let any = text.filled().len() > before;
            if self.closed || (any && text.remaining() < RECORD) || text.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match self.step(text, context)? {
                Step::Again => {}
                Step::Receive if any => return Poll::Ready(Ok(())),
                Step::Receive => {
                    // Who is gone may still have sent something before.
                    if ready!(self.poll_send(context)).is_err() {
                        self.outgoing.clear();
                    }
                    ready!(self.poll_receive(context))?;
                }
                Step::Closed => self.closed = true,
            }
        }
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        text: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let accepted = self.get_mut();
        if let Some(error) = accepted.failed.take() {
            return Poll::Ready(Err(error));
        }
        let before = text.filled().len();
        match ready!(accepted.poll_text(context, text)) {
            Err(error) if text.filled().len() > before => accepted.failed = Some(error),
            result => return Poll::Ready(result),
        }
        Poll::Ready(Ok(()))
    }
}

impl Deref for Accepted {
    type Target = CommonState;

    /// What was agreed on.
    fn deref(&self) -> &CommonState {
        &self.tls
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Incoming {
    fn new() -> Self {
        Self { buffer: vec![0; CAPACITY].into_boxed_slice(), start: 0, end: 0 }
    }

    fn unread(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..self.end).unwrap_or_default()
    }

    fn discard(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// Makes room behind what is unread.
    fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }
}

/// Appends `data` to `outgoing`.
fn encode<D>(mut data: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> io::Result<()> {
    let start = outgoing.len();
    // It says how much it needs, and takes that.
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
        data.encode(&mut [])
    {
        outgoing.resize(start + required_size, 0);
        data.encode(outgoing.get_mut(start..).unwrap_or_default()).map_err(invalid)?;
    }
    Ok(())
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests; // against the client of tokio-rustls
