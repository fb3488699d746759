//! Files made from other files: written anew, or compared with what is committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::run;
use crate::{messages, peers, registry};

pub(crate) fn write(root: &Path) -> Result<()> {
    for (path, content) in all(root)? {
        fs::write(&path, content)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    from_rust(cargo(root).env("FYKE_GENERATE", "1"))
}

fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root);
    cargo
}

/// The daemons' keys, the exporter's custom resource, metrics and stored columns are Rust, so their own tests
/// write what follows from them, or compare it.
fn from_rust(cargo: &mut Command) -> Result<()> {
    let tests =
        ["settings::reference", "destinations::crd", "metrics::reference", "embedded::reference"];
    let daemons = ["-p", "exporter", "-p", "aggregator", "-p", "store"];
    run(cargo.args(["test", "--quiet"]).args(daemons).args(["--lib", "--"]).args(tests))
}

pub(crate) fn check(root: &Path) -> Result<()> {
    check_files(root)?;
    from_rust(&mut cargo(root))
}

/// All but what is Rust, which `cargo test --workspace` compares.
pub(crate) fn check_files(root: &Path) -> Result<()> {
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
    files.push(messages::generate(root)?);
    Ok(files)
}
