//! How far the store has come in whatever log it is fed from, in step with its files.
//!
//! A file of rows and the note that they are stored cannot be renamed at once. So the note is made
//! first, with the name of the file that makes it true: if that file is there, the store has come
//! as far as `to`, and else as far as `from`. Nothing is then stored twice after a crash.

use std::fs;
use std::path::{Path, PathBuf};

use super::{directory, layout};
use crate::StoreError;

/// In the place of a file, of a note that is true without one.
const SETTLED: &str = "-";

/// A place in a log of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which log.
    pub log: u64,
    /// The number of the first record behind the place.
    pub record: u64,
}

fn path(dir: &Path) -> PathBuf {
    dir.join("mark")
}

/// Notes that `file`, a path within the store, is going to hold the records up to `to`.
pub(crate) fn write(
    dir: &Path,
    from: Option<Mark>,
    to: Mark,
    file: &Path,
) -> Result<(), StoreError> {
    let from = from.filter(|from| from.log == to.log).map_or(0, |from| from.record);
    let text = format!("{:016x} {from} {} {}\n", to.log, to.record, file.display());
    directory::write(&layout::temporary(dir), dir, "mark", &text)
}

/// The file that is going to make the note true, or has.
pub(crate) fn file(dir: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(path(dir)).ok()?;
    text.trim_end().split(' ').nth(3).map(|file| dir.join(file))
}

/// Reads the note, and has it depend on no file any more, which would else be kept for as long as
/// no other is written. Nobody must be writing.
pub(crate) fn settle(dir: &Path) -> Option<Mark> {
    let mark = read(dir)?;
    if file(dir).is_some_and(|file| file != dir.join(SETTLED)) {
        // A disk that is full is no reason not to begin: the note is true as it is.
        write(dir, Some(mark), mark, Path::new(SETTLED)).unwrap_or_default();
    }
    Some(mark)
}

/// Returns nothing if there is none, or none that can be read.
fn read(dir: &Path) -> Option<Mark> {
    let text = fs::read_to_string(path(dir)).ok()?;
    let [log, from, to, file] = text.trim_end().split(' ').collect::<Vec<_>>().try_into().ok()?;
    let record = if dir.join(file).is_file() { to } else { from };
    Some(Mark { log: u64::from_str_radix(log, 16).ok()?, record: record.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn a_note_is_true_once_its_file_is_there() {
        let dir = tempdir().unwrap();
        let at = |record| Mark { log: 0xfeed, record };
        directory::ensure(&layout::temporary(dir.path())).unwrap();
        assert_eq!(read(dir.path()), None);
        write(dir.path(), None, at(10), Path::new("rows")).unwrap();
        assert_eq!(file(dir.path()), Some(dir.path().join("rows")));
        assert_eq!(read(dir.path()), Some(at(0)), "killed before the file had its name");
        fs::write(dir.path().join("rows"), "").unwrap();
        assert_eq!(read(dir.path()), Some(at(10)));
        write(dir.path(), Some(at(10)), at(20), Path::new("more")).unwrap();
        assert_eq!(read(dir.path()), Some(at(10)));
        assert_eq!(settle(dir.path()), Some(at(10)));
        assert_eq!(read(dir.path()), Some(at(10)));
        fs::remove_file(dir.path().join("rows")).unwrap();
        fs::write(dir.path().join("more"), "").unwrap();
        assert_eq!(settle(dir.path()), Some(at(10)), "it depends on no file");
        assert_eq!(file(dir.path()), Some(dir.path().join("-")));
        fs::remove_file(dir.path().join("more")).unwrap();
        write(dir.path(), Some(Mark { log: 1, record: 10 }), at(20), Path::new("more")).unwrap();
        assert_eq!(read(dir.path()), Some(at(0)), "another log says nothing about this one");
        fs::write(dir.path().join("mark"), "feed 1").unwrap();
        assert_eq!(read(dir.path()), None);
    }
}
