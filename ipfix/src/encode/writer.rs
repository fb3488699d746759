//! Writes the fields of one record.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::EncodeError;
use crate::{
    template::{FieldSpecifier, TemplateId},
    value,
};

/// A variable-length value of this many bytes or more has its length in three bytes instead of one,
/// the first of them this number (RFC 7011, section 7).
pub(super) const LONG: u8 = 255;

/// Appends fields to a record, in the order its Template lists them.
///
/// Writing cannot fail: a record that grows too long is refused as a whole once it is complete,
/// and until then takes no more room than the longest record there may be.
#[derive(Debug)]
pub struct RecordWriter<'a> {
    /// As long as the longest record there may be.
    room: &'a mut [u8],
    /// How much of that is written. No record is longer than this can tell, and sums of it cannot
    /// overflow, so that one comparison is enough for each value.
    length: u16,
    too_long: bool,
    /// A value cannot be expressed in the length or the type it should have.
    refused: bool,
}

/// Why a record was not accepted.
#[derive(Debug)]
pub(super) enum Refused {
    TooLong,
    Empty,
    Value,
}

impl Refused {
    pub(super) const fn explain(self, template: TemplateId, limit: u16) -> EncodeError {
        let id = template.get();
        match self {
            Self::TooLong => EncodeError::RecordTooLong { id, limit },
            Self::Empty => EncodeError::EmptyRecord { id },
            Self::Value => EncodeError::ValueOutOfRange { id },
        }
    }
}

impl<'a> RecordWriter<'a> {
    /// Begins a record in `room`.
    pub(super) const fn new(room: &'a mut [u8]) -> Self {
        Self { room, length: 0, too_long: false, refused: false }
    }

    /// Returns how long the record is.
    pub(super) const fn finish(self) -> Result<usize, Refused> {
        if self.too_long {
            return Err(Refused::TooLong);
        }
        if self.refused {
            return Err(Refused::Value);
        }
        if self.length == 0 { Err(Refused::Empty) } else { Ok(self.length as usize) }
    }

    /// Writes an unsigned8 (RFC 7011, section 6.1.1).
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    /// Writes an unsigned16 (RFC 7011, section 6.1.1).
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Writes an unsigned32 (RFC 7011, section 6.1.1).
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Writes an unsigned64 (RFC 7011, section 6.1.1).
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Writes an IPv4 address (RFC 7011, section 6.1.2).
    #[inline]
    pub fn ipv4(&mut self, value: Ipv4Addr) {
        self.bytes(&value.octets());
    }

