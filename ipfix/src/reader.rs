//! The one way bytes from the wire are read.
//!
//! Every access is checked against what is left, and every refusal says at which offset of the
//! whole input it happened, however deep in Sets and records the reader was split off.

/// A cursor over bytes nobody has vouched for.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

/// Fewer bytes are left than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("truncated at offset {offset}: wanted {wanted} bytes, {left} left")]
pub struct Truncated {
    /// Where in the whole input the missing bytes would have begun.
    pub offset: usize,
    /// How many bytes were asked for.
    pub wanted: usize,
    /// How many there were.
    pub left: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, of which the first is at offset 0.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Takes the next `wanted` bytes.
    pub const fn bytes(&mut self, wanted: usize) -> Result<&'a [u8], Truncated> {
        let Some((taken, rest)) = self.rest.split_at_checked(wanted) else {
            return Err(self.truncated(wanted));
        };
        self.rest = rest;
        self.offset += wanted;
        Ok(taken)
    }

    /// Splits off the next `length` bytes as a reader of their own.
    ///
    /// A Set or a record is parsed through the reader this returns, so it cannot see its
    /// neighbours even when its own length fields lie.
    pub const fn sub(&mut self, length: usize) -> Result<Self, Truncated> {
        let offset = self.offset;
        match self.bytes(length) {
            Ok(rest) => Ok(Self { rest, offset }),
            Err(truncated) => Err(truncated),
        }
    }

    /// Takes the next byte.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_be_bytes)
    }

    /// Takes a number of two bytes, the most significant first.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a number of four bytes, the most significant first.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a number of eight bytes, the most significant first.
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    /// Returns what is left, without taking it.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns how far into the whole input this reader is.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Returns how many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Returns true if nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated(N));
        };
        self.rest = rest;
        self.offset += N;
        Ok(*taken)
    }

    const fn truncated(&self, wanted: usize) -> Truncated {
        Truncated { offset: self.offset, wanted, left: self.rest.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_big_endian() {
        let bytes: Vec<u8> = (1..=15).collect();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(0x01));
        assert_eq!(reader.u16(), Ok(0x0203));
        assert_eq!(reader.u32(), Ok(0x0405_0607));
        assert_eq!(reader.u64(), Ok(0x0809_0a0b_0c0d_0e0f));
        assert!(reader.is_empty());
    }

    #[test]
    fn a_refused_read_takes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), Err(Truncated { offset: 0, wanted: 4, left: 3 }));
        assert_eq!(reader.bytes(3), Ok(&[1, 2, 3][..]));
    }

    #[test]
    fn a_sub_reader_ends_where_it_was_cut_and_keeps_its_offset() {
        let mut reader = Reader::new(&[1, 2, 3, 4]);
        reader.u8().unwrap();
        let mut sub = reader.sub(2).unwrap();
        assert_eq!(sub.u16(), Ok(0x0203));
        assert_eq!(
            sub.u8().unwrap_err().to_string(),
            "truncated at offset 3: wanted 1 bytes, 0 left"
        );
        assert_eq!(reader.u8(), Ok(4));
    }
}
