//! How far a sink has come, in a file of its own: a number and a CRC, in text.
//!
//! It is replaced as a whole. Losing it costs nothing but a repetition: the sink begins with the
//! oldest record there is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::line::{self, Lasting};

const EXTENSION: &str = "cursor";

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.{EXTENSION}"))
}

pub(super) fn write(dir: &Path, name: &str, record: u64) -> io::Result<()> {
    line::write(&path(dir, name), &format!("{record:020}"), Lasting::Perhaps)
}

pub(super) fn remove(dir: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(path(dir, name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The name of the sink whose cursor this file is.
pub(super) fn sink_of(file: &str) -> Option<&str> {
    file.strip_suffix(EXTENSION)?.strip_suffix('.')
}

/// Returns nothing if the file is damaged.
pub(super) fn read(dir: &Path, name: &str) -> Option<u64> {
    line::read(&path(dir, name))?.parse().ok()
}
