//! What an answer consists of: a text, or the lines of a watch as they come.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Response;
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde_json::Value;
use tokio::sync::mpsc;

use super::counters::Open;
use super::refusal::Refusal;

#[derive(Debug)]
pub(crate) enum Answer {
    Text(Option<Bytes>),
    Watch {
        lines: mpsc::Receiver<Bytes>,
        /// Counts until the client or the server lets go of the answer.
        _open: Open,
    },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Watch { lines, .. } => {
                lines.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
            }
        }
    }
}

pub(crate) fn json(code: u16, text: impl Into<Bytes>) -> Response<Answer> {
    typed(code, "application/json", text)
}

pub(crate) fn object(code: u16, value: &Value) -> Response<Answer> {
    json(code, value.to_string())
}

pub(crate) fn typed(
    code: u16,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<Answer> {
    let text = text.into();
    let body = Answer::Text(Some(text).filter(|text| !text.is_empty()));
    let answer = Response::builder().status(code).header(CONTENT_TYPE, content_type).body(body);
    answer.expect("the code and the type are valid")
}

pub(crate) fn refused(refusal: &Refusal) -> Response<Answer> {
    let mut answer = object(refusal.code, &refusal.status());
    if let Some(seconds) = refusal.retry_after {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}
