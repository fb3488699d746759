//! One stream to a server, on a connection of its own.

use std::fmt;
use std::future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use http::uri::{Scheme, Uri};
use http::{Request, header};
use ipfix::transport::{Destination, SessionError, Transport};
use tokio::select;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

use super::{ExportError, MESSAGE_LIMIT};
use crate::{CONTENT_TYPE, EXPORT, Status};

/// How much may have been handed over and not to the socket. One message more than one, so that
/// the next is made while the last one leaves.
const SEND_BUFFER: usize = 2 * MESSAGE_LIMIT;

/// Of all headers of an answer, or of its end, as HTTP/2 counts them. Those that say more lose the
/// stream, and not our memory.
const HEADERS: u32 = 16 * 1024;

/// What the server says at the end, which it may do at any time.
type Answer = Pin<Box<dyn Future<Output = Result<(), ExportError>> + Send + Sync>>;

pub(super) struct Session {
    stream: SendStream<Bytes>,
    answer: Answer,
    /// As long as this is there, the connection is kept.
    requests: SendRequest<Bytes>,
    driver: Driver,
    write_deadline: Duration,
}

/// What has become of a stream.
#[derive(Debug)]
pub(super) enum State {
    Open,
    /// The server takes what it has been sent, and wants no new stream on this connection.
    Unwanted,
    /// The server takes nothing more.
    Ended(ExportError),
}

/// What moves bytes between the connection and its socket.
struct Driver(JoinHandle<Result<(), h2::Error>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    /// Connects, makes sure that somebody there speaks HTTP/2, and begins a stream.
    pub(super) async fn open(destination: &Destination) -> Result<Self, ExportError> {
        let request = request(destination)?;
        let connection = destination.stream().await?;
        let mut builder = Builder::new();
        builder.enable_push(false).max_send_buffer_size(SEND_BUFFER).max_header_list_size(HEADERS);
        let (requests, mut connection) = builder.handshake(connection).await?;
        let pings = connection.ping_pong();
        let mut driver = Driver(tokio::spawn(connection));
        let deadline = destination.deadlines.connect;
        let answered = timeout(deadline, first_answer(pings, &mut driver)).await;
        answered.map_err(|_| ExportError::Silent(deadline))??;
        let mut requests = requests.ready().await?;
        let (response, stream) = requests.send_request(request, false)?;
        let answer = Box::pin(answer(response));
        let write_deadline = destination.deadlines.write;
        Ok(Self { stream, answer, requests, driver, write_deadline })
    }

    /// Waits until the window has room for all of a message, and hands it over. An error means that
    /// it was not.
    ///
    /// # Cancel safety
    ///
    /// What was not handed over can be with another call.
    pub(super) async fn hand_over(&mut self, message: &Bytes) -> Result<(), ExportError> {
        let Self { stream, answer, write_deadline, .. } = self;
        stream.reserve_capacity(message.len());
        let room = async {
            while stream.capacity() < message.len() {
                select! {
                    // A reset stream tells less than the status that came with it.
                    biased;
                    answer = &mut *answer => return Err(ended(answer)),
                    granted = future::poll_fn(|context| stream.poll_capacity(context)) => {
                        if let Some(Err(error)) = granted {
                            return Ok(Err(error));
                        }
                    }
                }
            }
            Ok(Ok(()))
        };
        let late = |_| ExportError::from(SessionError::WriteDeadline(*write_deadline));
        // An answer comes once: it is not asked for again.
        let granted = timeout(*write_deadline, room).await.map_err(late)??;
        match granted.and_then(|()| self.stream.send_data(message.clone(), false)) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.answered().await.unwrap_or_else(|| error.into())),
        }
    }

    /// Waits until the server ends the stream, and says why.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub(super) async fn ended(&mut self) -> ExportError {
        ended((&mut self.answer).await)
    }

    /// Says whether records may be handed over.
    pub(super) async fn state(&mut self) -> State {
        // The driver hears of an end when tasks make way.
        yield_now().await;
        if let Some(ended) = self.answered().await {
            return State::Ended(ended);
        }
        future::poll_fn(|context| {
            let is_left = matches!(self.requests.poll_ready(context), Poll::Ready(Err(_)));
            Poll::Ready(if is_left { State::Unwanted } else { State::Open })
        })
        .await
    }

    /// What the server has said, if it has.
    async fn answered(&mut self) -> Option<ExportError> {
        let answer = &mut self.answer;
        future::poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(ended(answer))),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Ends the stream in good order, which the server confirms.
    pub(super) async fn close(self) -> Result<(), ExportError> {
        let Self { mut stream, answer, requests, mut driver, write_deadline } = self;
        stream.send_data(Bytes::new(), true)?;
        let late = |_| ExportError::from(SessionError::WriteDeadline(write_deadline));
        timeout(write_deadline, answer).await.map_err(late)??;
        drop((stream, requests));
        // All is said; taking leave is a courtesy.
        timeout(write_deadline, &mut driver.0).await.ok();
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// Waits until the server answers a ping: one that is something else, or does not want us, says so
/// before records are handed over. There are no pings later, since Go's servers hang up on clients
/// that send more than one in five minutes; TCP asks instead.
async fn first_answer(pings: Option<PingPong>, driver: &mut Driver) -> Result<(), ExportError> {
    let Some(mut pings) = pings else { return Ok(()) };
    select! {
        biased;
        pong = pings.ping(Ping::opaque()) => if pong.is_ok() { return Ok(()) },
        ended = &mut driver.0 => return Err(broken(ended)),
    }
    Err(broken((&mut driver.0).await))
}

/// Why a connection is over that should not be.
fn broken(ended: Result<Result<(), h2::Error>, tokio::task::JoinError>) -> ExportError {
    match ended {
        Ok(Err(error)) => error.into(),
        Ok(Ok(())) | Err(_) => SessionError::Closed.into(),
    }
}

/// What to make of an answer that nobody asked for.
fn ended(answer: Result<(), ExportError>) -> ExportError {
    answer.err().unwrap_or_else(|| SessionError::Closed.into())
}

fn request(destination: &Destination) -> Result<Request<()>, ExportError> {
    let is_tls = matches!(destination.transport, Transport::Tls(_));
    let uri = Uri::builder()
        .scheme(if is_tls { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(destination.address.as_str())
        .path_and_query(EXPORT);
    let request = uri.build().and_then(|uri| {
        Request::post(uri)
            .header(header::CONTENT_TYPE, CONTENT_TYPE)
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, concat!("fyke/", env!("CARGO_PKG_VERSION")))
            .body(())
    });
    request.map_err(|_| ExportError::Address(destination.address.clone()))
}

/// Waits for the server's status. The message before it is empty.
async fn answer(response: ResponseFuture) -> Result<(), ExportError> {
    let (head, mut body) = response.await?.into_parts();
    let mut status = Status::read(&head.headers);
    if status.is_none() && head.status.is_success() {
        while let Some(data) = body.data().await {
            body.flow_control().release_capacity(data?.len())?;
        }
        status = body.trailers().await?.as_ref().and_then(Status::read);
    }
    match status {
        Some(status) if status.is_ok() => Ok(()),
        Some(status) => Err(ExportError::Status(status)),
        None if head.status.is_success() => Err(SessionError::Closed.into()),
        None => Err(ExportError::Http(head.status.as_u16())),
    }
}
