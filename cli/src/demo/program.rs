//! Other programs, and what they say when they fail.
//!
//! The lab is built by the same tools an operator would use. Whoever reads an error
//! of this module can paste the command it names into a shell and see it fail again.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `command` to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = start(command)?;
    finish(command, child)
}

/// Runs `command` to its end with `input` on its standard input.
pub(crate) fn feed(command: &mut Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start(command)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that stops reading says why on its standard error, and that is
        // what `finish` reports; the broken pipe would only hide it.
        stdin.write_all(input.as_bytes()).ok();
    }
    finish(command, child)
}

/// Starts `command`, or says which program is not installed.
pub(crate) fn start(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| {
        format!("cannot start `{}`; is it installed?", command.get_program().to_string_lossy())
    })
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn finish(command: &Command, child: Child) -> Result<String> {
    let Output { status, stdout, stderr } =
        child.wait_with_output().with_context(|| format!("cannot wait for `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}`: {status}: {}", line(command), printed(&stdout, &stderr));
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

fn printed(stdout: &[u8], stderr: &[u8]) -> String {
    let said = if stderr.is_empty() { stdout } else { stderr };
    let said = String::from_utf8_lossy(said);
    match said.trim() {
        "" => "it printed nothing".to_owned(),
        said => said.lines().map(str::trim).collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_printed_is_returned() {
        assert_eq!(output(Command::new("echo").arg("ready")).unwrap(), "ready\n");
        assert_eq!(feed(&mut Command::new("cat"), "rules").unwrap(), "rules");
    }

    #[test]
    fn a_failure_names_the_command_and_its_complaint() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such device >&2; exit 3"]);
        let error = output(&mut command).unwrap_err().to_string();
        assert!(error.contains("`sh -c"), "{error}");
        assert!(error.contains("exit status: 3: no such device"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = output(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert_eq!(error, "cannot start `no-such-program`; is it installed?");
    }
}
