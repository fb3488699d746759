//! The bytes of one field, typed.
//!
//! A value may be shorter than its type: RFC 7011, section 6.2, lets an exporter reduce the
//! length of integers and of float64. Each function therefore takes the bytes as they are and
//! returns `None` for a length or content its type does not have. What to make of that - a
//! missing value, a refused record - is for the caller, who knows the field, to decide.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    str,
};

/// Reads an unsigned integer of one to eight bytes.
///
/// Also reads `dateTimeSeconds` and `dateTimeMilliseconds`, which count from the UNIX epoch.
#[inline]
pub fn unsigned(value: &[u8]) -> Option<u64> {
    // Almost every value has one of these lengths, and is read in one go.
    match value.len() {
        8 => value.try_into().ok().map(u64::from_be_bytes),
        4 => value.try_into().ok().map(u32::from_be_bytes).map(u64::from),
        2 => value.try_into().ok().map(u16::from_be_bytes).map(u64::from),
        _ => reduced(value).map(|(number, _)| number),
    }
}

/// Reads a signed integer of one to eight bytes, in two's complement.
#[inline]
pub fn signed(value: &[u8]) -> Option<i64> {
    let (number, unused_bits) = reduced(value)?;
    // Shifted up and back so that the sign of the reduced number becomes the sign of all 64 bits.
    Some((number << unused_bits).cast_signed() >> unused_bits)
}

/// Reads a float32, a float64, or a float64 reduced to a float32.
#[inline]
pub fn float(value: &[u8]) -> Option<f64> {
    if let Ok(bytes) = value.try_into() {
        return Some(f64::from_be_bytes(bytes));
    }
    value.try_into().ok().map(|bytes| f64::from(f32::from_be_bytes(bytes)))
}

/// Reads a truth value: 1 is true and 2 is false (RFC 7011, section 6.1.5).
#[inline]
pub fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        [1] => Some(true),
        [2] => Some(false),
        _ => None,
    }
}

#[inline]
pub fn ipv4(value: &[u8]) -> Option<Ipv4Addr> {
    value.try_into().ok().map(|bytes: [u8; 4]| Ipv4Addr::from(bytes))
}

#[inline]
pub fn ipv6(value: &[u8]) -> Option<Ipv6Addr> {
    value.try_into().ok().map(|bytes: [u8; 16]| Ipv6Addr::from(bytes))
}

#[inline]
pub fn mac(value: &[u8]) -> Option<[u8; 6]> {
    value.try_into().ok()
}

/// Reads a string, which must be UTF-8 (RFC 7011, section 6.1.6).
#[inline]
pub fn string(value: &[u8]) -> Option<&str> {
    str::from_utf8(value).ok()
}

/// Reads one to eight bytes as a number, and says how many of its 64 bits they leave unused.
fn reduced(value: &[u8]) -> Option<(u64, u32)> {
    if !(1..=8).contains(&value.len()) {
        return None;
    }
    let fold = |(number, unused), byte: &u8| (number << 8 | u64::from(*byte), unused - 8);
    Some(value.iter().fold((0, u64::BITS), fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_may_be_reduced_to_any_length() {
        assert_eq!(unsigned(&[0xff]), Some(255));
        assert_eq!(unsigned(&[1, 0]), Some(256));
        assert_eq!(unsigned(&[1, 0, 0]), Some(65_536));
        assert_eq!(unsigned(&[0xff; 7]), Some((1 << 56) - 1));
        assert_eq!(unsigned(&[0xff; 8]), Some(u64::MAX));
    }

    #[test]
    fn a_reduced_signed_integer_keeps_its_sign() {
        assert_eq!(signed(&[0xff]), Some(-1));
        assert_eq!(signed(&[0x80, 0x00]), Some(-32_768));
        assert_eq!(signed(&[0x7f, 0xff, 0xff]), Some(8_388_607));
        assert_eq!(signed(&[0x80, 0, 0, 0, 0, 0, 0, 0]), Some(i64::MIN));
    }

    #[test]
    fn floats_may_be_reduced_to_single_precision() {
        assert_eq!(float(&1.5_f64.to_be_bytes()), Some(1.5));
        assert_eq!(float(&1.5_f32.to_be_bytes()), Some(1.5));
        assert_eq!(float(&[0, 0]), None);
    }

    #[test]
    fn false_is_two() {
        assert_eq!(boolean(&[1]), Some(true));
        assert_eq!(boolean(&[2]), Some(false));
        assert_eq!(boolean(&[0]), None);
        assert_eq!(boolean(&[]), None);
    }

    #[test]
    fn values_of_another_length_are_refused() {
        assert_eq!(unsigned(&[]), None);
        assert_eq!(unsigned(&[0; 9]), None);
        assert_eq!(signed(&[]), None);
        assert_eq!(signed(&[0; 9]), None);
        assert_eq!(ipv4(&[10, 0, 0]), None);
        assert_eq!(ipv6(&[0; 4]), None);
        assert_eq!(mac(&[0; 8]), None);
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(ipv4(&[10, 0, 0, 1]), Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(ipv6(&[0; 16]), Some(Ipv6Addr::UNSPECIFIED));
        assert_eq!(mac(&[1, 2, 3, 4, 5, 6]), Some([1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn strings_are_utf8() {
        assert_eq!(string(b""), Some(""));
        assert_eq!(string("pod-ä".as_bytes()), Some("pod-ä"));
        assert_eq!(string(&[0xff, 0xfe]), None);
    }
}
