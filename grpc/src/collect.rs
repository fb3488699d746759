//! The aggregator's side: connections, and the streams on them.
//!
//! Whoever runs a connection keeps calling [`Connection::accept`], which also moves the bytes of
//! its streams. A stream hands out what came as it came, and the window moves on only once that was
//! taken: what nobody takes stops its sender.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::{ALPN, CONTENT_TYPE, EXPORT, Status};

/// Streams on one connection. Antrea's Agents, and we, have one.
const STREAMS: u32 = 4;
/// Bytes of one connection that came and were not taken yet.
const WINDOW: u32 = 256 * 1024;
/// The longest frame: one message of ours whole, so that it is written and read at once.
const FRAME: u32 = 64 * 1024;
/// Of all headers of a request, as HTTP/2 counts them.
const HEADERS: u32 = 16 * 1024;
/// Answers that wait for the socket.
const ANSWERS: usize = 16 * 1024;
/// Streams that were reset and are still remembered.
const RESET: usize = 16;

/// The message `ExportResponse`, which is empty.
const RESPONSE: Bytes = Bytes::from_static(&[0; crate::PREFIX]);

/// Shakes hands over TLS, and says that HTTP/2 is spoken here.
pub async fn secure(stream: TcpStream, config: &ServerConfig) -> io::Result<TlsStream<TcpStream>> {
    let mut config = config.clone();
    config.alpn_protocols = vec![ALPN.to_vec()];
    TlsAcceptor::from(Arc::new(config)).accept(stream).await
}

/// An exporter's connection.
#[derive(Debug)]
pub struct Connection<T>(h2::server::Connection<T, Bytes>);

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Begins to speak HTTP/2.
    pub async fn handshake(io: T) -> Result<Self, h2::Error> {
        Ok(Self(builder(STREAMS, WINDOW, ANSWERS).handshake(io).await?))
    }

    /// Returns the next stream of flows, or nothing once the connection is over. Other requests are
    /// answered right here.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time, but must be called again: it also moves the streams' bytes.
    pub async fn accept(&mut self) -> Option<Result<ExportStream, h2::Error>> {
        loop {
            let (request, mut respond) = match self.0.accept().await? {
                Ok(accepted) => accepted,
                Err(error) => return Some(Err(error)),
            };
            match refusal(&request, EXPORT) {
                None => return Some(Ok(ExportStream { body: request.into_body(), respond })),
                // Who has gone meanwhile needs no answer.
                Some(response) => drop(respond.send_response(response, true)),
            }
        }
    }

    /// Asks the exporter for no more streams; [`Self::accept`] ends when those there are have.
    pub fn shut_down(&mut self) {
        self.0.graceful_shutdown();
    }
}

/// What a peer may have of us: streams at once, bytes that were not taken yet, answers that wait.
pub(crate) fn builder(streams: u32, window: u32, answers: usize) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(streams)
        .initial_window_size(window)
        .initial_connection_window_size(window)
        .max_frame_size(FRAME)
        .max_header_list_size(HEADERS)
        .max_send_buffer_size(answers)
        .max_concurrent_reset_streams(RESET)
        .max_pending_accept_reset_streams(RESET)
        .reset_stream_duration(Duration::from_secs(1));
    builder
}

/// What to say to a request that is none for us.
pub(crate) fn refusal(request: &Request<RecvStream>, method: &str) -> Option<Response<()>> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|it| it.as_bytes().starts_with(CONTENT_TYPE.as_bytes()));
    if !is_grpc || request.method() != Method::POST {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Some(response);
    }
    (request.uri().path() != method).then(|| {
        let mut response = head();
        Status::new(Status::UNIMPLEMENTED, "no such method here").write(response.headers_mut());
        response
    })
}

pub(crate) fn head() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}

/// A stream of `ExportRequest`s.
#[derive(Debug)]
pub struct ExportStream {
    body: RecvStream,
    respond: SendResponse<Bytes>,
}

impl ExportStream {
    /// Returns the next bytes, or nothing once the exporter has ended the stream in good order.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn data(&mut self) -> Result<Option<Bytes>, h2::Error> {
        self.body.data().await.transpose()
    }

    /// Lets the exporter send as many bytes more.
    pub fn taken(&mut self, bytes: usize) {
        // Fails if more is said to be taken than came, or the stream is over.
        self.body.flow_control().release_capacity(bytes).ok();
    }

    /// Says that everything was taken.
    pub fn finish(mut self) -> Result<(), h2::Error> {
        let mut stream = self.respond.send_response(head(), false)?;
        stream.send_data(RESPONSE, false)?;
        let mut trailers = http::HeaderMap::new();
        Status::new(Status::OK, "").write(&mut trailers);
        stream.send_trailers(trailers)
    }

    /// Says why no more is taken.
    pub fn fail(mut self, status: &Status) {
        let mut response = head();
        status.write(response.headers_mut());
        // Who has gone meanwhile needs no answer.
        self.respond.send_response(response, true).ok();
    }
}
