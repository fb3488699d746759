//! The aggregator's side of the `FlowStreamService`: connections, and the calls on them.
//!
//! Whoever runs a connection keeps calling [`Connection::accept`], which also moves the bytes of
//! its calls. Answers wait for the client's window, so that a client that does not read holds
//! nothing but its own call.

use std::fmt;
use std::future::poll_fn;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, header};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::collect::{builder, head, refusal};
use crate::v1alpha1::GetFlowsRequest;
use crate::wire::{Key, VARINT, put_number};
use crate::{GET_FLOWS, Head, PREFIX, Status, encode};

/// Calls at once on one connection.
const CALLS: u32 = 16;
/// The longest request that is read, in bytes.
pub const REQUEST_LIMIT: usize = 64 * 1024;
/// Bytes of one connection that came and were not taken yet.
const WINDOW: u32 = 128 * 1024;
/// Answers that wait for the socket, in bytes.
const ANSWERS: usize = 256 * 1024;
/// `dropped_count` of a `GetFlowsResponse`.
const DROPPED: Key = Key::new(2, VARINT);
/// What an answer grows to before it is sent. Clients of gRPC's own take up to 4 MiB.
pub const ANSWER_TARGET: usize = 64 * 1024;

/// A client's connection.
#[derive(Debug)]
pub struct Connection<T>(h2::server::Connection<T, Bytes>);

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Begins to speak HTTP/2.
    pub async fn handshake(io: T) -> Result<Self, h2::Error> {
        Ok(Self(builder(CALLS, WINDOW, ANSWERS).handshake(io).await?))
    }

    /// Returns the next call of `GetFlows`, or nothing once the connection is over. Other requests
    /// are answered right here.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time, but must be called again: it also moves the calls' bytes.
    pub async fn accept(&mut self) -> Option<Result<Call, h2::Error>> {
        loop {
            let (request, mut respond) = match self.0.accept().await? {
                Ok(accepted) => accepted,
                Err(error) => return Some(Err(error)),
            };
            match refusal(&request, GET_FLOWS) {
                None => {
                    let token = bearer(request.headers());
                    return Some(Ok(Call { body: request.into_body(), respond, token }));
                }
                // Who has gone meanwhile needs no answer.
                Some(response) => drop(respond.send_response(response, true)),
            }
        }
    }

    /// Asks the client for no more calls; [`Self::accept`] ends when those there are have.
    pub fn shut_down(&mut self) {
        self.0.graceful_shutdown();
    }
}

/// What the client says it may: `authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// Why a request cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("request has more than {REQUEST_LIMIT} bytes")]
    TooLong,
    #[error("request is compressed, which was not agreed upon")]
    Compressed,
    #[error("request ends too early")]
    Cut,
    #[error("request is no GetFlowsRequest")]
    Message(#[from] prost::DecodeError),
    #[error("connection broke")]
    Broken(#[from] h2::Error),
}

/// A call that has not been answered.
pub struct Call {
    body: RecvStream,
    respond: SendResponse<Bytes>,
    token: Option<String>,
}

impl Call {
    /// The token that the client sent, if any.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Reads what is asked for.
    pub async fn request(&mut self) -> Result<GetFlowsRequest, RequestError> {
        let mut bytes = Vec::new();
        while let Some(data) = self.body.data().await.transpose()? {
            if bytes.len() + data.len() > PREFIX + REQUEST_LIMIT {
                return Err(RequestError::TooLong);
            }
            bytes.extend_from_slice(&data);
            self.body.flow_control().release_capacity(data.len())?;
            if let Some(request) = read(&bytes)? {
                return Ok(request);
            }
        }
        Err(RequestError::Cut)
    }

    /// Waits until the client has gone.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn gone(&mut self) {
        poll_fn(|context| self.respond.poll_reset(context)).await.ok();
    }

    /// Begins to answer.
    pub fn begin(mut self) -> Result<Answers, h2::Error> {
        Ok(Answers(self.respond.send_response(head(), false)?))
    }

    /// Says why there will be no answer.
    pub fn refuse(mut self, status: &Status) {
        let mut response = head();
        status.write(response.headers_mut());
        // Who has gone meanwhile needs no answer.
        self.respond.send_response(response, true).ok();
    }
}

