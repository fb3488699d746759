//! Which file lies where in a store's directory.
//!
//! ```text
//! DIR/lock                                held by the one writer
//! DIR/mark                                how far the store has come in the log it is fed from
//! DIR/tmp/…                               files being written
//! DIR/flows/2026-11-21/08/NAME            rows that were inserted in that hour
//! DIR/tiers/1m/2026-11-21/08_NAME         their sums per minute; also 5m and 1h
//! DIR/tiers/1m/2026-11-21/NAME            the same of the whole day
//! DIR/old/…                               files that were replaced, for who reads them still
//! DIR/quarantine/…                        files that could not be read
//! ```
//!
//! A partition holds the rows *inserted* in one hour (UTC). The end of a flow would suit queries
//! as well, but records arrive late and out of order: partitions by insertion are only ever added
//! to at the newest end, so an old one can be compacted or dropped without looking into it. What
//! times a file holds is in its name ([`super::names`]), so most files are ruled out unopened.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

/// The last time that has a partition: 9999-12-30T22:00:00Z. Later rows are inserted then.
pub(crate) const LAST_MS: u64 = 253_402_207_200_000;

/// How finely stored rows tell time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Records as they came.
    Raw,
    /// Sums over a minute of flow ends.
    Minute,
    FiveMinutes,
    Hour,
}

impl Tier {
    pub const ALL: [Self; 4] = [Self::Raw, Self::Minute, Self::FiveMinutes, Self::Hour];
    /// Those that are sums, finest first.
    pub const SUMS: [Self; 3] = [Self::Minute, Self::FiveMinutes, Self::Hour];

    /// As directories, metrics and people name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }

    /// The length of a bucket, in milliseconds; `None` for rows as they came.
    pub fn step_ms(self) -> Option<u64> {
        match self {
            Self::Raw => None,
            Self::Minute => Some(MINUTE_MS),
            Self::FiveMinutes => Some(5 * MINUTE_MS),
            Self::Hour => Some(HOUR_MS),
        }
    }

    /// The next finer one, from which this one is made.
    pub(crate) fn source(self) -> Option<Self> {
        match self {
            Self::Raw => None,
            Self::Minute => Some(Self::Raw),
            Self::FiveMinutes => Some(Self::Minute),
            Self::Hour => Some(Self::FiveMinutes),
        }
    }

    pub(crate) fn directory(self, dir: &Path) -> PathBuf {
        match self {
            Self::Raw => flows(dir),
            tier => dir.join("tiers").join(tier.name()),
        }
    }
}

/// The times of insertion that a file may hold: from `start_ms` up to but without `end_ms`; an
/// hour, or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Scope {
    pub start_ms: u64,
    pub end_ms: u64,
}

impl Scope {
    pub(crate) fn hour_of(time_ms: u64) -> Self {
        let start_ms = time_ms.min(LAST_MS) / HOUR_MS * HOUR_MS;
        Self { start_ms, end_ms: start_ms + HOUR_MS }
    }

    pub(crate) fn day_of(time_ms: u64) -> Self {
        let start_ms = time_ms.min(LAST_MS) / DAY_MS * DAY_MS;
        Self { start_ms, end_ms: start_ms + DAY_MS }
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.start_ms <= other.start_ms && other.end_ms <= self.end_ms
    }

    pub(crate) fn is_day(self) -> bool {
        self.end_ms - self.start_ms == DAY_MS
    }

    /// The name of its day, and of its hour.
    pub(crate) fn names(self) -> (String, String) {
        let time = i64::try_from(self.start_ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or(Timestamp::MAX);
        (time.strftime("%Y-%m-%d").to_string(), time.strftime("%H").to_string())
    }

    pub(crate) fn of_day(day: &str) -> Option<Self> {
        let start = day.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?;
        let start_ms = u64::try_from(start.timestamp().as_millisecond()).ok()?;
        Some(Self { start_ms, end_ms: start_ms + DAY_MS })
    }

    /// The hour called `hour` of this day; `None` if that is not the name of an hour.
    pub(crate) fn hour(self, hour: &str) -> Option<Self> {
        let is_plain = hour.len() == 2 && hour.bytes().all(|digit| digit.is_ascii_digit());
        let hour = hour.parse::<u64>().ok().filter(|hour| is_plain && *hour < 24)?;
        let start_ms = self.start_ms + hour * HOUR_MS;
        Some(Self { start_ms, end_ms: start_ms + HOUR_MS })
    }
}

pub(crate) fn lock_file(dir: &Path) -> PathBuf {
    dir.join("lock")
}

pub(crate) fn temporary(dir: &Path) -> PathBuf {
    dir.join("tmp")
}

pub(crate) fn flows(dir: &Path) -> PathBuf {
    dir.join("flows")
}

pub(crate) fn replaced(dir: &Path) -> PathBuf {
    dir.join("old")
}

pub(crate) fn quarantine(dir: &Path) -> PathBuf {
    dir.join("quarantine")
}

/// Times that are asked for: from `since_ms`, up to but without `until_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Window {
    pub since_ms: Option<u64>,
    pub until_ms: Option<u64>,
}

impl Window {
    pub(crate) fn contains(self, time_ms: u64) -> bool {
        self.since_ms.is_none_or(|since| time_ms >= since)
            && self.until_ms.is_none_or(|until| time_ms < until)
    }

    /// Whether a time between `oldest` and `newest`, both included, can be in the window.
    pub(crate) fn overlaps(self, (oldest, newest): (u64, u64)) -> bool {
        self.since_ms.is_none_or(|since| newest >= since)
            && self.until_ms.is_none_or(|until| oldest < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_after_its_hour_and_found_by_that_name() {
        for time_ms in [0, HOUR_MS - 1, 1_795_250_399_999, 4_102_444_800_000, LAST_MS] {
            let scope = Scope::hour_of(time_ms);
            let (day, hour) = scope.names();
            let found = Scope::of_day(&day).unwrap().hour(&hour).unwrap();
            assert_eq!(found, scope, "{day} {hour}");
            assert_eq!(scope.start_ms, time_ms - time_ms % HOUR_MS, "{day} {hour}");
            assert!(Scope::day_of(time_ms).contains(scope) && !scope.is_day());
        }
        assert_eq!(Scope::hour_of(u64::MAX), Scope::hour_of(LAST_MS));
        assert_eq!(Scope::hour_of(LAST_MS).names(), ("9999-12-30".into(), "22".into()));
    }

    #[test]
    fn other_names_are_not_partitions() {
        let day = Scope::of_day("2026-11-21").unwrap();
        for name in ["24", "-1", "", "8", "8a", "+8", "lost+found"] {
            assert_eq!(day.hour(name), None, "{name:?}");
        }
        for name in ["2026-13-01", "lost+found", "", "1969-12-31"] {
            assert_eq!(Scope::of_day(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_window_includes_its_beginning_and_not_its_end() {
        let window = Window { since_ms: Some(10), until_ms: Some(20) };
        assert_eq!([9, 10, 19, 20].map(|time| window.contains(time)), [false, true, true, false]);
        assert!(window.overlaps((0, 10)) && window.overlaps((19, 30)));
        assert!(!window.overlaps((0, 9)) && !window.overlaps((20, 30)));
    }
}
