//! Answers of the API server, read within limits: it may be anybody's, and objects in it are.

use std::future::Future;
use std::time::Duration;

use http::{Request, header};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::api::PostParams;
use kube::client::Body;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::failure::{Failure, Refusal};

/// How much of an error's answer is read, in bytes.
const ERROR_LIMIT: usize = 64 << 10;
/// How much of the answer to a question is read, in bytes.
const ANSWER_LIMIT: usize = 64 << 10;
/// What a buffer may keep between lines, in bytes.
const SPARE_LIMIT: usize = 1 << 20;

/// Sends a request and waits for the head of its answer, `silence` at most.
pub(crate) async fn send(
    client: &Client,
    request: Request<Vec<u8>>,
    silence: Duration,
) -> Result<Body, Failure> {
    let sent = within(silence, client.send(request.map(Body::from))).await?;
    let answer = sent.map_err(Failure::Unreachable)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.into_body());
    }
    let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(seconds);
    // Its status is told even if what it says cannot be read.
    let said = read(answer.into_body(), ERROR_LIMIT, silence).await.unwrap_or_default();
    Err(Failure::Refused(Refusal::new(status.as_u16(), &said, retry_after)))
}

/// Puts a question to the API server that answers itself: a review.
pub(crate) async fn ask<T: Serialize + DeserializeOwned>(
    client: &Client,
    path: &str,
    question: &T,
    silence: Duration,
) -> Result<T, Failure> {
    let question = serde_json::to_vec(question).map_err(Failure::Garbage)?;
    let request = kube::core::Request::new(path);
    let request = request.create(&PostParams::default(), question).map_err(Failure::Unmade)?;
    let answer = read(send(client, request, silence).await?, ANSWER_LIMIT, silence).await?;
    serde_json::from_slice(&answer).map_err(Failure::Garbage)
}

fn seconds(value: &http::HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// Reads a body of `limit` bytes at most, `silence` at most between any two parts of it.
pub(crate) async fn read(
    mut body: Body,
    limit: usize,
    silence: Duration,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while append(&mut body, &mut bytes, silence).await? {
        if bytes.len() > limit {
            return Err(Failure::TooLong(limit));
        }
    }
    Ok(bytes)
}

/// Appends the next part of `body`; `false` at its end.
async fn append(body: &mut Body, to: &mut Vec<u8>, silence: Duration) -> Result<bool, Failure> {
    let Some(frame) = within(silence, body.frame()).await? else { return Ok(false) };
    if let Some(data) = frame.map_err(Failure::Broken)?.data_ref() {
        to.extend_from_slice(data);
    }
    Ok(true)
}

async fn within<T>(silence: Duration, future: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(silence, future).await.map_err(|_elapsed| Failure::Stalled(silence))
}

/// The lines of a watch, one event each.
pub(crate) struct Lines {
    body: Body,
    silence: Duration,
    limit: usize,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// The line that begins there is too long; its bytes are thrown away up to its end.
    skipping: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Text(&'a [u8]),
    /// It had more bytes than the limit.
    TooLong,
}

impl Lines {
    /// Lines of `limit` bytes at most, with `silence` at most between any two parts of the body.
    pub(crate) fn new(body: Body, limit: usize, silence: Duration) -> Self {
        Self { body, silence, limit, buffer: Vec::new(), start: 0, skipping: false }
    }

    /// The next line. What follows the last line's end is not one: the server was cut off.
    pub(crate) async fn next(&mut self) -> Result<Line<'_>, Failure> {
        let mut searched = self.start;
        loop {
            let rest = self.buffer.get(searched..).unwrap_or_default();
            if let Some(length) = rest.iter().position(|&byte| byte == b'\n') {
                return Ok(self.take(searched + length));
            }
            self.make_room();
            searched = self.buffer.len();
            if !append(&mut self.body, &mut self.buffer, self.silence).await? {
                return Err(Failure::Ended);
            }
        }
    }

    fn take(&mut self, end: usize) -> Line<'_> {
        let line = self.start..end;
        self.start = end + 1;
        if std::mem::take(&mut self.skipping) || line.len() > self.limit {
            return Line::TooLong;
        }
        Line::Text(self.buffer.get(line).unwrap_or_default())
    }

    /// Forgets what has been taken, and of a line that is too long what has come of it.
    fn make_room(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.skipping || self.buffer.len() > self.limit {
            self.skipping = true;
            self.buffer.clear();
        }
        if self.buffer.is_empty() {
            self.buffer.shrink_to(SPARE_LIMIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_mins(1);

    async fn lines(text: &str, limit: usize) -> Vec<Option<String>> {
        let mut lines = Lines::new(Body::from(text.as_bytes().to_vec()), limit, SILENCE);
        let mut read = Vec::new();
        loop {
            match lines.next().await {
                Ok(Line::Text(line)) => read.push(Some(String::from_utf8_lossy(line).into_owned())),
                Ok(Line::TooLong) => read.push(None),
                Err(Failure::Ended) => return read,
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_left_out_and_the_next_ones_come() {
        let text = "first\n\n123456789\n1234567\nthe last one is cut";
        let kept = |line: &str| Some(line.to_owned());
        let expected = [kept("first"), kept(""), None, kept("1234567")];
        assert_eq!(lines(text, 7).await, expected);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let body = |length: usize| Body::from(vec![b'x'; length]);
        assert_eq!(read(body(10), 10, SILENCE).await.unwrap().len(), 10);
        assert!(matches!(read(body(11), 10, SILENCE).await, Err(Failure::TooLong(10))));
    }
}
