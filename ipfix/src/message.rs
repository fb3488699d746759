//! The frame of a message: its header (RFC 7011, section 3.1), and what can be wrong with a message.
//!
//! The header is all a receiver needs to find where a message ends, which is why a stream that
//! has once lied about it cannot be trusted again.

use crate::{
    reader::{Reader, Truncated},
    template::InvalidTemplateId,
};

/// The only version there is; 9 and below are `NetFlow`.
pub const VERSION: u16 = 10;

/// How many bytes a message header takes.
pub const HEADER_LENGTH: u16 = 16;

/// How many bytes a Set header takes (RFC 7011, section 3.3.2).
pub const SET_HEADER_LENGTH: u16 = 4;

/// The Set ID of Template Sets (RFC 7011, section 3.3.2).
pub(crate) const TEMPLATE_SET: u16 = 2;

/// The Set ID of Options Template Sets.
pub(crate) const OPTIONS_TEMPLATE_SET: u16 = 3;

/// What every message begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHeader {
    /// The length of the whole message in bytes.
    pub length: u16,
    /// When the message left the exporter, in seconds since the UNIX epoch.
    pub export_time: u32,
    /// How many Data Records the Observation Domain sent on this Transport Session before this
    /// message, modulo 2^32.
    pub sequence_number: u32,
    /// The Observation Domain.
    pub domain: u32,
}

impl MessageHeader {
    /// Reads a header. Its length is not compared with anything yet.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, MessageError> {
        let length = frame(reader)?;
        Ok(Self {
            length,
            export_time: reader.u32()?,
            sequence_number: reader.u32()?,
            domain: reader.u32()?,
        })
    }

    pub(crate) fn encode(self) -> [u8; HEADER_LENGTH as usize] {
        let [v0, v1] = VERSION.to_be_bytes();
        let [l0, l1] = self.length.to_be_bytes();
        let [t0, t1, t2, t3] = self.export_time.to_be_bytes();
        let [s0, s1, s2, s3] = self.sequence_number.to_be_bytes();
        let [d0, d1, d2, d3] = self.domain.to_be_bytes();
        [v0, v1, l0, l1, t0, t1, t2, t3, s0, s1, s2, s3, d0, d1, d2, d3]
    }
}

/// Returns how long the message is that starts with `header`, so that a stream can be cut into messages.
pub fn message_length(header: &[u8; 4]) -> Result<u16, MessageError> {
    frame(&mut Reader::new(header))
}

/// Reads version and length, and refuses those no message can have.
fn frame(reader: &mut Reader<'_>) -> Result<u16, MessageError> {
    let version = reader.u16()?;
    if version != VERSION {
        return Err(MessageError::Version(version));
    }
    let length = reader.u16()?;
    if length < HEADER_LENGTH {
        return Err(MessageError::Short(length));
    }
    Ok(length)
}

/// A message that breaks the rules of its own format.
///
/// On TCP, TLS and SCTP the session must be closed (RFC 7011, sections 9.1 and 10.4); on UDP the
/// datagram is dropped. Records before the broken part may already have been visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// RFC 7011, section 3.1.
    #[error("message header is incomplete")]
    Header(#[from] Truncated),
    /// RFC 7011, section 3.1.
    #[error("version is {0}, not 10")]
    Version(u16),
    /// RFC 7011, section 3.1.
    #[error("message length is {0}, but a header alone takes 16")]
    Short(u16),
    /// The length in the header is not that of the message.
    #[error("message length is {stated}, but the message has {actual} bytes")]
    Length {
        /// What the header says, in bytes.
        stated: u16,
        /// How many bytes there are.
        actual: usize,
    },
    /// RFC 7011, section 3.3.2.
    #[error("set header is incomplete")]
    SetHeader(#[source] Truncated),
    /// What is wrong in a Set, and which Set it is.
    #[error("set {id} at offset {offset} is malformed")]
    Set {
        /// The Set ID (RFC 7011, section 3.3.2).
        id: u16,
        /// Where in the message the Set begins.
        offset: usize,
        /// What is wrong.
        #[source]
        source: SetError,
    },
}

/// What is wrong inside a Set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// RFC 7011, section 3.3.2.
    #[error("set length is {0}, but a set header alone takes 4")]
    Short(u16),
    /// A Set ends where its message does, or before.
    #[error("set is longer than its message")]
    Long(#[source] Truncated),
    /// RFC 7011, sections 3.4.1 and 3.4.2.
    #[error("template record at offset {offset} is malformed")]
    Template {
        /// Where in the message the record begins.
        offset: usize,
        /// What is wrong.
        #[source]
        source: TemplateError,
    },
    /// RFC 7011, section 3.4.3.
    #[error("data record at offset {offset} is malformed")]
    Record {
        /// Where in the message the record begins.
        offset: usize,
        /// Which value does not end in its Set.
        #[source]
        source: Truncated,
    },
}

/// What is wrong with a Template Record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The record states more fields than there are bytes.
    #[error("template record is incomplete")]
    Truncated(#[from] Truncated),
    /// RFC 7011, section 3.4.1.
    #[error(transparent)]
    Id(#[from] InvalidTemplateId),
    /// RFC 7011, section 3.4.2.
    #[error("scope has {scope} of {fields} fields, but must have at least one and at most all")]
    Scope {
        /// How many fields are the scope, as the record says.
        scope: u16,
        /// How many fields there are.
        fields: u16,
    },
    /// RFC 7011, section 8.1: only where the session's rules refuse it.
    #[error("template {0} differs from the one of that id, which was not withdrawn")]
    Redefined(u16),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    const HEADER: [u8; 16] = [
        0x00, 0x0a, // version 10
        0x00, 0x10, // length 16: a message without Sets
        0x65, 0x53, 0xf1, 0x00, // exported 2023-11-14T22:13:20Z
        0x00, 0x00, 0x00, 0x2a, // 42 Data Records sent before this message
        0x00, 0x00, 0x00, 0x07, // Observation Domain 7
    ];

    const DECODED: MessageHeader =
        MessageHeader { length: 16, export_time: 1_700_000_000, sequence_number: 42, domain: 7 };

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<MessageHeader, &str>) {
        let got = MessageHeader::decode(&mut Reader::new(bytes));
        assert_eq!(got.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    }

    #[test]
    fn a_header_is_read_and_written() {
        check(&HEADER, Ok(DECODED));
        assert_eq!(DECODED.encode(), HEADER);
    }

    #[test]
    fn netflow_v9_is_not_ipfix() {
        check(&[0x00, 0x09], Err("version is 9, not 10"));
        assert_eq!(message_length(&[0x00, 0x09, 0x00, 0x20]), Err(MessageError::Version(9)));
    }

    #[test]
    fn a_message_is_at_least_a_header_long() {
        check(&[0x00, 0x0a, 0x00, 0x0f], Err("message length is 15, but a header alone takes 16"));
        assert_eq!(message_length(&[0x00, 0x0a, 0x00, 0x00]), Err(MessageError::Short(0)));
        assert_eq!(message_length(&[0x00, 0x0a, 0x00, 0x10]), Ok(16));
        assert_eq!(message_length(&[0x00, 0x0a, 0xff, 0xff]), Ok(u16::MAX));
    }

    #[test]
    fn every_shorter_header_is_refused() {
        for length in 0..HEADER.len() {
            check(&HEADER[..length], Err("message header is incomplete"));
        }
    }
}
