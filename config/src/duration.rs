//! Go's duration strings ("5s", "1m30s", "1.5h", "100ms"), as Antrea's files write them.
//!
//! The grammar is that of Go's `time.ParseDuration` without a sign: nothing in Fyke takes a
//! negative time. No kept crate reads exactly this grammar.

use std::time::Duration;

/// Nanoseconds per unit, longest name first where one is the beginning of another.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} will not do: {why}; expected numbers with a unit (ns, us, ms, s, m, h), such as \"90s\" or \"1m30s\""
)]
pub struct DurationError {
    text: String,
    why: &'static str,
}

impl DurationError {
    pub const fn why(&self) -> &'static str {
        self.why
    }
}

/// The longest duration of Go, about 292 years: 63 bits of nanoseconds.
const LONGEST: u64 = i64::MAX as u64;

/// Reads a duration such as `1m30s`.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let refuse = |why| DurationError { text: text.chars().take(40).collect(), why };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(refuse("it is empty"));
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (nanoseconds, behind) = component(rest).map_err(refuse)?;
        total = total.checked_add(nanoseconds).ok_or_else(|| refuse("it is too long"))?;
        rest = behind;
    }
    if total > LONGEST {
        return Err(refuse("it is too long"));
    }
    Ok(Duration::from_nanos(total))
}

/// Writes a duration as [`parse`] reads it and Go prints it: hours, minutes and seconds if there
/// is a second in it, otherwise one number with the largest unit that keeps it above one.
pub fn format(duration: Duration) -> String {
    let nanoseconds = duration.subsec_nanos();
    match (duration.as_secs(), nanoseconds) {
        (0, 0) => "0s".to_owned(),
        (0, 1..1_000) => format!("{nanoseconds}ns"),
        (0, 1_000..1_000_000) => format!("{}µs", decimal(u64::from(nanoseconds), 1_000)),
        (0, _) => format!("{}ms", decimal(u64::from(nanoseconds), 1_000_000)),
        (all, _) => {
            let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
            let seconds = decimal(seconds * 1_000_000_000 + u64::from(nanoseconds), 1_000_000_000);
            match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, _) => format!("{minutes}m{seconds}s"),
                _ => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// `number / scale` as a decimal fraction without trailing zeros; `scale` is a power of ten.
fn decimal(number: u64, scale: u64) -> String {
    let fraction = format!("{:0width$}", number % scale, width = scale.ilog10() as usize);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction}", number / scale)
}

/// Reads a timeout. Antrea refuses those below a second, since its times have no finer ones.
pub fn parse_timeout(text: &str) -> Result<Duration, DurationError> {
    let duration = parse(text)?;
    if duration < Duration::from_secs(1) {
        let text = text.chars().take(40).collect();
        return Err(DurationError { text, why: "it must be at least 1s" });
    }
    Ok(duration)
}

/// Splits the first number and unit off `text`, in nanoseconds.
fn component(text: &str) -> Result<(u64, &str), &'static str> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err("a number is missing");
    }
    let unit = UNITS.iter().find(|(name, _)| rest.starts_with(name));
    let Some(&(name, scale)) = unit else {
        return Err("a unit is missing or unknown");
    };
    let whole = if whole.is_empty() { Ok(0) } else { whole.parse::<u64>() };
    let whole = whole.ok().and_then(|whole| whole.checked_mul(scale)).ok_or("it is too long")?;
    let nanoseconds = whole.checked_add(part_of(fraction, scale)).ok_or("it is too long")?;
    Ok((nanoseconds, rest.strip_prefix(name).unwrap_or_default()))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// `0.fraction` of `scale` nanoseconds, rounded down.
fn part_of(fraction: &str, scale: u64) -> u64 {
    let mut remaining = scale;
    let mut sum = 0;
    for digit in fraction.bytes() {
        // Exact as long as the scale divides by ten; below a nanosecond nothing is left to add.
        sum += remaining * u64::from(digit - b'0') / 10;
        remaining /= 10;
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, nanoseconds: u64) {
        assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
    }

    #[test]
    fn gos_examples_are_read() {
        check("0", 0);
        check("5s", 5_000_000_000);
        check("1m30s", 90_000_000_000);
        check("100ms", 100_000_000);
        check("1.5h", 5_400_000_000_000);
        check(".5s", 500_000_000);
        check("1.s", 1_000_000_000);
        check("3us2ns", 3_002);
        check("7µs", 7_000);
        check("9223372036854775807ns", 9_223_372_036_854_775_807);
    }

    #[test]
    fn durations_are_written_as_go_prints_them() {
        // Examples of Go's documentation of `Duration.String`, and its longest duration.
        for text in [
            "0s",
            "1ns",
            "1.1µs",
            "2.2ms",
            "3.3s",
            "4m5s",
            "4m5.001s",
            "5h6m7.001s",
            "8m0.000000001s",
            "2562047h47m16.854775807s",
        ] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
        assert_eq!(format(Duration::from_mins(90)), "1h30m0s");
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "",
            "5",
            "s",
            ".s",
            "5 s",
            "-5s",
            "5x",
            "1h 5m",
            "99999999999999999999s",
            "9e9h",
            "9223372036854775808ns",
            "2562048h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_timeout_has_at_least_a_second() {
        assert_eq!(parse_timeout("1s"), Ok(Duration::from_secs(1)));
        for text in ["0", "999ms", "1us", "x"] {
            assert!(parse_timeout(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_units_add_up(h in 0u64..1000, m in 0u64..1000, s in 0u64..1000, ms in 0u64..1000) {
            let expected = ((h * 60 + m) * 60 + s) * 1000 + ms;
            prop_assert_eq!(parse(&format!("{h}h{m}m{s}s{ms}ms")), Ok(Duration::from_millis(expected)));
        }

        #[test]
        fn what_is_written_is_read(nanoseconds in 0..=i64::MAX as u64) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            drop(parse(&text));
        }
    }
}
