//! Messages of the switch, as far as an observer needs them.
//!
//! Numbers are those of the OpenFlow Switch Specification 1.5.1 and of Open vSwitch's
//! `nicira-ext.h`. Every part is read through a bounds-checked reader of its own; nothing is
//! copied, and nothing nests deeper than the code below does.

use ipfix::reader::{Reader, Truncated};

/// OpenFlow 1.5, the first version in which Antrea's Agent tells denies as they are read here.
pub(super) const VERSION: u8 = 6;
/// Version, type, length, transaction id (7.1.1).
pub(super) const HEADER: usize = 8;
/// The experimenter whose extensions Open vSwitch speaks.
pub(super) const NICIRA: u32 = 0x2320;

/// Types of messages (7.1.1).
pub(super) mod kind {
    pub(crate) const HELLO: u8 = 0;
    pub(crate) const ERROR: u8 = 1;
    pub(crate) const ECHO_REQUEST: u8 = 2;
    pub(crate) const ECHO_REPLY: u8 = 3;
    pub(crate) const EXPERIMENTER: u8 = 4;
    pub(crate) const MULTIPART_REQUEST: u8 = 18;
    pub(crate) const MULTIPART_REPLY: u8 = 19;
    pub(crate) const SET_ASYNC: u8 = 28;
}

/// Types of messages of Open vSwitch's own.
pub(super) mod nicira {
    pub(crate) const SET_PACKET_IN_FORMAT: u32 = 16;
    pub(crate) const SET_CONTROLLER_ID: u32 = 20;
    pub(crate) const PACKET_IN2: u32 = 30;
    /// As `NXT_PACKET_IN2`; for [`SET_PACKET_IN_FORMAT`].
    pub(crate) const FORMAT_PACKET_IN2: u32 = 2;
}

/// Types of multipart messages (7.3.5).
pub(super) mod multipart {
    pub(crate) const FLOW_DESC: u16 = 1;
    pub(crate) const TABLE_FEATURES: u16 = 12;
}

/// `OFPHET_VERSIONBITMAP` (7.5.1).
const VERSION_BITMAP: u16 = 1;
/// `OFPMPF_REPLY_MORE`.
const MORE: u16 = 1;

/// The switch does not keep to the protocol, and the session cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    #[error("a message is shorter than its header")]
    Length,
    #[error("a message is cut short")]
    Truncated(#[from] Truncated),
}

/// What follows an element's own length lies about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

impl From<Truncated> for Unreadable {
    fn from(_: Truncated) -> Self {
        Self
    }
}

/// One message.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// Whether the switch speaks our version.
    Hello {
        speaks_ours: bool,
    },
    Error {
        kind: u16,
        code: u16,
    },
    EchoRequest(&'a [u8]),
    EchoReply,
    /// The properties of an `NXT_PACKET_IN2`.
    PacketIn(Reader<'a>),
    TableFeatures(Part<'a>),
    Flows(Part<'a>),
    /// Nothing that was asked for.
    Other,
}

/// One of the messages that together are an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) body: Reader<'a>,
    pub(super) is_last: bool,
}

/// Returns the length of the message `bytes` begin with, if there is enough of it to tell.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
    let Some(&[_, _, high, low]) = bytes.first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length < HEADER { Err(ProtocolError::Length) } else { Ok(Some(length)) }
}

/// Reads one whole message; returns its transaction id with it.
pub(super) fn parse(bytes: &[u8]) -> Result<(u32, Message<'_>), ProtocolError> {
    let mut reader = Reader::new(bytes);
    let (version, kind, _length) = (reader.u8()?, reader.u8()?, reader.u16()?);
    let id = reader.u32()?;
    let message = match kind {
        kind::HELLO => Message::Hello { speaks_ours: speaks_ours(version, reader) },
        kind::ERROR => Message::Error { kind: reader.u16()?, code: reader.u16()? },
        kind::ECHO_REQUEST => Message::EchoRequest(reader.bytes(reader.remaining())?),
        kind::ECHO_REPLY => Message::EchoReply,
        kind::EXPERIMENTER => experimenter(reader)?,
        kind::MULTIPART_REPLY => multipart(reader)?,
        _ => Message::Other,
    };
    Ok((id, message))
}

/// With a bitmap on both sides it decides; without, the lower of the two versions does (7.5.1).
fn speaks_ours(version: u8, mut elements: Reader<'_>) -> bool {
    while let Ok((VERSION_BITMAP, mut bitmap)) = property(&mut elements) {
        if let Ok(first) = bitmap.u32() {
            return first & 1 << VERSION != 0;
        }
    }
    version >= VERSION
}

fn experimenter(mut reader: Reader<'_>) -> Result<Message<'_>, ProtocolError> {
    Ok(match (reader.u32()?, reader.u32()?) {
        (NICIRA, nicira::PACKET_IN2) => Message::PacketIn(reader),
        _ => Message::Other,
    })
}

fn multipart(mut reader: Reader<'_>) -> Result<Message<'_>, ProtocolError> {
    let (what, flags) = (reader.u16()?, reader.u16()?);
    reader.bytes(4)?;
    let part = Part { body: reader, is_last: flags & MORE == 0 };
    Ok(match what {
        multipart::TABLE_FEATURES => Message::TableFeatures(part),
        multipart::FLOW_DESC => Message::Flows(part),
        _ => Message::Other,
    })
}

/// Takes a property: type, length with this header but without padding, payload, padding to eight
/// bytes (7.2.1.2), of which the last one in a message may lack.
pub(super) fn property<'a>(reader: &mut Reader<'a>) -> Result<(u16, Reader<'a>), Unreadable> {
    let (kind, length) = (reader.u16()?, usize::from(reader.u16()?));
    let payload = reader.sub(length.checked_sub(4).ok_or(Unreadable)?)?;
    let padding = length.next_multiple_of(8) - length;
    reader.bytes(padding.min(reader.remaining()))?;
    Ok((kind, payload))
}
