//! How a value is read. An error says why a value will not do; what was expected is the key's
//! to say.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Raw, address::Address, duration, size};

/// Any text.
pub fn text(raw: &Raw) -> Result<&str, &'static str> {
    match raw {
        Raw::Text(text) => Ok(text),
        Raw::List(_) => Err("one value is wanted"),
    }
}

/// The items of a list.
pub fn list(raw: &Raw) -> Result<&[String], &'static str> {
    match raw {
        Raw::List(items) => Ok(items),
        Raw::Text(_) => Err("a list is wanted, in brackets or with a dash before each item"),
    }
}

/// Yes or no, in all spellings of YAML 1.1, which Antrea takes too.
pub fn truth(raw: &Raw) -> Result<bool, &'static str> {
    match text(raw)? {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "y" | "Y" | "on" | "On" | "ON" => {
            Ok(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "n" | "N" | "off" | "Off" | "OFF" => {
            Ok(false)
        }
        _ => Err("it is neither"),
    }
}

/// A duration of Go's.
pub fn duration(raw: &Raw) -> Result<Duration, &'static str> {
    duration::parse(text(raw)?).map_err(|error| error.why())
}

/// A duration of a second or more.
pub fn timeout(raw: &Raw) -> Result<Duration, &'static str> {
    duration::parse_timeout(text(raw)?).map_err(|error| error.why())
}

/// A number from 1 to `max`.
pub fn count(raw: &Raw, max: usize) -> Result<usize, String> {
    number(raw, 1..=max)
}

/// A number that is one of `range`.
pub fn number<T>(raw: &Raw, range: RangeInclusive<T>) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let text = text(raw)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && range.contains(&number) => Ok(number),
        _ => Err(format!("it is not a number from {} to {}", range.start(), range.end())),
    }
}

/// A size in bytes.
pub fn bytes(raw: &Raw) -> Result<u64, &'static str> {
    size::parse(text(raw)?)
}

/// A path, which nobody looks at yet.
pub fn path(raw: &Raw) -> Result<PathBuf, &'static str> {
    text(raw).map(PathBuf::from)
}

/// One of several words, and what it stands for.
pub fn word<T: Copy>(raw: &Raw, words: &[(&str, T)]) -> Result<T, &'static str> {
    let text = text(raw)?;
    let known = words.iter().find(|(word, _)| *word == text);
    known.map(|(_, value)| *value).ok_or("it is none of them")
}

/// Where to listen.
pub fn socket(raw: &Raw) -> Result<SocketAddr, &'static str> {
    text(raw)?.parse().map_err(|_| "it is not an address and a port")
}

/// Where a collector is.
pub fn address(raw: &Raw) -> Result<Address, String> {
    crate::address::parse(text(raw)?).map_err(|error| error.why().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw {
        Raw::Text(text.into())
    }

    #[test]
    fn truth_is_told_in_every_spelling_of_yaml() {
        // The table of https://yaml.org/type/bool.html.
        let yes = "y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON";
        let no = "n|N|no|No|NO|false|False|FALSE|off|Off|OFF";
        assert!(yes.split('|').all(|word| truth(&raw(word)) == Ok(true)));
        assert!(no.split('|').all(|word| truth(&raw(word)) == Ok(false)));
        for other in ["", "1", "0", "tRUE", "yes ", "enabled"] {
            assert!(truth(&raw(other)).is_err(), "{other:?}");
        }
    }

    #[test]
    fn numbers_are_plain_and_in_range() {
        assert_eq!((count(&raw("1"), 9), count(&raw("9"), 9)), (Ok(1), Ok(9)));
        assert_eq!((number(&raw("0"), 0..=9_u8), number(&raw("9"), 8..=9_u8)), (Ok(0), Ok(9)));
        for other in ["0", "10", "+1", "-1", "1.0", "0x1", "", "99999999999999999999"] {
            assert!(count(&raw(other), 9).is_err(), "{other:?}");
        }
    }

    #[test]
    fn one_value_is_not_a_list() {
        let two = Raw::List(vec!["a".into()]);
        assert!(text(&two).is_err() && list(&raw("a")).is_err());
        assert!(truth(&two).is_err() && timeout(&two).is_err() && socket(&two).is_err());
    }
}