    /// Writes an IPv6 address (RFC 7011, section 6.1.2).
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
        if let Some(place) = self.place(value.len()) {
            place.copy_from_slice(value);
        }
    }

    /// Takes the next `length` bytes of the room, to be written.
    #[inline]
    fn place(&mut self, length: usize) -> Option<&mut [u8]> {
        let start = usize::from(self.length);
        let place = u16::try_from(length).ok().and_then(|length| {
            let place = self.room.get_mut(start..start + usize::from(length))?;
            self.length += length;
            Some(place)
        });
        self.too_long |= place.is_none();
        place
    }

    /// Writes a value of variable length, preceded by that length.
    #[inline]
    pub fn variable(&mut self, value: &[u8]) {
        match u8::try_from(value.len()) {
            // What does not apply to a flow is empty, and copying nothing is slow.
            Ok(0) => self.u8(0),
            Ok(length) if length < LONG => {
                if let Some([first, place @ ..]) = self.place(1 + value.len()) {
                    *first = length;
                    place.copy_from_slice(value);
                }
            }
            _ => {
                self.long_length(value.len());
                self.bytes(value);
            }
        }
    }

    /// Writes the length of a value of variable length (RFC 7011, section 7).
    #[inline]
    pub(crate) fn length(&mut self, length: usize) {
        match u8::try_from(length) {
            Ok(length) if length < LONG => self.u8(length),
            _ => self.long_length(length),
        }
    }

    /// Writes an unsigned integer in `length` bytes, which may be fewer than its type has (RFC 7011,
    /// section 6.2). A value that needs more makes the record refused.
    pub fn unsigned(&mut self, value: u64, length: u16) {
        let bytes = value.to_be_bytes();
        match bytes
            .len()
            .checked_sub(usize::from(length))
            .and_then(|cut| bytes.split_at_checked(cut))
        {
            Some((cut, kept)) if cut.iter().all(|byte| *byte == 0) => self.bytes(kept),
            _ => self.refused = true,
        }
    }

    /// Writes a signed integer in `length` bytes, which may be fewer than its type has.
    pub fn signed(&mut self, value: i64, length: u16) {
        let bytes = value.to_be_bytes();
        let Some(cut) = bytes.len().checked_sub(usize::from(length)).filter(|cut| *cut < 8) else {
            self.refused = true;
            return;
        };
        // What is cut off must be nothing but copies of the sign.
        let unused_bits = 8 * u32::try_from(cut).unwrap_or_default();
        if (value << unused_bits) >> unused_bits != value {
            self.refused = true;
            return;
        }
        self.bytes(bytes.get(cut..).unwrap_or_default());
    }

    /// Writes a float64.
    pub fn f64(&mut self, value: f64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Writes a float32, or a float64 reduced to one (RFC 7011, section 6.2).
    pub fn f32(&mut self, value: f32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Writes a truth value: 1 is true and 2 is false (RFC 7011, section 6.1.5).
    pub fn boolean(&mut self, value: bool) {
        self.u8(if value { 1 } else { 2 });
    }

    /// Writes a float64 reduced to a float32, unless that changes it.
    pub(crate) fn reduced_float(&mut self, value: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "it is compared with what it was")]
        let reduced = value as f32;
        if f64::from(reduced).to_bits() == value.to_bits() {
            self.f32(reduced);
        } else {
            self.refused = true;
        }
    }

    /// Writes `value`, which must have `length` bytes.
    pub(crate) fn exactly(&mut self, value: &[u8], length: u16) {
        if value.len() == usize::from(length) { self.bytes(value) } else { self.refused = true }
    }

    /// Makes the record refused, whatever else is written.
    pub(crate) const fn refuse(&mut self) {
        self.refused = true;
    }

    /// Writes a MAC address.
    pub fn mac(&mut self, value: [u8; 6]) {
        self.bytes(&value);
    }

    /// Writes a time, given since the UNIX epoch, as `dateTimeSeconds` (RFC 7011, section 6.1.7).
    pub fn seconds(&mut self, value: Duration) {
        self.unsigned(value.as_secs(), 4);
    }

    /// Writes a time, given since the UNIX epoch, as `dateTimeMilliseconds` (RFC 7011, section
    /// 6.1.8).
    pub fn milliseconds(&mut self, value: Duration) {
        match u64::try_from(value.as_millis()) {
            Ok(milliseconds) => self.u64(milliseconds),
            Err(_) => self.refused = true,
        }
    }

    /// Writes a time, given since the UNIX epoch, as `dateTimeMicroseconds` (RFC 7011, section
    /// 6.1.9).
    pub fn microseconds(&mut self, value: Duration) {
        self.ntp(value, !value::UNUSED_BELOW_MICROSECONDS);
    }

    /// Writes a time, given since the UNIX epoch, as `dateTimeNanoseconds` (RFC 7011, section
    /// 6.1.10).
    pub fn nanoseconds(&mut self, value: Duration) {
        self.ntp(value, u64::MAX);
    }

    fn ntp(&mut self, value: Duration, mask: u64) {
        match value::to_ntp(value) {
            Some(ntp) => self.u64(ntp & mask),
            None => self.refused = true,
        }
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

    /// Writes a field specifier, as lists carry one.
    pub(super) fn field(&mut self, field: FieldSpecifier) {
        field.encode(|bytes| self.bytes(bytes));
    }

    /// Returns how far the record has come.
    pub(super) fn position(&self) -> usize {
        usize::from(self.length)
    }

    /// Leaves two bytes for a length to fill in, and says where they are.
    pub(super) fn reserve(&mut self) -> usize {
        let place = self.position();
        self.u16(0);
        place
    }

    /// Fills in a length. If it was not written, because the record is too long, this does nothing.
    pub(super) fn fill_in(&mut self, place: usize, length: usize) {
        let Ok(length) = u16::try_from(length) else {
            self.too_long = true;
            return;
        };
        if self.too_long {
            return;
        }
        if let Some(bytes) = self.room.get_mut(place..).and_then(<[u8]>::first_chunk_mut) {
            *bytes = length.to_be_bytes();
        }
    }
}
