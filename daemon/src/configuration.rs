//! What every daemon does with its configuration before it runs, and while it does.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use config::{Finding, Findings, Severity};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often files are compared with what was read of them. A mounted `ConfigMap` is exchanged
/// behind a symbolic link and some file systems tell nobody of a change; files are quickly read.
pub const PERIOD: Duration = Duration::from_secs(5);

/// What is to be done with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Run,
    Check,
    Print,
}

impl Task {
    pub const fn asked(check: bool, print: bool) -> Self {
        match (check, print) {
            (true, _) => Self::Check,
            (_, true) => Self::Print,
            _ => Self::Run,
        }
    }
}

/// Says everything there is to say about a configuration. What is hardly what was meant fails
/// this, and nothing else.
pub fn check(
    findings: &Findings,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> io::Result<ExitCode> {
    tell(findings, errors)?;
    if findings.any(Severity::Doubt) {
        return Ok(ExitCode::FAILURE);
    }
    writeln!(out, "the configuration is good")?;
    Ok(ExitCode::SUCCESS)
}

/// Writes findings, one per line.
pub fn tell(findings: &Findings, errors: &mut impl Write) -> io::Result<()> {
    findings.iter().try_for_each(|finding| writeln!(errors, "{finding}"))
}

/// Writes findings into the log.
pub fn log(findings: &Findings) {
    for finding in findings.iter() {
        let Finding { severity, origin, key, what } = finding;
        let at = origin.as_ref().map(ToString::to_string).unwrap_or_default();
        match severity {
            Severity::Note => tracing::info!(at, key, "{what}"),
            Severity::Doubt => tracing::warn!(at, key, "{what}"),
            Severity::Error => tracing::error!(at, key, "{what}"),
        }
    }
}

/// SIGHUPs that come from now on are kept until asked for; one that comes earlier ends the
/// process. Needs a runtime around it.
pub fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
