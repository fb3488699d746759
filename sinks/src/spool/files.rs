//! The files of a spool: one directory, for its owner only and for one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::SpoolError;

const EXTENSION: &str = "segment";

/// A file of blocks.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// The number of the first record in it, and its name.
    pub(super) first: u64,
    pub(super) bytes: u64,
}

pub(super) fn open(dir: &Path) -> Result<File, SpoolError> {
    DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(|source| SpoolError::Io {
        action: "create",
        path: dir.to_owned(),
        source,
    })?;
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let failed = |action, source| SpoolError::Io { action, path: path.clone(), source };
    let file = file.map_err(|source| failed("open", source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed("lock", source)),
    }
}

/// What tells this spool from any other: a number made once. Whoever remembers a place in the log
/// must not take it for one in another.
pub(super) fn identity(dir: &Path) -> io::Result<u64> {
    let path = dir.join("id");
    let mut text = String::new();
    match File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let Some(id) = u64::from_str_radix(text.trim_end(), 16).ok().filter(|_| text.len() == 17) {
        return Ok(id);
    }
    let id: u64 = rand::random();
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    writeln!(file, "{id:016x}")?;
    file.sync_all()?;
    Ok(id)
}

pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    // Padded, so that names sort.
    dir.join(format!("{first:020}.{EXTENSION}"))
}

pub(super) fn create(dir: &Path, first: u64) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path(dir, first))
}

/// All segments, oldest first, and the names of the sinks that have a cursor.
pub(super) fn list(dir: &Path) -> io::Result<(Vec<Segment>, Vec<String>)> {
    let (mut segments, mut sinks) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(sink) = super::cursor::sink_of(name) {
            sinks.push(sink.to_owned());
        }
        let Some(first) = name.strip_suffix(EXTENSION).and_then(|stem| stem.strip_suffix('.'))
        else {
            continue;
        };
        let (Ok(first), metadata) = (first.parse(), entry.metadata()?) else { continue };
        segments.push(Segment { first, bytes: metadata.len() });
    }
    segments.sort_by_key(|segment| segment.first);
    Ok((segments, sinks))
}
