//! Transport Sessions, for tokio: the Exporting and the Collecting Process (RFC 7011, section 10).
//!
//! Both hand their caller what happened instead of logging it, and ask for whatever differs from
//! site to site: names, deadlines, certificates. [`MessageStream`] alone serves a caller with a
//! connection of its own; what that is, and how long it may be silent, is the caller's choice.

mod backoff;
pub mod collect; // messages arrive
mod destination;
pub mod export; // messages leave
mod socket;
#[cfg(feature = "tls")]
mod tls;

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{framing::Framer, message::MessageError};

pub use backoff::Backoff;
pub use destination::{Deadlines, Destination, Locator, SessionError, Stream, Transport};
pub use socket::{KernelDrops, RECEIVE_BUFFER, bind_udp, keep_alive, receive_buffer};
#[cfg(feature = "tls")]
pub use tls::{ClientTls, ServerTls};

/// The messages arriving on one connection.
#[derive(Debug)]
pub struct MessageStream<S> {
    stream: S,
    framer: Framer,
}

/// Why a connection has no next message, though its peer has not closed it in good order.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The socket failed, or the peer reset the connection.
    #[error("connection broke")]
    Io(#[from] io::Error),
    /// What came where a message should begin is none (RFC 7011, section 3.1).
    #[error("peer sent something that is not a message")]
    Message(#[from] MessageError),
    /// The peer closed the connection in the middle of a message.
    #[error("peer closed the connection {0} bytes into a message")]
    Truncated(usize),
}

impl<S: AsyncRead + Unpin> MessageStream<S> {
    /// Reads the messages of `stream`, which needs no buffer of its own.
    pub fn new(stream: S) -> Self {
        Self { stream, framer: Framer::new() }
    }

    /// Returns the next whole message, or `None` once the peer has closed the connection between
    /// two messages.
    ///
    /// The header's version and length are those of a message; nothing else has been looked at.
    /// After an error the stream cannot be trusted to be at the beginning of a message, and the
    /// connection should be closed (RFC 7011, section 9.1).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: what has been read of a message is kept for the next call.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, ReadError> {
        loop {
            if let Some(range) = self.framer.next()? {
                return Ok(Some(self.framer.message(range)));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Returns the next message if all of it has been read already.
    ///
    /// Many messages come with one [`Self::fill`], and none of these waits for anything.
    pub fn buffered(&mut self) -> Result<Option<&[u8]>, ReadError> {
        Ok(self.framer.next()?.map(|range| self.framer.message(range)))
    }

    /// Waits for more, and returns false once the peer has closed the connection between two
    /// messages. To be called when nothing is [`buffered`](Self::buffered) any more.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::next`].
    pub async fn fill(&mut self) -> Result<bool, ReadError> {
        let read = self.stream.read(self.framer.room()).await?;
        self.framer.filled(read);
        match (read, self.framer.unread()) {
            (0, 0) => Ok(false),
            (0, unread) => Err(ReadError::Truncated(unread)),
            _ => Ok(true),
        }
    }

    /// Returns the connection, for instance to ask for its address.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[rustfmt::skip]
    const MESSAGE: [u8; 18] = [
        0x00, 0x0a, 0x00, 0x12, // version 10, length 18
        0x65, 0x53, 0xf1, 0x00, // export time
        0x00, 0x00, 0x00, 0x00, // sequence number
        0x00, 0x00, 0x00, 0x07, // Observation Domain
        0xab, 0xcd, // nobody has looked at the Sets yet
    ];

    #[tokio::test]
    async fn messages_arrive_one_by_one_until_the_peer_closes() {
        let stream = MESSAGE.repeat(3);
        let mut messages = MessageStream::new(stream.as_slice());
        for _ in 0..3 {
            assert_eq!(messages.next().await.unwrap(), Some(&MESSAGE[..]));
        }
        assert_eq!(messages.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_peer_that_closes_inside_a_message_is_reported() {
        for length in 1..MESSAGE.len() {
            let mut messages = MessageStream::new(&MESSAGE[..length]);
            let error = messages.next().await.unwrap_err();
            assert!(matches!(error, ReadError::Truncated(read) if read == length), "{error}");
        }
    }

    #[tokio::test]
    async fn a_peer_that_speaks_something_else_is_refused() {
        let mut messages = MessageStream::new(&b"GET / HTTP/1.1\r\n"[..]);
        let error = messages.next().await.unwrap_err();
        assert!(matches!(error, ReadError::Message(MessageError::Version(0x4745))), "{error}");
    }

    #[tokio::test]
    async fn dropping_the_future_loses_nothing() {
        let (mut exporter, collector) = duplex(64);
        let mut messages = MessageStream::new(collector);
        for half in [&MESSAGE[..7], &MESSAGE[7..]] {
            {
                let waiting = pin!(messages.next());
                let mut context = Context::from_waker(Waker::noop());
                assert!(matches!(waiting.poll(&mut context), Poll::Pending));
            }
            exporter.write_all(half).await.unwrap();
        }
        assert_eq!(messages.next().await.unwrap(), Some(&MESSAGE[..]));
    }
}
