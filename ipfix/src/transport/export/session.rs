//! The sending half of one Transport Session, for messages that are already encoded.

use std::{
    fmt, future, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt as _, ReadBuf},
    net::UdpSocket,
    task::yield_now,
    time::timeout,
};

use super::super::destination::{Destination, Link, SessionError, Stream, Transport};
use crate::message::message_length;

/// The kernel has no other name for a datagram that is too long for the path.
const EMSGSIZE: i32 = rustix::io::Errno::MSGSIZE.raw_os_error();

/// How often a datagram is sent at most. What makes it twice is that the kernel answers with what
/// became of an earlier one.
const ATTEMPTS: u32 = 3;

/// One Transport Session, from connecting to its end.
///
/// Reconnecting is not its business: Templates and sequence numbers belong to the session and
/// would be wrong in the next (RFC 7011, section 8). [`super::ExportingProcess`] does that.
pub struct ExportSession {
    link: Link,
    write_deadline: Duration,
    /// The other end says something of its own accord.
    is_answered: bool,
    /// The other end of a UDP session has said that nobody listens.
    refused: bool,
    /// Messages too long for a datagram.
    unsendable: u64,
}

impl ExportSession {
    /// Connects, and shakes hands where the transport does.
    pub async fn open(destination: &Destination) -> Result<Self, SessionError> {
        let link = destination.connect().await?;
        Ok(Self {
            link,
            write_deadline: destination.deadlines.write,
            is_answered: !matches!(destination.transport, Transport::Tcp | Transport::Udp),
            refused: false,
            unsendable: 0,
        })
    }

    /// Writes `messages`, which are whole and back to back, from offset `written` on.
    ///
    /// `written` grows as bytes leave: after an error it tells which messages were written
    /// whole ([`super::whole_messages`]). Those may have been read and must never be sent again;
    /// one that was cut off cannot have been read, and may.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call goes on at `written`.
    pub async fn write(
        &mut self,
        messages: &[u8],
        written: &mut usize,
    ) -> Result<(), SessionError> {
        self.write_parts(messages, written, first_message).await
    }

    /// As [`Self::write`], for what is no message. `part` returns the bytes from an offset on that
    /// go into one datagram, or `None` at the end. For formats beside IPFIX that share its
    /// destinations.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::write`].
    pub async fn write_parts(
        &mut self,
        parts: &[u8],
        written: &mut usize,
        part: impl Fn(&[u8], usize) -> Result<Option<&[u8]>, SessionError>,
    ) -> Result<(), SessionError> {
        let deadline = self.write_deadline;
        match &mut self.link {
            Link::Stream(stream) => write_stream(stream.as_mut(), parts, written, deadline).await,
            Link::Datagrams(socket) => {
                while let Some(datagram) = part(parts, *written)? {
                    match send(socket, datagram, deadline, &mut self.refused).await? {
                        Delivery::Sent => {}
                        Delivery::TooLong => self.unsendable += 1,
                    }
                    *written += datagram.len();
                }
                Ok(())
            }
        }
    }

