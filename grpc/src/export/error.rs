use std::time::Duration;

use ipfix::transport::SessionError;

use crate::Status;

/// Why there is no stream, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("HTTP/2 to the server failed")]
    Http2(#[from] h2::Error),
    /// The server accepted the connection, and speaks no HTTP/2.
    #[error("server did not answer in HTTP/2 within {0:?}")]
    Silent(Duration),
    #[error("server answered with HTTP status {0} instead of gRPC")]
    Http(u16),
    #[error("server ended the stream with {0}")]
    Status(Status),
    #[error("server's address {0:?} makes no URL")]
    Address(String),
}

impl ExportError {
    /// Why the server refuses the stream as such, if it does.
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Status(status) => match status.code {
                Status::UNIMPLEMENTED => Some(Refusal::Unimplemented),
                Status::PERMISSION_DENIED => Some(Refusal::PermissionDenied),
                Status::UNAUTHENTICATED => Some(Refusal::Unauthenticated),
                _ => None,
            },
            Self::Http(400..=499) => Some(Refusal::Http),
            _ => None,
        }
    }
}

/// Why a server refuses a stream as such, and so has read nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not have the method, which its library says and not the one who would read.
    Unimplemented,
    /// It does not let us in.
    PermissionDenied,
    /// It does not know us.
    Unauthenticated,
    /// It speaks no gRPC.
    Http,
}

impl Refusal {
    pub const ALL: [Self; 4] =
        [Self::Unimplemented, Self::PermissionDenied, Self::Unauthenticated, Self::Http];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Unimplemented => "unimplemented",
            Self::PermissionDenied => "permission_denied",
            Self::Unauthenticated => "unauthenticated",
            Self::Http => "http",
        }
    }
}
