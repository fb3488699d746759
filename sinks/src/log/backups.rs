//! Files that were put aside: how they are named, compressed, and thrown away.
//!
//! Names are those of Antrea's log: `flows-2026-11-21T18-05-10.123.log`, with `.gz` when it is
//! compressed, the time being UTC. Only files that are named so are ever touched.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Rotation;

const TIME: &str = "%Y-%m-%dT%H-%M-%S.%3f";
const COMPRESSED: &str = ".gz";
/// What is not compressed to its end yet.
const UNFINISHED: &str = ".gz.tmp";

/// Files beside a log that were put aside.
#[derive(Debug, Clone)]
pub(super) struct Backups {
    folder: PathBuf,
    /// What their names begin with, up to the time.
    prefix: String,
    /// What follows the time, with its dot.
    extension: String,
}

/// What was done about them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tidied {
    pub(super) compressed: u64,
    pub(super) removed: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Backup {
    path: PathBuf,
    time_ms: i64,
    is_compressed: bool,
}

impl Backups {
    pub(super) fn of(log: &Path) -> Self {
        let text = |part: Option<&std::ffi::OsStr>| {
            part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let extension = text(log.extension());
        Self {
            folder: log.parent().map(Path::to_owned).unwrap_or_default(),
            prefix: format!("{}-", text(log.file_stem())),
            extension: if extension.is_empty() { extension } else { format!(".{extension}") },
        }
    }

    /// A name that nothing has yet, for a file that is put aside at `now_ms`.
    pub(super) fn name(&self, now_ms: u64) -> PathBuf {
        let mut time_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        loop {
            let time = Timestamp::from_millisecond(time_ms).unwrap_or(Timestamp::MAX);
            let time = time.to_zoned(TimeZone::UTC).strftime(TIME);
            let Self { prefix, extension, .. } = self;
            let path = self.folder.join(format!("{prefix}{time}{extension}"));
            let compressed = self.folder.join(format!("{prefix}{time}{extension}{COMPRESSED}"));
            // Two in the same millisecond must not become one.
            if !path.exists() && !compressed.exists() {
                return path;
            }
            time_ms += 1;
        }
    }

    /// Throws away what is too old or too much, and compresses the rest.
    pub(super) fn tidy(&self, rotation: &Rotation, now_ms: u64) -> io::Result<Tidied> {
        let mut tidied = Tidied::default();
        let mut kept = self.list()?;
        // Newest first.
        kept.sort_by_key(|backup| std::cmp::Reverse(backup.time_ms));
        let oldest_ms = rotation.max_age.map(|age| oldest(now_ms, age));
        let is_gone = |(place, backup): &(usize, &Backup)| {
            let is_too_much = rotation.max_backups > 0 && *place >= rotation.max_backups;
            is_too_much || oldest_ms.is_some_and(|oldest_ms| backup.time_ms < oldest_ms)
        };
        let (gone, stay): (Vec<_>, Vec<_>) = kept.iter().enumerate().partition(is_gone);
        let mut result = Ok(());
        // First, since compressing needs room. One that cannot be removed keeps no other.
        for (_, backup) in gone {
            match fs::remove_file(&backup.path) {
                Ok(()) => tidied.removed += 1,
                Err(error) => result = Err(error),
            }
        }
        let stay = stay.into_iter().filter(|(_, it)| rotation.compress && !it.is_compressed);
        for (_, backup) in stay {
            match compress(&backup.path) {
                Ok(()) => tidied.compressed += 1,
                Err(error) => result = Err(error),
            }
        }
        result.map(|()| tidied)
    }

    fn list(&self) -> io::Result<Vec<Backup>> {
        let here = Path::new(".");
        let folder = if self.folder.as_os_str().is_empty() { here } else { &self.folder };
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.ends_with(UNFINISHED) && self.time(name, UNFINISHED).is_some() {
                // Of a process that ended meanwhile; what it was made from is still there.
                fs::remove_file(entry.path())?;
                continue;
            }
            let compressed = self.time(name, COMPRESSED);
            if let Some(time_ms) = compressed.or_else(|| self.time(name, "")) {
                let is_compressed = compressed.is_some();
                found.push(Backup { path: entry.path(), time_ms, is_compressed });
            }
        }
        Ok(found)
    }

