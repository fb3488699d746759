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
    /// Whether the server refuses the stream as such, and so has read nothing of it: it does not
    /// have the method (which its library says, not the one who would read), does not let us in, or
    /// speaks no gRPC.
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Status(status) => matches!(
                status.code,
                Status::UNIMPLEMENTED | Status::PERMISSION_DENIED | Status::UNAUTHENTICATED
            ),
            Self::Http(status) => matches!(*status, 400..=499),
            _ => false,
        }
    }
}
