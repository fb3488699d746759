//! A file of one line with a CRC, in text, that is replaced as a whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What survives a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Perhaps nothing that can be read.
    Perhaps,
    /// This, once it is written.
    This,
}

/// Has the file say this.
pub(crate) fn write(path: &Path, text: &str, lasting: Lasting) -> io::Result<()> {
    let mut aside = OsString::from(path);
    aside.push(".new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    writeln!(file, "{text} {}", crc(text))?;
    if lasting == Lasting::Perhaps {
        return fs::rename(&aside, path);
    }
    file.sync_all()?;
    fs::rename(&aside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// What it says; nothing if there is none, or if it is damaged.
pub(crate) fn read(path: &Path) -> Option<String> {
    let line = fs::read_to_string(path).ok()?;
    let (text, told) = line.trim_end().rsplit_once(' ')?;
    (crc(text) == told).then(|| text.to_owned())
}

fn crc(text: &str) -> String {
    format!("{:08x}", crc32c::crc32c(text.as_bytes()))
}
