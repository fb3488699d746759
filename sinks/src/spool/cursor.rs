//! How far a sink has come, in a file of its own: a number and a CRC, in text.
//!
//! It is replaced as a whole. Losing it costs nothing but a repetition: the sink begins with the
//! oldest record there is.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const EXTENSION: &str = "cursor";

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.{EXTENSION}"))
}

pub(super) fn write(dir: &Path, name: &str, record: u64) -> io::Result<()> {
    let aside = dir.join(format!("{name}.{EXTENSION}.new"));
    let number = format!("{record:020}");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    writeln!(file, "{number} {:08x}", crc32c::crc32c(number.as_bytes()))?;
    fs::rename(&aside, path(dir, name))
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
    let text = fs::read_to_string(path(dir, name)).ok()?;
    let (number, crc) = text.trim_end().split_once(' ')?;
    let sound = format!("{:08x}", crc32c::crc32c(number.as_bytes())) == crc;
    number.parse().ok().filter(|_| sound)
}
