use std::time::Duration;

use kube::core::Status;

/// How much of what the API server says about an error is kept, in bytes.
const MESSAGE_LIMIT: usize = 300;
/// A longer wait is not the API server's to ask for.
const RETRY_AFTER_LIMIT: Duration = Duration::from_mins(1);

/// Why a request, or the watch that it began, is over.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// As the API server does every few minutes.
    #[error("API server ended the watch")]
    Ended,
    #[error("API server cannot be reached")]
    Unreachable(#[source] kube::Error),
    #[error("connection broke")]
    Broken(#[source] kube::Error),
    #[error("API server sent nothing for {0:?}")]
    Stalled(Duration),
    #[error("API server answered {}: {}", .0.code, .0.message)]
    Refused(Refusal),
    #[error("resourceVersion went back from {from} to {to}")]
    WentBack { from: u64, to: u64 },
    #[error("API server does not say where a list ends when it streams it")]
    Unstreamed,
    #[error("answer of the API server is longer than {0} bytes")]
    TooLong(usize),
    #[error("answer of the API server is not what was expected")]
    Garbage(#[source] serde_json::Error),
    #[error("list has no resourceVersion to watch from")]
    Unversioned,
    #[error("request cannot be made")]
    Unmade(#[source] kube::core::request::Error),
    #[error("nobody takes changes any more")]
    Unheard,
}

/// An error status of the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status code.
    pub code: u16,
    /// What the API server says, cut to 300 bytes.
    pub message: String,
    /// How long to wait before the next try, if it says so.
    pub retry_after: Option<Duration>,
    /// It has not come so far as the resourceVersion that was asked for.
    behind: bool,
}

/// Why a watch began anew: what restarts are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The API server ended the watch in good order.
    Ended,
    /// The connection broke in the middle.
    Broken,
    /// Nothing came for too long, though bookmarks should have.
    Stalled,
    /// No connection, or no TLS session.
    Unreachable,
    /// 401: the credentials are not valid, or not any more.
    Unauthorized,
    /// 403: a rule is missing.
    Denied,
    /// 410 Gone: the resourceVersion is too old to go on from.
    Expired,
    /// The resourceVersion is less than it was: the API server's data were restored.
    WentBack,
    /// 429.
    Throttled,
    /// 404: the API server has no such kind. A custom resource has to be installed first.
    Absent,
    /// Any other status from 500.
    ServerError,
    /// Any other status below 500.
    Rejected,
    /// The API server streams no lists; they come by pages from now on.
    Unstreamed,
    /// What came was not what the API speaks, or had no end.
    Garbage,
}

impl Reason {
    pub const ALL: [Self; 14] = [
        Self::Ended,
        Self::Broken,
        Self::Stalled,
        Self::Unreachable,
        Self::Unauthorized,
        Self::Denied,
        Self::Expired,
        Self::WentBack,
        Self::Throttled,
        Self::Absent,
        Self::ServerError,
        Self::Rejected,
        Self::Unstreamed,
        Self::Garbage,
    ];

    /// As a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Broken => "broken",
            Self::Stalled => "stalled",
            Self::Unreachable => "unreachable",
            Self::Unauthorized => "unauthorized",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::WentBack => "went_back",
            Self::Throttled => "throttled",
            Self::Absent => "absent",
            Self::ServerError => "server_error",
            Self::Rejected => "rejected",
            Self::Unstreamed => "unstreamed",
            Self::Garbage => "garbage",
        }
    }

    /// Whether the picture must be listed anew, because what is missing cannot be had from where
    /// the watch stood.
    ///
    /// After silence too: an API server that was restored to the past is silent until its
    /// resourceVersion has come to where ours is.
    pub(crate) fn loses_position(self) -> bool {
        matches!(
            self,
            Self::Expired
                | Self::WentBack
                | Self::Stalled
                | Self::Garbage
                | Self::Absent
                | Self::Rejected
        )
    }
}

impl Failure {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Ended | Self::Unheard => Reason::Ended,
            Self::Unreachable(_) => Reason::Unreachable,
            Self::Broken(_) => Reason::Broken,
            Self::Stalled(_) => Reason::Stalled,
            Self::Refused(refusal) => refusal.reason(),
            Self::WentBack { .. } => Reason::WentBack,
            Self::Unstreamed => Reason::Unstreamed,
            Self::TooLong(_) | Self::Garbage(_) | Self::Unversioned | Self::Unmade(_) => {
                Reason::Garbage
            }
        }
    }

    /// How long the API server wants us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if let Self::Refused(refusal) = self { refusal.retry_after } else { None }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let mut message = status.message;
        message.truncate(message.floor_char_boundary(MESSAGE_LIMIT));
        let details = status.details.as_ref();
        let seconds = details.map_or(0, |details| details.retry_after_seconds);
        let causes = details.map_or(&[][..], |details| &details.causes);
        Self {
            code: status.code,
            behind: causes.iter().any(|cause| cause.reason == "ResourceVersionTooLarge"),
            message,
            retry_after: (seconds > 0).then(|| limited(Duration::from_secs(seconds.into()))),
        }
    }
}

impl Refusal {
    /// From an answer whose body may be a `Status`, or the words of a proxy in between.
    pub(crate) fn new(code: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_not_a_status| {
            Status::failure(String::from_utf8_lossy(body).trim(), "")
        });
        let told = Self::from(status.with_code(code));
        Self { retry_after: retry_after.map(limited).or(told.retry_after), ..told }
    }

    fn reason(&self) -> Reason {
        match self.code {
            _ if self.behind => Reason::WentBack,
            401 => Reason::Unauthorized,
            403 => Reason::Denied,
            404 => Reason::Absent,
            410 => Reason::Expired,
            429 => Reason::Throttled,
            ..500 => Reason::Rejected,
            _ => Reason::ServerError,
        }
    }
}

fn limited(wait: Duration) -> Duration {
    wait.min(RETRY_AFTER_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_server_may_ask_for_a_minute_and_no_more() {
        let status = br#"{"message":"slow","details":{"retryAfterSeconds":4000000000}}"#;
        let [second, minute, hour] = [1, 60, 3_600].map(Duration::from_secs);
        assert_eq!(Refusal::new(429, status, None).retry_after, Some(minute));
        assert_eq!(Refusal::new(429, status, Some(second)).retry_after, Some(second));
        assert_eq!(Refusal::new(429, b"slow", Some(hour)).retry_after, Some(minute));
        assert_eq!(Refusal::new(429, b"slow", None).retry_after, None);
        assert_eq!(Refusal::new(429, b" slow \n", None).message, "slow");
    }
}
