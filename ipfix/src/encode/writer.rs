//! Writes the fields of one record.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::EncodeError;
use crate::template::TemplateId;

/// A variable-length value of this many bytes or more has its length in three bytes instead of one,
/// the first of them this number (RFC 7011, section 7).
const LONG: u8 = 255;

/// Appends fields to a record, in the order its Template lists them.
///
/// Writing cannot fail: a record that grows too long is refused as a whole once it is complete,
/// and until then takes no more room than the longest record there may be.
#[derive(Debug)]
pub struct RecordWriter<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
    /// Where the longest record there may be would end.
    limit: usize,
    too_long: bool,
}

/// Why a record was not accepted.
#[derive(Debug)]
pub(super) enum Refused {
    TooLong,
    Empty,
}

impl Refused {
    pub(super) const fn explain(self, template: TemplateId, limit: u16) -> EncodeError {
        let id = template.get();
        match self {
            Self::TooLong => EncodeError::RecordTooLong { id, limit },
            Self::Empty => EncodeError::EmptyRecord { id },
        }
    }
}

impl<'a> RecordWriter<'a> {
    /// Begins a record of at most `room` bytes at the end of `bytes`.
    pub(super) const fn new(bytes: &'a mut Vec<u8>, room: usize) -> Self {
        let start = bytes.len();
        Self { bytes, start, limit: start + room, too_long: false }
    }

    pub(super) const fn finish(self) -> Result<(), Refused> {
        if self.too_long {
            return Err(Refused::TooLong);
        }
        if self.bytes.len() == self.start { Err(Refused::Empty) } else { Ok(()) }
    }

    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    pub fn ipv4(&mut self, value: Ipv4Addr) {
        self.bytes(&value.octets());
    }

    #[inline]
    pub fn ipv6(&mut self, value: Ipv6Addr) {
        self.bytes(&value.octets());
    }

    /// Writes a string of variable length.
    #[inline]
    pub fn string(&mut self, value: &str) {
        self.variable(value.as_bytes());
    }

    /// Writes a value of the fixed length its Template states.
    #[inline]
    pub fn bytes(&mut self, value: &[u8]) {
        if value.len() > self.limit - self.bytes.len() {
            self.too_long = true;
            return;
        }
        self.bytes.extend_from_slice(value);
    }

    /// Writes a value of variable length, preceded by that length.
    #[inline]
    pub fn variable(&mut self, value: &[u8]) {
        match u8::try_from(value.len()) {
            Ok(length) if length < LONG => self.u8(length),
            _ => self.long_length(value.len()),
        }
        self.bytes(value);
    }

    #[cold]
    fn long_length(&mut self, length: usize) {
        match u16::try_from(length) {
            Ok(length) => {
                self.u8(LONG);
                self.u16(length);
            }
            Err(_) => self.too_long = true,
        }
    }
}