/// Without the token.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// The message, once all of it is here.
fn read(bytes: &[u8]) -> Result<Option<GetFlowsRequest>, RequestError> {
    let Some((&[flag, ref length @ ..], message)) = bytes.split_first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    if flag != 0 {
        return Err(RequestError::Compressed);
    }
    let length = u32::from_be_bytes(*length) as usize;
    if length > REQUEST_LIMIT {
        return Err(RequestError::TooLong);
    }
    let Some(message) = message.get(..length) else { return Ok(None) };
    Ok(Some(GetFlowsRequest::decode(message)?))
}

/// The answers to one call.
#[derive(Debug)]
pub struct Answers(SendStream<Bytes>);

impl Answers {
    /// Waits until the client takes all of a message.
    pub async fn send(&mut self, message: Answer) -> Result<(), h2::Error> {
        let mut rest = message.finish();
        while !rest.is_empty() {
            self.0.reserve_capacity(rest.len());
            let granted = poll_fn(|context| self.0.poll_capacity(context)).await;
            let room = granted.unwrap_or_else(|| Err(Reason::CANCEL.into()))?;
            self.0.send_data(rest.split_to(room.min(rest.len())), false)?;
        }
        Ok(())
    }

    /// Waits until the client has gone.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn gone(&mut self) {
        poll_fn(|context| self.0.poll_reset(context)).await.ok();
    }

    /// Says how the call ends.
    pub fn finish(mut self, status: &Status) {
        let mut trailers = HeaderMap::new();
        status.write(&mut trailers);
        // Who has gone meanwhile needs no answer.
        self.0.send_trailers(trailers).ok();
    }
}

/// A `GetFlowsResponse` that is being put together.
#[derive(Debug)]
pub struct Answer {
    bytes: Vec<u8>,
    flows: u32,
}

impl Default for Answer {
    fn default() -> Self {
        Self { bytes: vec![0; PREFIX], flows: 0 }
    }
}

impl Answer {
    pub fn push(&mut self, record: &flow::FlowRecord, head: &Head) {
        encode(record, head, &mut self.bytes);
        self.flows += 1;
    }

    /// How many flows it has.
    pub fn flows(&self) -> u32 {
        self.flows
    }

    /// Whether it is time to send it.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= ANSWER_TARGET
    }

    /// Says how many flows the client has missed since it asked.
    pub fn dropped(&mut self, flows: u64) {
        put_number(&mut self.bytes, DROPPED, flows);
    }

    /// What is sent: one byte for "not compressed", the length, and the message.
    fn finish(mut self) -> Bytes {
        let length = u32::try_from(self.bytes.len() - PREFIX).unwrap_or(u32::MAX);
        self.bytes[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        Bytes::from(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1alpha1::{FlowFilter, GetFlowsResponse};

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[flag][..], &length, message].concat()
    }

    #[test]
    fn a_request_is_read_once_all_of_it_is_here() {
        let filter = FlowFilter { ports: vec![53], ..FlowFilter::default() };
        let request = GetFlowsRequest { filters: vec![filter], follow: true, ..Default::default() };
        let bytes = framed(0, &request.encode_to_vec());
        for end in 0..bytes.len() {
            assert!(matches!(read(&bytes[..end]), Ok(None)), "{end}");
        }
        assert_eq!(read(&bytes).unwrap(), Some(request));
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        assert!(matches!(read(&framed(1, &[])), Err(RequestError::Compressed)));
        assert!(matches!(read(&[0, 0xff, 0, 0, 0]), Err(RequestError::TooLong)));
        assert!(matches!(read(&framed(0, &[0xff])), Err(RequestError::Message(_))));
    }

    #[test]
    fn an_answer_is_what_prost_reads() {
        let mut answer = Answer::default();
        let head = Head { export_time_ns: 1, domain: 7, with_ids: true };
        for port in [1, 2] {
            let mut record = flow::FlowRecord::default();
            record.key.source_port = port;
            answer.push(&record, &head);
        }
        answer.dropped(300);
        assert_eq!(answer.flows(), 2);
        let bytes = answer.finish();
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        assert_eq!((bytes[0], length), (0, bytes.len() - PREFIX));
        let read = GetFlowsResponse::decode(&bytes[PREFIX..]).unwrap();
        let ports = read.flows.iter().map(|it| it.transport.as_ref().unwrap().source_port);
        assert_eq!((ports.collect::<Vec<_>>(), read.dropped_count), (vec![1, 2], 300));
    }
}
