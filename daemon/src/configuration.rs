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
enum Task {
    Run,
    Check,
    Print,
}

// What a command line says of that. No documentation: it would replace the command's.
#[derive(Debug, Clone, clap::Args)]
pub struct Asked {
    /// Tell every mistake in the configuration, and end
    #[arg(long, conflicts_with = "print_config")]
    check_config: bool,
    /// Show the configuration in force and where each value comes from, and end
    #[arg(long)]
    print_config: bool,
}

impl Asked {
    const fn task(&self) -> Task {
        match (self.check_config, self.print_config) {
            (true, _) => Task::Check,
            (_, true) => Task::Print,
            _ => Task::Run,
        }
    }
}

/// Does what is `asked` with settings, of which there are none if they were refused. `shown` makes a
/// file of them.
pub fn launch<S>(
    asked: &Asked,
    settings: Option<S>,
    findings: &Findings,
    (out, errors): (&mut impl Write, &mut impl Write),
    shown: impl FnOnce(&S) -> String,
    run: impl FnOnce(S) -> ExitCode,
) -> io::Result<ExitCode> {
    match (asked.task(), settings) {
        (Task::Check, _) => check(findings, out, errors),
        (Task::Print, Some(settings)) => {
            tell(findings, errors)?;
            out.write_all(shown(&settings).as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        (Task::Run, Some(settings)) => {
            crate::logs::init();
            log(findings);
            Ok(run(settings))
        }
        (Task::Print | Task::Run, None) => {
            tell(findings, errors)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Says everything there is to say about a configuration. What is hardly what was meant fails
/// this, and nothing else.
fn check(
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
fn tell(findings: &Findings, errors: &mut impl Write) -> io::Result<()> {
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
