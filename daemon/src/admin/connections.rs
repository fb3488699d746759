//! Connections that cannot pile up: a few at once, and none for long.
//!
//! Whoever connects and says nothing, or little by little, would otherwise hold a socket for
//! good, and the process has only so many of them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Accepts `most` connections at a time; others wait in the kernel.
#[derive(Debug)]
pub(crate) struct Limited {
    listener: TcpListener,
    room: Arc<Semaphore>,
    lifetime: Duration,
}

impl Limited {
    /// Each connection ends after `lifetime`, whatever it is doing.
    pub(crate) fn new(listener: TcpListener, most: usize, lifetime: Duration) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(most)), lifetime }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Nobody closes the semaphore, so there always is a place sooner or later.
        let place = Arc::clone(&self.room).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let end = Box::pin(sleep(self.lifetime));
        (Connection { stream, end, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection whose time is running out.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// The stream, unless its time is over. Also has the task woken when that comes to be so.
    fn in_time(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(context)?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(context)?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(1);

    async fn serve(most: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(
            async move { axum::serve(Limited::new(listener, most, LIFETIME), router).await },
        );
        address
    }

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn whoever_says_nothing_only_keeps_others_waiting_for_a_while() {
        let address = serve(2).await;
        let started = Instant::now();
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HT").await.unwrap();
        assert!(ask(address).await.ends_with("here"));
        assert!(started.elapsed() >= LIFETIME, "three were served at once");
        // Both see the end. Unread bytes make it a reset.
        for stream in [&mut silent, &mut slow] {
            assert!(matches!(stream.read(&mut [0; 1024]).await, Ok(0) | Err(_)));
        }
    }

    #[tokio::test]
    async fn those_that_end_make_room_at_once() {
        let address = serve(1).await;
        let started = Instant::now();
        for _ in 0..3 {
            assert!(ask(address).await.ends_with("here"));
        }
        assert!(started.elapsed() < LIFETIME, "{:?}", started.elapsed());
    }
}
