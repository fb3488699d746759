//! The file at a path, by whole lines.
//!
//! Before each write the path is compared with the open file: one that somebody has renamed or
//! removed is opened anew instead of being written to out of sight. A write that fails half-way,
//! because the disk is full, is cut back, so that repeating it tears no line and doubles none.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the flow log {}", path.display())]
pub(super) struct LogError {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The file at a path, which is made with mode 0600.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    /// The file has been there once. Its folder is not made a second time: what was mounted on it
    /// may have gone, and will be back.
    known: bool,
    /// A failed write could not be undone: the file may end in the middle of a line.
    torn: bool,
    /// How often it was not at its path any more.
    reopened: u64,
}

impl LogFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, known: false, torn: false, reopened: 0 }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How often somebody else had moved the file since this was last asked.
    pub(super) fn reopened(&mut self) -> u64 {
        std::mem::take(&mut self.reopened)
    }

    /// Makes the file if it is not there.
    pub(super) fn open(&mut self) -> Result<(), LogError> {
        self.file = Some(self.file()?);
        Ok(())
    }

    /// Appends as many of `lines` as fit into a file of `max_size` bytes, and returns how many
    /// bytes those are. None if not even the first fits, unless it fits no file at all.
    pub(super) fn append(&mut self, lines: &[u8], max_size: u64) -> Result<usize, LogError> {
        let mut file = self.file()?;
        let length = file.metadata().map_err(|source| self.error("inspect", source))?.len();
        let lines = fitting(lines, length, max_size);
        if lines.is_empty() {
            return Ok(0);
        }
        let written = if self.torn { file.write_all(b"\n") } else { Ok(()) };
        if let Err(source) = written.and_then(|()| file.write_all(lines)) {
            // A pipe or a device cannot be cut back.
            self.torn |= file.set_len(length).is_err();
            return Err(self.error("write to", source));
        }
        self.torn = false;
        self.file = Some(file);
        Ok(lines.len())
    }

    /// Puts the file aside under another name, and begins with a new one.
    pub(super) fn put_aside(&mut self, name: &Path) -> Result<(), LogError> {
        self.file = None;
        fs::rename(&self.path, name).map_err(|source| self.error("rename", source))
    }

    /// Takes out the open file, or opens the one that is now at the path.
    fn file(&mut self) -> Result<File, LogError> {
        let held = self.file.take();
        let was_held = held.is_some();
        if let Some(file) = held
            && let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(&self.path))
            && is_same(&open, &named)
        {
            return Ok(file);
        }
        let open = || OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path);
        let opened = open().or_else(|error| match self.path.parent() {
            Some(folder) if error.kind() == io::ErrorKind::NotFound && !self.known => {
                DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
                open()
            }
            _ => Err(error),
        });
        let opened = opened.map_err(|source| self.error("open", source))?;
        self.known = true;
        self.reopened += u64::from(was_held);
        Ok(opened)
    }

    fn error(&self, action: &'static str, source: io::Error) -> LogError {
        LogError { action, path: self.path.clone(), source }
    }
}

/// The lines that a file of `length` bytes has room for.
fn fitting(lines: &[u8], length: u64, max_size: u64) -> &[u8] {
    let room = usize::try_from(max_size.saturating_sub(length)).unwrap_or(usize::MAX);
    if lines.len() <= room {
        return lines;
    }
    let end_of_line = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n');
    let end = match lines.get(..room).and_then(end_of_line) {
        Some(end) => end + 1,
        None if length > 0 => 0,
        // Longer than any file may be: it has one for itself.
        None => lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |end| end + 1),
    };
    lines.get(..end).unwrap_or_default()
}

fn is_same(open: &Metadata, named: &Metadata) -> bool {
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_whole_lines_up_to_its_size() {
        let fits = |length, max_size| fitting(b"aaa\nbb\nc\n", length, max_size).len();
        assert_eq!([fits(0, 9), fits(0, 8), fits(0, 7), fits(0, 6)], [9, 7, 7, 4]);
        assert_eq!([fits(5, 9), fits(6, 9), fits(9, 9), fits(12, 9)], [4, 0, 0, 0]);
        assert_eq!(fits(0, 2), 4, "a line that fits no file has one for itself");
        assert_eq!(fits(0, u64::MAX), 9);
    }

    #[test]
    fn a_file_that_somebody_moves_is_opened_anew_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let [path, aside, own] = ["log", "moved", "own"].map(|name| folder.path().join(name));
        let mut file = LogFile::new(path.clone());
        let mut append = |reopened| {
            assert_eq!(file.append(b"a\n", 100).unwrap(), 2);
            assert_eq!(file.reopened(), reopened);
        };
        append(0);
        append(0);
        fs::rename(&path, aside).unwrap();
        append(1);
        fs::remove_file(&path).unwrap();
        append(1);
        file.put_aside(&own).unwrap();
        assert_eq!((file.append(b"a\n", 100).unwrap(), file.reopened()), (2, 0), "by ourselves");
    }
}
