use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs `command`, showing it and what it prints.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("+ {}", spelled(command));
    let status =
        command.status().with_context(|| format!("{} does not start", spelled(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", spelled(command));
    }
    Ok(())
}

pub(crate) fn spelled(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