    /// The time in a name that ends in `ending`, if it is one of ours.
    fn time(&self, name: &str, ending: &str) -> Option<i64> {
        let name = name.strip_suffix(ending)?.strip_suffix(&self.extension)?;
        let time = DateTime::strptime("%Y-%m-%dT%H-%M-%S%.f", name.strip_prefix(&self.prefix)?);
        Some(time.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
    }
}

fn oldest(now_ms: u64, age: Duration) -> i64 {
    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    i64::try_from(now_ms.saturating_sub(age_ms)).unwrap_or(i64::MAX)
}

/// Puts a compressed file in the place of the file, whole or not at all.
fn compress(path: &Path) -> io::Result<()> {
    let with = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (unfinished, finished) = (with(UNFINISHED), with(COMPRESSED));
    let compressed =
        compress_to(&unfinished, path).and_then(|()| fs::rename(&unfinished, finished));
    if compressed.is_err() {
        // It may be what fills the disk.
        fs::remove_file(&unfinished).ok();
    }
    compressed?;
    fs::remove_file(path)
}

fn compress_to(unfinished: &Path, path: &Path) -> io::Result<()> {
    let mut options = File::options();
    let target = options.write(true).create(true).truncate(true).mode(0o600).open(unfinished)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    const NOW_MS: u64 = 1_795_284_310_123;

    fn rotation(max_backups: usize, age_hours: Option<u64>, compress: bool) -> Rotation {
        let max_age = age_hours.map(Duration::from_hours);
        Rotation { max_size: 1, max_backups, max_age, compress }
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_named_as_antreas() {
        let folder = tempfile::tempdir().unwrap();
        let name = |log: &str| {
            let name = Backups::of(&folder.path().join(log)).name(NOW_MS);
            name.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(name("antrea-flows.log"), "antrea-flows-2026-11-21T18-05-10.123.log");
        assert_eq!(name("flows"), "flows-2026-11-21T18-05-10.123");
        fs::write(folder.path().join("flows-2026-11-21T18-05-10.123"), "").unwrap();
        assert_eq!(name("flows"), "flows-2026-11-21T18-05-10.124");
        fs::write(folder.path().join("flows-2026-11-21T18-05-10.124.gz"), "").unwrap();
        assert_eq!(name("flows"), "flows-2026-11-21T18-05-10.125");
    }

    fn left(rotation: &Rotation) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let backups = Backups::of(&folder.path().join("f.log"));
        for hours in 1..=3 {
            fs::write(backups.name(NOW_MS - hours * HOUR_MS), "x\n").unwrap();
        }
        for other in ["f.log", "f-1.log", "f-2026-11-21T18-05-10.123.txt", "g.log"] {
            fs::write(folder.path().join(other), "x\n").unwrap();
        }
        fs::write(folder.path().join("f-2026-11-21T01-05-10.123.log.gz.tmp"), "cut").unwrap();
        backups.tidy(rotation, NOW_MS).unwrap();
        let mut left = names(folder.path());
        for other in ["f.log", "f-1.log", "f-2026-11-21T18-05-10.123.txt", "g.log"] {
            assert!(left.contains(&other.to_owned()), "{other} is not ours");
            left.retain(|name| name != other);
        }
        left
    }

    #[test]
    fn the_newest_are_kept() {
        let all = ["15-05-10.123.log", "16-05-10.123.log", "17-05-10.123.log"]
            .map(|end| format!("f-2026-11-21T{end}"));
        assert_eq!(left(&rotation(0, None, false)), all, "no limit is no limit");
        assert_eq!(left(&rotation(2, None, false)), all[1..]);
        assert_eq!(left(&rotation(2, Some(1), false)), all[2..]);
        assert_eq!(left(&rotation(0, Some(3), false)), all);
        let compressed = left(&rotation(2, None, true));
        assert_eq!(
            compressed,
            all[1..].iter().map(|name| format!("{name}.gz")).collect::<Vec<_>>()
        );
    }
}
