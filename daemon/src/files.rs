//! How many files and sockets this process may have open.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have as many files and sockets open as it may ask for, which it must do
/// itself: the limit it begins with is often 1,024, for the sake of `select(2)`.
///
/// Returns how many that is, or an error if it is fewer than `needed`.
pub fn raise_open_files(needed: u64) -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < most) {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    }
    if most < needed {
        let told = format!("{most} files may be open at once, and {needed} are needed");
        return Err(io::Error::other(told));
    }
    Ok(most)
}
