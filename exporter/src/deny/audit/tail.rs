//! A file that grows, and is renamed or cut short when it is large.
//!
//! Only whole lines are told. Files that were both begun and ended between two looks are found
//! among the rotated ones, as long as those are not compressed.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of a line; Antrea's are shorter than 1 KiB unless a rule has a very long name.
pub(super) const LINE_LIMIT: usize = 16 * 1024;
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// Files looked at in the directory; Antrea keeps 3 unless told otherwise.
const MAX_FILES: usize = 10_000;

/// The log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct TailError {
    path: PathBuf,
    source: io::Error,
}

/// Why there is no line where one began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    TooLong,
    /// Its file ended before it did.
    Torn,
}

pub(super) type Visit<'a> = dyn FnMut(Result<&[u8], Broken>) + 'a;

/// Follows one path through all the files it names in turn.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    current: Option<Current>,
    /// The first look shows what was there before.
    is_first: bool,
}

#[derive(Debug)]
struct Current {
    file: File,
    id: FileId,
    at: u64,
    lines: Lines,
}

/// What a file is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    begun: Vec<u8>,
    /// The rest of this line is of no use.
    skipping: bool,
}

impl Tail {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, current: None, is_first: true }
    }

    /// Visits the lines that have come since the last time. The first time there are none if there
    /// was a file already. Returns whether there is a file.
    pub(super) fn poll(&mut self, visit: &mut Visit<'_>) -> Result<bool, TailError> {
        self.follow(visit).map_err(|source| TailError { path: self.path.clone(), source })
    }

    fn follow(&mut self, visit: &mut Visit<'_>) -> io::Result<bool> {
        let is_first = std::mem::take(&mut self.is_first);
        loop {
            let Some(current) = &mut self.current else {
                let Some(mut next) = Current::open(&self.path)? else { return Ok(false) };
                if is_first {
                    next.skip_to_end()?;
                }
                self.current = Some(next);
                continue;
            };
            current.read(visit)?;
            let next = match fs::metadata(&self.path) {
                Ok(metadata) if FileId::of(&metadata) != current.id => Current::open(&self.path)?,
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
                Err(error) => return Err(error),
            };
            let Some(next) = next else { return Ok(true) };
            // The writer has left this file, so what is in it now is all.
            current.finish(visit)?;
            for path in between(&self.path, current.id, next.id) {
                if let Some(mut missed) = Current::open(&path)? {
                    missed.finish(visit)?;
                }
            }
            self.current = Some(next);
        }
    }
}

impl Current {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let id = FileId::of(&file.metadata()?);
        Ok(Some(Self { file, id, at: 0, lines: Lines::default() }))
    }

    /// A line of which a part is there already is passed over.
    fn skip_to_end(&mut self) -> io::Result<()> {
        let end = self.file.seek(SeekFrom::End(0))?;
        if end > 0 {
            self.file.seek(SeekFrom::Start(end - 1))?;
            let mut last = [0];
            self.file.read_exact(&mut last)?;
            self.lines.skipping = last != *b"\n";
        }
        self.at = end;
        Ok(())
    }

    /// Reads to the end of what is there.
    fn read(&mut self, visit: &mut Visit<'_>) -> io::Result<()> {
        if self.file.metadata()?.len() < self.at {
            self.lines.end(visit);
            self.at = self.file.seek(SeekFrom::Start(0))?;
        }
        let mut buffer = vec![0; CHUNK];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.at += u64::try_from(count).unwrap_or_default();
                    self.lines.take(&buffer[..count], visit);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn finish(&mut self, visit: &mut Visit<'_>) -> io::Result<()> {
        self.read(visit)?;
        self.lines.end(visit);
        Ok(())
    }
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl Lines {
    fn take(&mut self, bytes: &[u8], visit: &mut Visit<'_>) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let is_end = piece.ends_with(b"\n");
            if !self.skipping && self.begun.len() + piece.len() > LINE_LIMIT {
                visit(Err(Broken::TooLong));
                self.skipping = true;
            }
            if self.skipping {
                self.begun.clear();
                self.skipping = !is_end;
            } else if !is_end {
                self.begun.extend_from_slice(piece);
            } else if self.begun.is_empty() {
                visit(Ok(piece));
            } else {
                self.begun.extend_from_slice(piece);
                visit(Ok(&self.begun));
                self.begun.clear();
            }
        }
    }

    /// Nothing more comes of this file.
    fn end(&mut self, visit: &mut Visit<'_>) {
        if !self.begun.is_empty() {
            visit(Err(Broken::Torn));
        }
        *self = Self::default();
    }
}

/// Files that once had this path, after `old` and before `new`. They are told by their names, into
/// which the time of their end is put: `np-2026-11-21T15-00-00.000.log` for `np.log`.
fn between(path: &Path, old: FileId, new: FileId) -> Vec<PathBuf> {
    let (Some(directory), Some(stem)) = (path.parent(), path.file_stem()) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let beginning = [stem.as_encoded_bytes(), b"-"].concat();
    let is_rotated = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(&beginning) && name.ends_with(b".log")
    };
    let entries = entries.take(MAX_FILES).filter_map(|entry| Some(entry.ok()?.path()));
    let mut rotated: Vec<_> = entries.filter(is_rotated).collect();
    rotated.sort();
    let id = |path: &PathBuf| fs::metadata(path).ok().map(|metadata| FileId::of(&metadata));
    let mut after = rotated.into_iter().skip_while(|path| id(path) != Some(old)).skip(1);
    std::iter::from_fn(|| after.next()).take_while(|path| id(path) != Some(new)).collect()
}

#[cfg(test)]
mod tests;
