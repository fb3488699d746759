//! Files made from other files: written anew, or compared with what is committed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::registry;

pub(crate) fn write(root: &Path) -> Result<()> {
    for (path, content) in registry::generate(root)? {
        fs::write(&path, content)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

pub(crate) fn check(root: &Path) -> Result<()> {
    for (path, content) in registry::generate(root)? {
        let committed = fs::read_to_string(&path).unwrap_or_default();
        if committed != content {
            bail!("{} is stale; run `cargo xtask generate`", path.display());
        }
    }
    Ok(())
}
