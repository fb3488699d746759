//! What a writer needs of the file system: one writer, private directories, durable names.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::{layout, names};
use crate::StoreError;
use crate::error::IoContext;

/// Makes the directory of a store, unless it exists, for its owner only.
pub(crate) fn create(dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new().mode(0o700).recursive(true).create(dir).during("create", dir)
}

/// Takes the lock that makes this process the only writer.
pub(crate) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = layout::lock_file(dir);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .during("open", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(source).during("lock", &path),
    }
}

/// Makes `dir`, if need be, in its parent, which must exist: a volume that is not mounted is an
/// error and not a new store.
pub(crate) fn ensure(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).during("create", dir),
        Ok(()) => dir.parent().map_or(Ok(()), synchronise),
    }
}

/// Removes what a writer that died has left in the directory of temporary files, or of replaced
/// ones. What is not named as files of a store are stays: a directory that somebody took for one
/// may have had a `tmp` of its own.
pub(crate) fn clear(temporary: &Path) -> Result<u64, StoreError> {
    ensure(temporary)?;
    let mut removed = 0;
    for entry in fs::read_dir(temporary).during("list", temporary)? {
        let entry = entry.during("list", temporary)?;
        if !entry.file_name().to_str().is_some_and(names::is_ours) {
            continue;
        }
        let path = entry.path();
        fs::remove_file(&path).during("remove the left-over file", &path)?;
        removed += 1;
    }
    Ok(removed)
}

/// Gives the finished file its name.
pub(crate) fn publish(aside: &Path, partition: &Path, name: &str) -> Result<(), StoreError> {
    let path = partition.join(name);
    fs::rename(aside, &path).during("rename a finished file to", &path)?;
    synchronise(partition)
}

/// Writes a short text that is there as a whole or not at all.
pub(crate) fn write(
    temporary: &Path,
    dir: &Path,
    name: &str,
    text: &str,
) -> Result<(), StoreError> {
    ensure(temporary)?;
    let aside = temporary.join(name);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside);
    let mut file = file.during("create", &aside)?;
    file.write_all(text.as_bytes()).during("write", &aside)?;
    file.sync_all().during("synchronise", &aside)?;
    publish(&aside, dir, name)
}

/// Makes the entries of a directory durable.
fn synchronise(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).during("synchronise", dir)
}
