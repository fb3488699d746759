//! What is being stored, on disk: where the object begins in the log, and when it was begun.
//!
//! Noted before the first request. A process that ends in the middle leaves it to the next one,
//! which begins an object at the same place, gives it the same name, and so replaces what there may
//! be of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use store::Mark;

use super::object::Begin;

/// The file in the directory of the spool.
#[derive(Debug, Clone)]
pub(super) struct Journal(PathBuf);

impl Journal {
    pub(super) fn in_directory(directory: &Path) -> Self {
        Self(directory.join("s3.upload"))
    }

    /// Notes that the object that begins there is being stored.
    pub(super) fn write(&self, mark: Mark, now_ms: u64) -> io::Result<()> {
        let aside = self.0.with_extension("upload.new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        let text = format!("{:016x} {} {now_ms}", mark.log, mark.record);
        writeln!(file, "{text} {:08x}", crc32c::crc32c(text.as_bytes()))?;
        file.sync_all()?;
        fs::rename(&aside, &self.0)
    }

    /// What was noted last; nothing if there is no such file, or if it is damaged.
    pub(super) fn read(&self) -> Option<Begin> {
        let text = fs::read_to_string(&self.0).ok()?;
        let (text, crc) = text.trim_end().rsplit_once(' ')?;
        let mut words = text.split(' ');
        let log = u64::from_str_radix(words.next()?, 16).ok()?;
        let record = words.next()?.parse().ok()?;
        let now_ms = words.next()?.parse().ok()?;
        let is_sound = format!("{:08x}", crc32c::crc32c(text.as_bytes())) == crc;
        is_sound.then_some(Begin { mark: Some(Mark { log, record }), now_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_last_is_read_and_damage_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_directory(folder.path());
        assert_eq!(journal.read(), None);
        for record in [7, u64::MAX] {
            let mark = Mark { log: 0xfeed, record };
            journal.write(mark, 1234).unwrap();
            assert_eq!(journal.read(), Some(Begin { mark: Some(mark), now_ms: 1234 }));
        }
        let whole = fs::read(&journal.0).unwrap();
        for at in 0..whole.len() - 1 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&journal.0, &bytes).unwrap();
            assert_eq!(journal.read(), None, "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
