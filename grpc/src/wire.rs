//! Protocol buffers on the wire: keys, varints and lengths. Input is hostile.

use crate::Malformed;

/// Wire types.
pub(crate) const VARINT: u8 = 0;
const FIXED64: u8 = 1;
pub(crate) const BYTES: u8 = 2;
const FIXED32: u8 = 5;

/// The most bytes of a varint, which has 7 bits in each.
pub(crate) const LONGEST_VARINT: usize = 10;

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    // Most have one byte.
    if let Ok(short @ 0..128) = u8::try_from(value) {
        return out.push(short);
    }
    let (bytes, length) = varint(value);
    out.extend_from_slice(&bytes[..length]);
}

/// The bytes of a varint, and how many they are.
fn varint(mut value: u64) -> ([u8; LONGEST_VARINT], usize) {
    let (mut bytes, mut length) = ([0; LONGEST_VARINT], 0);
    loop {
        bytes[length] = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        length += 1;
        if value == 0 {
            return (bytes, length);
        }
        bytes[length - 1] |= 0x80;
    }
}

#[inline]
pub(crate) fn put_key(out: &mut Vec<u8>, number: usize, wire_type: u8) {
    put_varint(out, (number as u64) << 3 | u64::from(wire_type));
}

/// As everywhere in proto3, 0 is what is not there.
pub(crate) fn put_number(out: &mut Vec<u8>, number: usize, value: u64) {
    if value != 0 {
        put_key(out, number, VARINT);
        put_varint(out, value);
    }
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, number: usize, bytes: &[u8]) {
    put_key(out, number, BYTES);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Puts the length of what follows `body` before it, in the place of the one byte there.
pub(crate) fn set_length(out: &mut Vec<u8>, body: usize) {
    let end = out.len();
    if let Ok(short @ 0..128) = u8::try_from(end - body) {
        out[body - 1] = short;
        return;
    }
    let (bytes, length) = varint((end - body) as u64);
    out.resize(end + length - 1, 0);
    out.copy_within(body..end, body + length - 1);
    out[body - 1..][..length].copy_from_slice(&bytes[..length]);
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a fixed length, which no field here has.
    Fixed,
}

/// Reads the fields of a message one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// Returns the next field's number and value, or nothing at the end.
    pub(crate) fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
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
        // Most have one byte.
        if let [byte @ 0..128, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, byte) in self.0.iter().enumerate().take(LONGEST_VARINT) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        let is_cut = self.0.len() < LONGEST_VARINT;
        Err(if is_cut { Malformed::Truncated } else { Malformed::Varint })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_prost() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut ours = Vec::new();
            put_varint(&mut ours, value);
            let theirs = prost::Message::encode_to_vec(&value);
            // A message `UInt64Value`: key 8, and nothing at all for 0.
            assert_eq!(ours, theirs.get(1..).unwrap_or(&[0]), "{value}");
            assert_eq!(Reader(&ours).varint().unwrap(), value);
        }
    }

    #[test]
    fn a_length_is_put_before_what_it_is_of() {
        for length in [0, 1, 127, 128, 16_383, 16_384] {
            let mut out = vec![1, 2, 0];
            out.resize(3 + length, 7);
            set_length(&mut out, 3);
            let mut reader = Reader(&out[2..]);
            assert_eq!(reader.varint().unwrap(), length as u64);
            assert_eq!(reader.0, vec![7; length]);
            assert_eq!(out[..2], [1, 2]);
        }
    }

    #[test]
    fn what_is_no_field_is_an_error() {
        let field = |bytes: &'static [u8]| Reader(bytes).field();
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
