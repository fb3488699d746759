//! Which records are on their way, in a file, so that who comes after a crash sends the same ones
//! again as one block.
//!
//! A line: the spool, the numbers of the first record and of the one behind
//! the last, and whether the server has them. Losing it costs that what was under way at the
//! time may be stored twice.

use std::io;
use std::path::PathBuf;

use store::Mark;

use crate::line::{self, Lasting};

/// Records of a spool that make a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) log: u64,
    pub(super) from: u64,
    /// The first that is not in it.
    pub(super) to: u64,
}

/// The file.
#[derive(Debug, Clone)]
pub(super) struct Note(PathBuf);

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) range: Range,
    pub(super) is_stored: bool,
}

impl Noted {
    /// How far the server may have come.
    pub(super) fn reach(&self) -> Mark {
        Mark { log: self.range.log, record: self.range.to }
    }

    /// How far the server has certainly come.
    pub(super) fn mark(&self) -> Mark {
        let Range { log, from, to } = self.range;
        Mark { log, record: if self.is_stored { to } else { from } }
    }
}

impl Note {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Returns nothing if there is none, or none that can be read.
    pub(super) fn read(&self) -> Option<Noted> {
        let told = line::read(&self.0)?;
        let [log, from, to, word] = told.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let log = u64::from_str_radix(log, 16).ok()?;
        let range = Range { log, from: from.parse().ok()?, to: to.parse().ok()? };
        Some(Noted { range, is_stored: word == STORED })
    }

    /// Before a block leaves.
    pub(super) fn leaving(&self, range: Range) -> io::Result<()> {
        self.write(range, LEAVING, Lasting::This)
    }

    /// The server has it. If what it said before survives this, it leaves once more, and is not
    /// stored twice.
    pub(super) fn stored(&self, range: Range) -> io::Result<()> {
        self.write(range, STORED, Lasting::Perhaps)
    }

    fn write(&self, range: Range, word: &str, lasting: Lasting) -> io::Result<()> {
        let Range { log, from, to } = range;
        line::write(&self.0, &format!("{log:016x} {from} {to} {word}"), lasting)
    }
}

const LEAVING: &str = "leaving";
const STORED: &str = "stored";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_note_says_what_was_noted_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("click_house.note");
        let note = Note::new(path.clone());
        assert_eq!(note.read(), None);
        let range = Range { log: 0xfeed, from: 10, to: 20 };
        note.leaving(range).unwrap();
        assert_eq!(note.read().map(|it| it.mark()), Some(Mark { log: 0xfeed, record: 10 }));
        note.stored(range).unwrap();
        assert_eq!(note.read(), Some(Noted { range, is_stored: true }));
        assert_eq!(note.read().map(|it| it.mark()), Some(Mark { log: 0xfeed, record: 20 }));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(" 20 ", " 30 ")).unwrap();
        assert_eq!(note.read(), None, "a damaged one says nothing");
        fs::write(&path, "").unwrap();
        assert_eq!(note.read(), None);
    }
}
