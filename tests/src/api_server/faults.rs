//! Faults that a test asks for.

use std::time::Duration;

use super::refusal::Refusal;
use super::request::{ResourceRequest, Verb};

/// How open watches are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The answer ends, as after a timeout.
    Clean,
    /// The connection is reset in the middle of it.
    Reset,
    /// An event of type ERROR with status 410, then the end.
    Gone,
}

/// How a watch from too old a version is refused. Real servers do both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// Status 200, and an event of type ERROR.
    #[default]
    Event,
    /// Status 410.
    Status,
}

/// Requests to refuse.
#[derive(Clone, Debug)]
pub struct Failure {
    /// `None` means every verb.
    pub verb: Option<Verb>,
    /// Such as `pods`; `None` means every resource.
    pub resource: Option<&'static str>,
    /// How many of them.
    pub times: u32,
    pub status: u16,
    /// Seconds, told in the header `Retry-After`.
    pub retry_after: Option<u32>,
}

impl Failure {
    fn is_of(&self, request: &ResourceRequest) -> bool {
        self.times > 0
            && self.verb.is_none_or(|verb| verb == request.verb)
            && self.resource.is_none_or(|resource| resource == request.plural)
    }
}

/// What watches are told, beside that something has changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    /// Told to end so many times.
    pub(crate) ends: u64,
    pub(crate) how: Option<End>,
    /// Told to send a bookmark so many times.
    pub(crate) bookmarks: u64,
    /// No bytes are sent.
    pub(crate) stalled: bool,
    /// Every event is sent so much later.
    pub(crate) delay: Duration,
    /// Every event is sent so many times more.
    pub(crate) duplicates: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) failures: Vec<Failure>,
    pub(crate) list_delay: Duration,
    pub(crate) no_streaming_lists: bool,
    pub(crate) expiry: Expiry,
    /// Custom resources are served only while their definition is there.
    pub(crate) definitions_required: bool,
}

impl Faults {
    /// The refusal a test asked for, if it is this request's turn.
    pub(crate) fn refusal(&mut self, request: &ResourceRequest) -> Option<Refusal> {
        let failure = self.failures.iter_mut().find(|failure| failure.is_of(request))?;
        failure.times -= 1;
        let refusal = Refusal::on_command(failure.status, failure.retry_after);
        self.failures.retain(|failure| failure.times > 0);
        Some(refusal)
    }
}
