//! Protocol buffers on the wire: keys, varints and lengths. Input is hostile.
//!
//! Numbers of up to 56 bits, which is nearly all of them, are taken apart and put together eight
//! bytes at once: how many bytes one has cannot be foreseen, and a loop over them costs more.

use std::ops::Range;

use crate::Malformed;

/// Wire types.
pub(crate) const VARINT: u8 = 0;
const FIXED64: u8 = 1;
pub(crate) const BYTES: u8 = 2;
const FIXED32: u8 = 5;

/// The most bytes of a varint, which has 7 bits in each.
pub(crate) const LONGEST_VARINT: usize = 10;
/// The bits that say of each byte whether another one follows.
const FOLLOWED: u64 = 0x8080_8080_8080_8080;

/// Number and wire type of a field, as they precede its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    bytes: [u8; 2],
    length: usize,
}

impl Key {
    /// Of a field whose number has up to 8 bits.
    pub(crate) const fn new(number: u8, wire_type: u8) -> Self {
        let low = number << 3 | wire_type;
        match number >> 4 {
            0 => Self { bytes: [low, 0], length: 1 },
            high => Self { bytes: [low | 0x80, high], length: 2 },
        }
    }
}

#[inline]
pub(crate) fn put_key(out: &mut Vec<u8>, key: Key) {
    put_some(out, key.bytes, key.length);
}

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    if value >> 56 != 0 {
        return put_long_varint(out, value);
    }
    // Seven bits to each byte, in three steps.
    let halves = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let pairs = halves & 0x0000_3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    let bytes = pairs & 0x007f_007f_007f_007f | (pairs & 0x3f80_3f80_3f80_3f80) << 1;
    let last = (bytes | 1).ilog2() / 8;
    let followed = FOLLOWED & !(u64::MAX << (8 * last));
    put_some(out, (bytes | followed).to_le_bytes(), last as usize + 1);
}

#[cold]
fn put_long_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends the first `length` of some bytes, all of which are copied: their number is known.
#[inline]
fn put_some<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N], length: usize) {
    let end = out.len() + length;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

/// As everywhere in proto3, 0 is what is not there.
#[inline]
pub(crate) fn put_number(out: &mut Vec<u8>, key: Key, value: u64) {
    if value != 0 {
        put_key(out, key);
        put_varint(out, value);
    }
}

#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, key: Key, bytes: &[u8]) {
    put_key(out, key);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A message whose length is yet to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    /// Where its key is.
    key: usize,
    body: usize,
    /// Bytes that were left for its length.
    room: usize,
}

/// Begins a message that most likely has fewer than 128 bytes.
#[inline]
pub(crate) fn begin(out: &mut Vec<u8>, key: Key) -> Open {
    begin_with(out, key, [0; 1])
}

/// Begins a message that most likely has more.
#[inline]
pub(crate) fn begin_long(out: &mut Vec<u8>, key: Key) -> Open {
    begin_with(out, key, [0; 2])
}

#[inline]
fn begin_with<const N: usize>(out: &mut Vec<u8>, key: Key, room: [u8; N]) -> Open {
    let start = out.len();
    put_key(out, key);
    out.extend_from_slice(&room);
    Open { key: start, body: out.len(), room: N }
}

impl Open {
    #[inline]
    pub(crate) fn is_empty(self, out: &[u8]) -> bool {
        out.len() == self.body
    }

    /// Takes it back.
    #[inline]
    pub(crate) fn cancel(self, out: &mut Vec<u8>) {
        out.truncate(self.key);
    }

    /// Puts the length of what has followed before it.
    #[inline]
    pub(crate) fn end(self, out: &mut Vec<u8>) {
        let length = out.len() - self.body;
        match (self.room, out.get_mut(self.body - self.room..)) {
            (1, Some([place, ..])) if length < 0x80 => *place = length.to_le_bytes()[0],
            (2, Some([low, high, ..])) if (0x80..0x4000).contains(&length) => {
                *low = length.to_le_bytes()[0] | 0x80;
                *high = (length >> 7).to_le_bytes()[0];
            }
            _ => self.make_room(out, length),
        }
    }

    /// For a length that has more bytes than were left for it, or fewer.
    fn make_room(self, out: &mut Vec<u8>, length: usize) {
        let mut bytes = Vec::with_capacity(LONGEST_VARINT);
        put_varint(&mut bytes, length as u64);
        out.splice(self.body - self.room..self.body, bytes);
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(Reader<'a>),
    /// Of a fixed length, which no field here has.
    Fixed,
}

/// Reads the fields of a message one after the other.
///
/// What is behind the message is at hand, so that its last numbers need no care of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reader<'a> {
    /// The rest of the message, and what is behind it.
    bytes: &'a [u8],
    /// Bytes of the message.
    left: usize,
}

impl<'a> Reader<'a> {
    /// Of the message at `place` of `bytes`.
    pub(crate) fn new(bytes: &'a [u8], place: Range<usize>) -> Self {
        let bytes = bytes.get(place.start..).unwrap_or_default();
        Self { bytes, left: place.len().min(bytes.len()) }
    }

    /// Of all `bytes`.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, left: bytes.len() }
    }