    /// Waits until the collector ends the session; it has nothing else to say. A UDP session
    /// never ends.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn closed(&mut self) -> SessionError {
        let Link::Stream(stream) = &mut self.link else { return future::pending().await };
        future::poll_fn(|context| poll_closed(stream, context)).await
    }

    /// Says why the session has ended, if it has.
    ///
    /// Worth asking before writing: what is written to a connection whose other end has closed it
    /// is accepted by the kernel, and lost.
    pub async fn ended(&mut self) -> Option<SessionError> {
        let Link::Stream(stream) = &mut self.link else { return None };
        // A socket is asked only after the runtime has heard of it, and that is listened to when
        // tasks make way.
        yield_now().await;
        future::poll_fn(|context| match poll_closed(stream, context) {
            Poll::Ready(error) => Poll::Ready(Some(error)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Ends the session so that the collector gets everything that was written. Over TLS this waits
    /// for the collector to hang up, though no longer than for a write.
    pub async fn close(mut self) -> Result<(), SessionError> {
        let Link::Stream(stream) = &mut self.link else { return Ok(()) };
        let deadline = self.write_deadline;
        let closed = timeout(deadline, stream.shutdown());
        closed.await.map_err(|_| SessionError::WriteDeadline(deadline))??;
        if self.is_answered {
            // A collector that speaks TLS says how to resume, at any time. Nobody would read that
            // once the socket is gone, for which the kernel breaks the connection and drops what is
            // under way. So the collector hangs up first; should it not, all has been written.
            let farewell = future::poll_fn(|context| poll_closed(stream, context));
            timeout(deadline, farewell).await.ok();
        }
        Ok(())
    }

    /// Returns true, once, if nobody has been listening at the other end of a UDP session:
    /// whoever listens now has no Templates.
    pub const fn take_refused(&mut self) -> bool {
        std::mem::replace(&mut self.refused, false)
    }

    /// Returns how many messages were too long for a datagram, and were not sent.
    pub const fn unsendable(&self) -> u64 {
        self.unsendable
    }
}

impl fmt::Debug for ExportSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.link {
            Link::Stream(_) => "stream",
            Link::Datagrams(_) => "datagrams",
        };
        f.debug_struct("ExportSession").field("transport", &transport).finish_non_exhaustive()
    }
}

async fn write_stream(
    stream: &mut dyn Stream,
    messages: &[u8],
    written: &mut usize,
    deadline: Duration,
) -> Result<(), SessionError> {
    let too_late = |_| SessionError::WriteDeadline(deadline);
    while let Some(rest) = messages.get(*written..).filter(|rest| !rest.is_empty()) {
        let write =
            unless_closed(stream, |stream, context| Pin::new(stream).poll_write(context, rest));
        match timeout(deadline, write).await.map_err(too_late)?? {
            0 => return Err(SessionError::Closed),
            bytes => *written += bytes,
        }
    }
    // TLS takes bytes before the socket does.
    let flush = unless_closed(stream, |stream, context| Pin::new(stream).poll_flush(context));
    timeout(deadline, flush).await.map_err(too_late)??;
    Ok(())
}

/// Does something with the stream until it is done, or the collector ends the session: one that
/// has gone away takes nothing, and would be waited for until the deadline.
async fn unless_closed<T>(
    stream: &mut dyn Stream,
    mut poll: impl FnMut(&mut dyn Stream, &mut Context<'_>) -> Poll<io::Result<T>>,
) -> Result<T, SessionError> {
    future::poll_fn(|context| {
        if let Poll::Ready(error) = poll_closed(stream, context) {
            return Poll::Ready(Err(error));
        }
        poll(stream, context).map_err(SessionError::from)
    })
    .await
}

/// Looks whether the collector has ended the session. What it says instead is thrown away.
fn poll_closed(stream: &mut dyn Stream, context: &mut Context<'_>) -> Poll<SessionError> {
    let mut unexpected = [0; 256];
    loop {
        let mut read = ReadBuf::new(&mut unexpected);
        match ready!(Pin::new(&mut *stream).poll_read(context, &mut read)) {
            Ok(()) if read.filled().is_empty() => return Poll::Ready(SessionError::Closed),
            Ok(()) => {}
            Err(error) => return Poll::Ready(error.into()),
        }
    }
}

/// Returns the message that begins at `start`, or `None` at the end.
pub(super) fn first_message(messages: &[u8], start: usize) -> Result<Option<&[u8]>, SessionError> {
    let rest = messages.get(start..).unwrap_or_default();
    let Some(header) = rest.first_chunk() else {
        return if rest.is_empty() { Ok(None) } else { Err(SessionError::Truncated(rest.len())) };
    };
    let length = usize::from(message_length(header)?);
    rest.get(..length).map(Some).ok_or(SessionError::Truncated(rest.len()))
}

/// What became of a datagram, as far as anyone can know.
enum Delivery {
    Sent,
    TooLong,
}

async fn send(
    socket: &UdpSocket,
    datagram: &[u8],
    deadline: Duration,
    refused: &mut bool,
) -> Result<Delivery, SessionError> {
    for _ in 0..ATTEMPTS {
        let sent = timeout(deadline, socket.send(datagram)).await;
        match sent.map_err(|_| SessionError::WriteDeadline(deadline))? {
            Ok(_) => return Ok(Delivery::Sent),
            // The answer to an earlier datagram; this one has not left.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => *refused = true,
            Err(error) if error.raw_os_error() == Some(EMSGSIZE) => return Ok(Delivery::TooLong),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::from(io::ErrorKind::ConnectionRefused).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_by_their_lengths() {
        let messages = [[0, 10, 0, 16].as_slice(), &[0; 12], &[0, 10, 0, 17], &[0; 13]].concat();
        assert_eq!(first_message(&messages, 0).unwrap().map(<[u8]>::len), Some(16));
        assert_eq!(first_message(&messages, 16).unwrap().map(<[u8]>::len), Some(17));
        assert_eq!(first_message(&messages, 33).unwrap(), None);
        assert!(matches!(first_message(&messages[..20], 16), Err(SessionError::Truncated(4))));
        assert!(matches!(first_message(&messages[..18], 16), Err(SessionError::Truncated(2))));
        assert!(matches!(first_message(&messages, 1), Err(SessionError::Message(_))));
    }
}
