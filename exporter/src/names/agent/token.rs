//! The Agent's token, which it writes to a file when it starts.
//!
//! What stands there is sent to whoever listens on the Agent's port. So it is read only if nobody
//! but root, or who we are, could have put it there or another file in its place.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::AskError;

/// The longest token, in bytes.
const LIMIT: u64 = 4 << 10;
/// Write permission of the group and of others.
const WRITABLE: u32 = 0o022;

/// Reads the token; says when it was written, in milliseconds since 1970.
pub(super) fn read(path: PathBuf) -> Result<(String, u64), AskError> {
    match open(&path) {
        Ok(file) => match refusal(&file) {
            Ok(None) => contents(file).unwrap_or_else(|error| Err(AskError::Token(path, error))),
            Ok(Some(why)) => Err(AskError::TokenFile(path, why)),
            Err(error) => Err(AskError::Token(path, error)),
        },
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            Err(AskError::TokenFile(path, "it is a symbolic link"))
        }
        Err(error) => Err(AskError::Token(path, error)),
    }
}

/// Nobody is waited for at the other end of a pipe.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn refusal(file: &File) -> std::io::Result<Option<&'static str>> {
    let about = file.metadata()?;
    let ours = rustix::process::geteuid().as_raw();
    Ok(if !about.is_file() {
        Some("it is no regular file")
    } else if about.uid() != 0 && about.uid() != ours {
        Some("it belongs to somebody else")
    } else if about.mode() & WRITABLE != 0 {
        Some("others may write to it")
    } else {
        None
    })
}

fn contents(file: File) -> std::io::Result<Result<(String, u64), AskError>> {
    let written = file.metadata()?.modified()?.duration_since(UNIX_EPOCH);
    let written = written.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
    let mut text = String::new();
    file.take(LIMIT + 1).read_to_string(&mut text)?;
    let is_too_long = text.len() as u64 > LIMIT;
    Ok(if is_too_long { Err(AskError::TokenForm) } else { Ok((text.trim().to_owned(), written)) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_read_where_nobody_else_could_have_put_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let told = || read(path.clone()).map(|(token, _)| token).map_err(|error| error.to_string());
        let is_refused = |why: &str| told().unwrap_err().contains(why);
        assert!(is_refused("cannot be read"));
        let put = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        put("s3cret\n", 0o600);
        assert_eq!(told().as_deref(), Ok("s3cret"));
        put("s3cret\n", 0o644);
        assert_eq!(told().as_deref(), Ok("s3cret"));
        put("s3cret\n", 0o620);
        assert!(is_refused("others may write"));
        put(&"x".repeat(4096), 0o600);
        assert_eq!(told().map(|token| token.len()), Ok(4096));
        put(&"x".repeat(4097), 0o600);
        assert!(is_refused("is none"));
    }

    #[test]
    fn what_is_no_file_of_its_own_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("secret"), "of others").unwrap();
        std::os::unix::fs::symlink(path("secret"), path("link")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
        assert!(made.success());
        for (name, why) in
            [("link", "symbolic link"), ("pipe", "no regular file"), (".", "no regular file")]
        {
            let error = read(path(name)).unwrap_err();
            assert_eq!(error.name(), "token");
            assert!(error.to_string().contains(why), "{name}: {error}");
        }
    }

    #[test]
    fn what_somebody_else_owns_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "s3cret").unwrap();
        std::os::unix::fs::chown(&path, Some(4242), None).expect("tests run as root");
        let error = read(path).unwrap_err();
        assert!(error.to_string().contains("somebody else"), "{error}");
    }
}
