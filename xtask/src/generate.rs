//! Files made from other files: written anew, or compared with what is committed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{peers, registry};

pub(crate) fn write(root: &Path) -> Result<()> {
    for (path, content) in all(root)? {
        fs::write(&path, content)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

pub(crate) fn check(root: &Path) -> Result<()> {
    for (path, content) in all(root)? {
        let committed = fs::read_to_string(&path).unwrap_or_default();
        if committed != content {
            bail!("{} is stale; run `cargo xtask generate`", path.display());
        }
    }
    Ok(())
}

/// What each generated file should have in it.
fn all(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut files = registry::generate(root)?;
    files.extend(peers::generate(root)?);
    Ok(files)
}
