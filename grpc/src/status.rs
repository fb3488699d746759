//! How a call ended, in gRPC's words.

use std::fmt;

use http::{HeaderMap, HeaderValue};

const CODE: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";
/// More of a message is not read, let alone logged.
const MESSAGE_LIMIT: usize = 512;
/// What the codes are called, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub code: u8,
    pub message: String,
}

impl Status {
    pub const OK: u8 = 0;
    pub const UNKNOWN: u8 = 2;
    pub const INVALID_ARGUMENT: u8 = 3;
    pub const PERMISSION_DENIED: u8 = 7;
    pub const RESOURCE_EXHAUSTED: u8 = 8;
    pub const UNIMPLEMENTED: u8 = 12;
    pub const UNAVAILABLE: u8 = 14;
    pub const UNAUTHENTICATED: u8 = 16;

    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub const fn is_ok(&self) -> bool {
        self.code == Self::OK
    }

    /// Reads the status of trailers, or of headers if there is nothing else.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get(CODE)?.to_str().ok().and_then(|code| code.parse().ok());
        let message = headers.get(MESSAGE).map_or(&[][..], HeaderValue::as_bytes);
        let message = unescape(&message[..message.len().min(MESSAGE_LIMIT)]);
        Some(Self { code: code.unwrap_or(Self::UNKNOWN), message })
    }

    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(CODE, HeaderValue::from(u16::from(self.code)));
        let message = HeaderValue::from_str(&escape(&self.message));
        if let Ok(message) = message
            && !message.is_empty()
        {
            headers.insert(MESSAGE, message);
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match CODES.get(usize::from(self.code)) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "code {}", self.code)?,
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

/// Percent-encodes what may not be in a header.
fn escape(message: &str) -> String {
    let mut escaped = String::new();
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(char::from(byte)),
            _ => escaped.extend(['%', hex_digit(byte >> 4), hex_digit(byte & 15)]),
        }
    }
    escaped
}

fn hex_digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// Undoes [`escape`] as far as that can be. Control characters are not for a log.
fn unescape(escaped: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut rest = escaped;
    while let [first, behind @ ..] = rest {
        let decoded = (*first == b'%').then(|| behind.first_chunk::<2>()).flatten();
        let decoded = decoded.and_then(|hex| std::str::from_utf8(hex).ok());
        let decoded = decoded.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_headers() {
        for message in ["", "plain", "100 %\nnaïve ─ %41"] {
            let mut headers = HeaderMap::new();
            let status = Status::new(3, message);
            status.write(&mut headers);
            let read = Status::read(&headers).unwrap();
            assert_eq!(read.message, message.replace('\n', " "));
            assert_eq!(read.code, 3);
        }
    }

    #[test]
    fn nonsense_is_a_status_too() {
        let mut headers = HeaderMap::new();
        assert_eq!(Status::read(&headers), None);
        headers.insert(CODE, HeaderValue::from_static("lots"));
        headers.insert(MESSAGE, HeaderValue::from_static("50 %, %zz%4"));
        assert_eq!(Status::read(&headers), Some(Status::new(Status::UNKNOWN, "50 %, %zz%4")));
        assert_eq!(Status::new(99, "").to_string(), "code 99");
        assert_eq!(Status::new(12, "no such method").to_string(), "UNIMPLEMENTED: no such method");
    }
}
