//! Netlink attributes: a length, a type, a payload, padded to four bytes.
//!
//! All of them are in the host's byte order; payloads of conntrack are big-endian. The walker
//! only ever splits slices, so a length that lies ends the walk with [`Malformed`]; it cannot
//! read past the message, and every step consumes at least the four bytes of a header.

/// Clears `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`, which are flags in the type's high bits.
const TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 4;

/// An attribute is longer than what holds it, or shorter than its own header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Walks the attributes of a message body or of a nested attribute.
#[derive(Debug)]
pub(crate) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let Some((&[l0, l1, t0, t1], _)) = self.0.split_first_chunk() else {
            // Fewer bytes than a header can only be padding.
            return None;
        };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let kind = u16::from_ne_bytes([t0, t1]) & TYPE_MASK;
        let Some(payload) = self.0.get(HEADER..length) else {
            self.0 = &[];
            return Some(Err(Malformed));
        };
        self.0 = self.0.get(length.next_multiple_of(HEADER)..).unwrap_or_default();
        Some(Ok((kind, payload)))
    }
}

/// Reads a big-endian number that must fill its attribute.
macro_rules! number {
    ($name:ident, $type:ty) => {
        #[inline]
        pub(crate) fn $name(payload: &[u8]) -> Result<$type, Malformed> {
            payload.try_into().map(<$type>::from_be_bytes).map_err(|_| Malformed)
        }
    };
}

number!(u8_be, u8);
number!(u16_be, u16);
number!(u32_be, u32);
number!(u64_be, u64);

/// Copies a payload that must be exactly `N` bytes.
#[inline]
pub(crate) fn bytes<const N: usize>(payload: &[u8]) -> Result<[u8; N], Malformed> {
    payload.try_into().map_err(|_| Malformed)
}

/// Set in the type of an attribute that holds attributes.
const NESTED: u16 = 0x8000;

/// Appends an attribute to a message.
pub(super) fn put(message: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    put_with(message, kind, |message| message.extend(payload));
}

/// Appends an attribute that holds those which `fill` appends.
pub(super) fn put_nested(message: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    put_with(message, kind | NESTED, fill);
}

fn put_with(message: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = message.len();
    message.extend([0; 2]);
    message.extend(kind.to_ne_bytes());
    fill(message);
    // What we ask for is far shorter than this.
    let length = u16::try_from(message.len() - start).unwrap_or(u16::MAX);
    if let Some(place) = message.get_mut(start..start + 2) {
        place.copy_from_slice(&length.to_ne_bytes());
    }
    message.resize(message.len().next_multiple_of(HEADER), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[u16], expected: &[Result<(u16, usize), Malformed>]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let got: Vec<_> = Attributes::new(&bytes)
            .map(|attribute| attribute.map(|(kind, payload)| (kind, payload.len())))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn flags_are_not_part_of_the_type() {
        check(&[4, 0x8001, 4, 0x4002], &[Ok((1, 0)), Ok((2, 0))]);
    }

    #[test]
    fn padding_belongs_to_no_attribute() {
        check(&[5, 1, 0x00ff, 0, 6, 2, 7, 0], &[Ok((1, 1)), Ok((2, 2))]);
        // The last attribute may lack its padding.
        check(&[6, 2, 7], &[Ok((2, 2))]);
    }

    #[test]
    fn a_length_that_lies_ends_the_walk() {
        check(&[4, 1, 9, 2, 0, 0], &[Ok((1, 0)), Err(Malformed)]);
        check(&[0, 1, 4, 2], &[Err(Malformed)]);
        check(&[3, 1, 4, 2], &[Err(Malformed)]);
        check(&[u16::MAX, 1], &[Err(Malformed)]);
    }
}
