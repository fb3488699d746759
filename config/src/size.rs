//! Sizes in bytes, as people write them: `512MiB`, `2GiB`, or a plain number of bytes.

/// The largest first, so that a size is written with as few digits as there can be.
const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// Reads a size. An error says why it is none.
pub fn parse(text: &str) -> Result<u64, &'static str> {
    let unit = UNITS.into_iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, bits)));
    let (digits, bits) = unit.unwrap_or((text, 0));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it is not a number of bytes, or one with KiB, MiB, GiB or TiB behind it");
    }
    let number = digits.parse::<u64>().ok();
    number.and_then(|number| number.checked_mul(1 << bits)).ok_or("it is too large")
}

/// Writes a size so that [`parse`] reads it as the same.
pub fn format(bytes: u64) -> String {
    let fits = |bits: u32| bytes > 0 && bytes.trailing_zeros() >= bits;
    match UNITS.into_iter().find(|(_, bits)| fits(*bits)) {
        Some((unit, bits)) => format!("{}{unit}", bytes >> bits),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("1KiB", 1024),
            ("512MiB", 536_870_912),
            ("2GiB", 2_147_483_648),
            ("1TiB", 1_099_511_627_776),
        ] {
            assert_eq!((parse(text), format(bytes).as_str()), (Ok(bytes), text));
        }
        for text in ["", "MiB", "1 MiB", "1MB", "1.5GiB", "-1", "+1", "99999999TiB"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in any::<u64>()) {
            prop_assert_eq!(parse(&format(bytes)), Ok(bytes));
        }
    }
}
