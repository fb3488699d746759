//! The bytes of one field, typed.
//!
//! A value may be shorter than its type: RFC 7011, section 6.2, lets an exporter reduce the
//! length of integers and of float64. Each function therefore takes the bytes as they are and
//! returns `None` for a length or content its type does not have. What to make of that - a
//! missing value, a refused record - is for the caller, who knows the field, to decide.

mod typed;

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    str,
    time::Duration,
};

pub use typed::Value;

/// The UNIX epoch in seconds of NTP's first era, which began in 1900.
const UNIX_EPOCH: u32 = 2_208_988_800;

/// The bits of an NTP time that `dateTimeMicroseconds` leaves unused (RFC 7011, section 6.1.9).
pub(crate) const UNUSED_BELOW_MICROSECONDS: u64 = 0x7ff;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// Reads an unsigned integer of one to eight bytes (RFC 7011, sections 6.1.1 and 6.2).
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

/// Reads a signed integer of one to eight bytes, in two's complement (RFC 7011, sections 6.1.1 and
/// 6.2).
#[inline]
pub fn signed(value: &[u8]) -> Option<i64> {
    let (number, unused_bits) = reduced(value)?;
    // Shifted up and back so that the sign of the reduced number becomes the sign of all 64 bits.
    Some((number << unused_bits).cast_signed() >> unused_bits)
}

/// Reads a float32, a float64, or a float64 reduced to a float32 (RFC 7011, sections 6.1.3, 6.1.4
/// and 6.2).
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

/// Reads an IPv4 address (RFC 7011, section 6.1.2).
#[inline]
pub fn ipv4(value: &[u8]) -> Option<Ipv4Addr> {
    value.try_into().ok().map(|bytes: [u8; 4]| Ipv4Addr::from(bytes))
}

/// Reads an IPv6 address (RFC 7011, section 6.1.2).
#[inline]
pub fn ipv6(value: &[u8]) -> Option<Ipv6Addr> {
    value.try_into().ok().map(|bytes: [u8; 16]| Ipv6Addr::from(bytes))
}

/// Reads a MAC address (RFC 7011, section 6.1.2).
#[inline]
pub fn mac(value: &[u8]) -> Option<[u8; 6]> {
    value.try_into().ok()
}

/// Reads a string, which must be UTF-8 (RFC 7011, section 6.1.6).
#[inline]
pub fn string(value: &[u8]) -> Option<&str> {
    str::from_utf8(value).ok()
}

/// Reads `dateTimeSeconds` as the time since the UNIX epoch (RFC 7011, section 6.1.7).
pub fn seconds(value: &[u8]) -> Option<Duration> {
    unsigned(value).map(Duration::from_secs)
}

/// Reads `dateTimeMilliseconds` as the time since the UNIX epoch (RFC 7011, section 6.1.8).
pub fn milliseconds(value: &[u8]) -> Option<Duration> {
    unsigned(value).map(Duration::from_millis)
}

/// Reads `dateTimeMicroseconds` as the time since the UNIX epoch (RFC 7011, section 6.1.9).
///
/// The bits below a microsecond are ignored, as the RFC asks for. What is left is finer than half a
/// microsecond, and is read as the nearest.
pub fn microseconds(value: &[u8]) -> Option<Duration> {
    let ntp = value.try_into().ok().map(u64::from_be_bytes)?;
    let time = from_ntp(ntp & !UNUSED_BELOW_MICROSECONDS);
    let microseconds = (u64::from(time.subsec_nanos()) + 500) / 1_000;
    Some(Duration::from_secs(time.as_secs()) + Duration::from_micros(microseconds))
}

/// Reads `dateTimeNanoseconds` as the time since the UNIX epoch (RFC 7011, section 6.1.10).
pub fn nanoseconds(value: &[u8]) -> Option<Duration> {
    value.try_into().ok().map(u64::from_be_bytes).map(from_ntp)
}

/// Reads an NTP time: seconds, and fractions of 2^-32 seconds.
///
/// NTP counts anew in 2036. Nothing was exported before 1970, so a time before that is one of the
/// era to come: this reads times up to 2106.
fn from_ntp(ntp: u64) -> Duration {
    let [s0, s1, s2, s3, f0, f1, f2, f3] = ntp.to_be_bytes();
    let seconds = u32::from_be_bytes([s0, s1, s2, s3]).wrapping_sub(UNIX_EPOCH);
    let fraction = u64::from(u32::from_be_bytes([f0, f1, f2, f3]));
    // To the nearest nanosecond, which is longer than four fractions; so no nanosecond is lost.
    let nanoseconds = (fraction * NANOSECONDS_PER_SECOND + (1 << 31)) >> 32;
    Duration::from_secs(u64::from(seconds)) + Duration::from_nanos(nanoseconds)
}

/// Returns a time since the UNIX epoch as NTP writes it; `None` from 2106 on.
pub(crate) fn to_ntp(time: Duration) -> Option<u64> {
    let seconds = u32::try_from(time.as_secs()).ok()?.wrapping_add(UNIX_EPOCH);
    // Rounded up, so that whoever rounds down when reading reads the same nanosecond.
    let fraction = (u64::from(time.subsec_nanos()) << 32).div_ceil(NANOSECONDS_PER_SECOND);
    Some(u64::from(seconds) << 32 | fraction)
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
    fn times_of_ntp_count_from_1900_and_then_from_2036() {
        let time = |ntp: u64| nanoseconds(&ntp.to_be_bytes()).unwrap();
        let unix_epoch = u64::from(UNIX_EPOCH) << 32;
        assert_eq!(time(unix_epoch), Duration::ZERO);
        assert_eq!(time(unix_epoch + (1 << 31)), Duration::from_millis(500));
        assert_eq!(time(u64::from(u32::MAX) << 32), Duration::from_secs(2_085_978_495));
        assert_eq!(time(0), Duration::from_secs(2_085_978_496), "2036-02-07T06:28:16Z");
        assert_eq!(nanoseconds(&[0; 4]), None);
        assert_eq!(microseconds(&[0; 9]), None);
    }

    #[test]
    fn times_of_ntp_lose_nothing() {
        for nanos in [0, 1, 499, 500, 999, 123_456_789, 999_999_499, 999_999_999] {
            let time = Duration::new(1_700_000_000, nanos);
            let bytes = to_ntp(time).unwrap().to_be_bytes();
            assert_eq!(nanoseconds(&bytes), Some(time));
            let time = Duration::new(1_700_000_000, nanos / 1_000 * 1_000);
            let bytes = (to_ntp(time).unwrap() & !UNUSED_BELOW_MICROSECONDS).to_be_bytes();
            assert_eq!(microseconds(&bytes), Some(time));
        }
        assert_eq!(to_ntp(Duration::from_secs(1 << 32)), None);
    }

    #[test]
    fn bits_below_a_microsecond_are_ignored() {
        let ntp = to_ntp(Duration::from_micros(5)).unwrap() & !UNUSED_BELOW_MICROSECONDS;
        let noisy = (ntp | UNUSED_BELOW_MICROSECONDS).to_be_bytes();
        assert_eq!(microseconds(&noisy), Some(Duration::from_micros(5)));
    }

    #[test]
    fn strings_are_utf8() {
        assert_eq!(string(b""), Some(""));
        assert_eq!(string("pod-ä".as_bytes()), Some("pod-ä"));
        assert_eq!(string(&[0xff, 0xfe]), None);
    }
}