    /// What is left of the message.
    #[inline]
    pub(crate) fn rest(self) -> &'a [u8] {
        self.bytes.get(..self.left).unwrap_or_default()
    }

    /// Returns the next field's number and value, or nothing at the end.
    #[expect(clippy::inline_always, reason = "else both are handed over in memory")]
    #[inline(always)]
    pub(crate) fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.left == 0 {
            return Ok(None);
        }
        let (number, wire_type) = self.key()?;
        let value = match wire_type {
            VARINT => Value::Number(self.varint()?),
            BYTES => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            FIXED64 => self.take(8).map(|_| Value::Fixed)?,
            FIXED32 => self.take(4).map(|_| Value::Fixed)?,
            other => return Err(Malformed::WireType(other)),
        };
        Ok(Some((number, value)))
    }

    /// Returns a field's number and wire type.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<(u64, u8), Malformed> {
        let key = self.varint()?;
        let wire_type = key.to_le_bytes()[0] & 7;
        match key >> 3 {
            0 => Err(Malformed::FieldZero),
            number => Ok((number, wire_type)),
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        // Keys and lengths mostly have one byte, or two.
        match *self.bytes {
            [first @ 0..128, ref behind @ ..] if self.left >= 1 => {
                (self.bytes, self.left) = (behind, self.left - 1);
                Ok(u64::from(first))
            }
            [first, second @ 0..128, ref behind @ ..] if self.left >= 2 => {
                (self.bytes, self.left) = (behind, self.left - 2);
                Ok(u64::from(second) << 7 | u64::from(first & 0x7f))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let Some(bytes) = self.bytes.first_chunk().copied().map(u64::from_le_bytes) else {
            return self.any_varint();
        };
        let last = (!bytes & FOLLOWED).trailing_zeros() / 8;
        if last == 8 || self.left <= last as usize {
            return self.any_varint();
        }
        self.take(last as usize + 1)?;
        // The other way round than written.
        let bytes = bytes & !FOLLOWED & (u64::MAX >> (56 - 8 * last));
        let pairs = bytes & 0x007f_007f_007f_007f | (bytes & 0x7f00_7f00_7f00_7f00) >> 1;
        let halves = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
        Ok(halves & 0x0fff_ffff | (halves & 0x0fff_ffff_0000_0000) >> 4)
    }

    /// One of any length, or none.
    #[cold]
    fn any_varint(&mut self) -> Result<u64, Malformed> {
        let rest = self.rest();
        let mut value = 0;
        for (index, byte) in rest.iter().enumerate().take(LONGEST_VARINT) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.take(index + 1)?;
                return Ok(value);
            }
        }
        let is_cut = rest.len() < LONGEST_VARINT;
        Err(if is_cut { Malformed::Truncated } else { Malformed::Varint })
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<Self, Malformed> {
        let taken = Self { left: length, ..*self };
        match (self.left.checked_sub(length), self.bytes.get(length..)) {
            (Some(left), Some(bytes)) => *self = Self { bytes, left },
            _ => return Err(Malformed::Truncated),
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_prost() {
        let near = |bits: u32| {
            let middle = 1_u64 << bits;
            [middle - 1, middle, middle + 1, middle | (middle / 3), middle * 2 - 1]
        };
        for value in (0..63).flat_map(near).chain([u64::MAX - 1, u64::MAX]) {
            let mut ours = Vec::new();
            put_varint(&mut ours, value);
            let theirs = prost::Message::encode_to_vec(&value);
            // A message `UInt64Value`: key 8, and nothing at all for 0.
            assert_eq!(ours, theirs.get(1..).unwrap_or(&[0]), "{value}");
            // At the end of everything, and with more behind it, whatever that is.
            for behind in [&[][..], &[0; 10], &[0xff; 10]] {
                let bytes = [&ours, behind].concat();
                let mut reader = Reader::new(&bytes, 0..ours.len());
                assert_eq!((reader.varint(), reader.rest()), (Ok(value), &[][..]));
                let cut = Reader::new(&bytes, 0..ours.len() - 1).varint();
                assert_eq!(cut, Err(Malformed::Truncated), "{value}");
            }
        }
    }

    #[test]
    fn keys_are_those_of_prost() {
        for number in 1..=255 {
            for wire_type in [VARINT, BYTES] {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                put_key(&mut ours, Key::new(number, wire_type));
                let of_prost = prost::encoding::WireType::try_from(u64::from(wire_type)).unwrap();
                prost::encoding::encode_key(number.into(), of_prost, &mut theirs);
                assert_eq!(ours, theirs);
                assert_eq!(Reader::of(&ours).key(), Ok((number.into(), wire_type)));
            }
        }
    }

    #[test]
    fn a_length_is_put_before_what_it_is_of() {
        for length in [0, 1, 127, 128, 16_383, 16_384] {
            for begin in [begin, begin_long] {
                let mut out = vec![1, 2];
                let open = begin(&mut out, Key::new(1, BYTES));
                assert!(open.is_empty(&out));
                out.resize(out.len() + length, 7);
                open.end(&mut out);
                let theirs = prost::Message::encode_to_vec(&vec![7_u8; length]);
                // A message `BytesValue`: nothing at all for no bytes.
                let theirs = if length == 0 { vec![0x0a, 0] } else { theirs };
                assert_eq!(out, [&[1, 2], &theirs[..]].concat());
                let open = begin(&mut out, Key::new(255, BYTES));
                open.cancel(&mut out);
                assert_eq!(out.len(), 2 + theirs.len());
            }
        }
    }

    #[test]
    fn what_is_no_field_is_an_error() {
        let field = |bytes: &'static [u8]| Reader::of(bytes).field();
        assert!(matches!(field(&[]), Ok(None)));
        assert!(matches!(field(&[0x00, 1]), Err(Malformed::FieldZero)));
        assert!(matches!(field(&[0x0b]), Err(Malformed::WireType(3))));
        assert!(matches!(field(&[0x0a, 5, 1]), Err(Malformed::Truncated)));
        assert!(matches!(field(&[0x09, 1, 2]), Err(Malformed::Truncated)));
        assert!(matches!(field(&[0x08, 0x80]), Err(Malformed::Truncated)));
        assert!(matches!(field(&[0xff; 12]), Err(Malformed::Varint)));
        let huge = &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(matches!(field(huge), Err(Malformed::Truncated)));
    }
}
