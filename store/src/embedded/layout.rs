//! Which file lies where in a store's directory.
//!
//! ```text
//! DIR/lock                                        held by the one writer
//! DIR/tmp/…                                       files being written
//! DIR/flows/2026-11-21/08/<unix-ms>-<seq>-<pid>.parquet
//! ```
//!
//! A partition holds the rows *inserted* in one hour (UTC). The end of a flow would suit queries
//! as well, but records arrive late and out of order: partitions by insertion are only ever added
//! to at the newest end, so an old one can be compacted or dropped without looking into it.
//! `<unix-ms>` is when the newest row of the file was inserted. Together with the hour this bounds
//! the times in a file, so most files are ruled out by their name alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::StoreError;
use crate::error::IoContext;

pub(crate) const HOUR_MS: u64 = 3_600_000;

/// What the names of finished files end with.
const EXTENSION: &str = "parquet";

pub(crate) fn lock_file(dir: &Path) -> PathBuf {
    dir.join("lock")
}

pub(crate) fn temporary(dir: &Path) -> PathBuf {
    dir.join("tmp")
}

pub(crate) fn flows(dir: &Path) -> PathBuf {
    dir.join("flows")
}

/// The day and the hour in which `time_ms` falls, as names of directories.
pub(crate) fn partition(time_ms: u64) -> (String, String) {
    let time = i64::try_from(time_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX);
    (time.strftime("%Y-%m-%d").to_string(), time.strftime("%H").to_string())
}

pub(crate) fn file_name(newest_ms: u64, sequence: u64) -> String {
    // Padded, so that names sort by time.
    format!("{newest_ms:013}-{sequence:06}-{}.{EXTENSION}", std::process::id())
}

/// Times of insertion that are asked for: from `since_ms`, up to but without `until_ms`.
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
    pub(crate) fn overlaps(self, oldest: u64, newest: u64) -> bool {
        self.since_ms.is_none_or(|since| newest >= since)
            && self.until_ms.is_none_or(|until| oldest < until)
    }
}

/// A finished file, and the times its rows can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredFile {
    pub path: PathBuf,
    pub oldest_ms: u64,
    pub newest_ms: u64,
}

/// The files of a store at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// Oldest first.
    pub files: Vec<StoredFile>,
    /// Files whose name says that they hold nothing of the window.
    pub pruned: u64,
}

impl Listing {
    /// Lists the files of the store in `dir` that may hold rows of `window`.
    pub(crate) fn read(dir: &Path, window: Window) -> Result<Self, StoreError> {
        let root = flows(dir);
        if !root.is_dir() {
            return Err(StoreError::Missing { dir: dir.to_owned() });
        }
        let mut listing = Self::default();
        for day in names(&root)? {
            let Ok(date) = day.parse::<Date>() else { continue };
            let day = root.join(day);
            for hour in names(&day)? {
                let Some(start_ms) = partition_start(date, &hour) else { continue };
                listing.add_partition(&day.join(hour), start_ms, window)?;
            }
        }
        Ok(listing)
    }

    fn add_partition(
        &mut self,
        partition: &Path,
        start_ms: u64,
        window: Window,
    ) -> Result<(), StoreError> {
        for name in names(partition)? {
            let Some(stem) = name.strip_suffix(EXTENSION).and_then(|stem| stem.strip_suffix('.'))
            else {
                continue;
            };
            // A file that somebody else put here is given the whole hour.
            let newest_ms = stem
                .split('-')
                .next()
                .and_then(|time| time.parse().ok())
                .filter(|time| (start_ms..start_ms + HOUR_MS).contains(time))
                .unwrap_or(start_ms + HOUR_MS - 1);
            if window.overlaps(start_ms, newest_ms) {
                let path = partition.join(name);
                self.files.push(StoredFile { path, oldest_ms: start_ms, newest_ms });
            } else {
                self.pruned += 1;
            }
        }
        Ok(())
    }
}

/// When the partition `hour` of `date` begins; `None` if the name is not that of a partition.
fn partition_start(date: Date, hour: &str) -> Option<u64> {
    let hour = hour.parse().ok().filter(|hour| (0..24).contains(hour))?;
    let start = date.at(hour, 0, 0, 0).to_zoned(TimeZone::UTC).ok()?;
    u64::try_from(start.timestamp().as_millisecond()).ok()
}

/// The names in a directory, sorted; none if it is not a directory or has just been removed.
fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).during("list", dir),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.during("list", dir)?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_after_its_hour_and_found_by_that_name() {
        for time_ms in [0, HOUR_MS - 1, 1_795_250_399_999, 4_102_444_800_000] {
            let (day, hour) = partition(time_ms);
            let start = partition_start(day.parse().unwrap(), &hour).unwrap();
            assert_eq!(start, time_ms - time_ms % HOUR_MS, "{day} {hour}");
        }
    }

    #[test]
    fn other_names_are_not_partitions() {
        let date = Date::constant(2026, 11, 21);
        for name in ["24", "-1", "", "8a", "lost+found"] {
            assert_eq!(partition_start(date, name), None, "{name:?}");
        }
    }

    #[test]
    fn a_window_includes_its_beginning_and_not_its_end() {
        let window = Window { since_ms: Some(10), until_ms: Some(20) };
        assert_eq!([9, 10, 19, 20].map(|time| window.contains(time)), [false, true, true, false]);
        assert!(window.overlaps(0, 10) && window.overlaps(19, 30));
        assert!(!window.overlaps(0, 9) && !window.overlaps(20, 30));
    }
}
