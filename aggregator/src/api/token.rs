//! The token of whoever shares our file system: `antctl` in the same container.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Not for logs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    /// Takes as long for a wrong token as for the right one.
    pub(super) fn is(&self, other: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), other.as_bytes());
        let differing = ours.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
        ours.len() == theirs.len() && differing == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Makes a token and writes it where only we, and who is root here, can read it. It takes the
/// place of an older one at once.
pub(super) fn write(path: &Path) -> io::Result<Option<Token>> {
    let token = Token(format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let aside = path.with_extension("new");
    // One that a predecessor left may be readable by others.
    fs::remove_file(&aside).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(token.0.as_bytes())?;
    fs::rename(&aside, path)?;
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_has_the_token_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apiserver/loopback-client-token");
        let first = write(&path).unwrap().unwrap();
        let second = write(&path).unwrap().unwrap();
        assert!(first != second);
        let text = fs::read_to_string(&path).unwrap();
        assert!(second.is(&text) && !first.is(&text) && !second.is(&text[1..]) && !second.is(""));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(format!("{second:?}"), "***");
    }
}
