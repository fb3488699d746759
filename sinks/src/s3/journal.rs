//! What is being stored, on disk: where the object begins and ends in the log, and when it was
//! begun.
//!
//! Noted before the first request. A process that ends in the middle leaves it to the next one,
//! which begins an object at the same place, gives it the same name, and so replaces what there may
//! be of it.

use std::io;
use std::path::{Path, PathBuf};

use store::Mark;

use crate::line::{self, Lasting};

/// The file in the directory of the spool.
#[derive(Debug, Clone)]
pub(super) struct Journal(PathBuf);

/// An object that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) begin: Mark,
    /// Behind its last record.
    pub(super) end: Mark,
    pub(super) now_ms: u64,
}

impl Journal {
    pub(super) fn in_directory(directory: &Path) -> Self {
        Self(directory.join("s3.upload"))
    }

    /// Notes that the object that begins and ends there is being stored.
    pub(super) fn write(&self, mark: Mark, end: u64, now_ms: u64) -> io::Result<()> {
        let text = format!("{:016x} {} {end} {now_ms}", mark.log, mark.record);
        line::write(&self.0, &text, Lasting::This)
    }

    /// What was noted last; nothing if there is no such file, or if it is damaged.
    pub(super) fn read(&self) -> Option<Announced> {
        let text = line::read(&self.0)?;
        let mut words = text.split(' ');
        let log = u64::from_str_radix(words.next()?, 16).ok()?;
        let record = words.next()?.parse().ok()?;
        let end = Mark { log, record: words.next()?.parse().ok()? };
        let now_ms = words.next()?.parse().ok()?;
        Some(Announced { begin: Mark { log, record }, end, now_ms })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_noted_last_is_read_and_damage_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_directory(folder.path());
        assert_eq!(journal.read(), None);
        for record in [7, u64::MAX] {
            let begin = Mark { log: 0xfeed, record };
            let end = Mark { record: record.saturating_add(5), ..begin };
            journal.write(begin, end.record, 1234).unwrap();
            assert_eq!(journal.read(), Some(Announced { begin, end, now_ms: 1234 }));
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
