//! `fyke doctor`: what is wrong, step by step.

use std::io::{self, Write};
use std::process::ExitCode;

use exporter::doctor::{Report, examine};

use crate::output::verdict;

/// Which process is looked after.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum DoctorCommand {
    /// Look at everything that an exporter of this Node needs, with the same options as it has;
    /// it may run meanwhile. Ends with 1 if something keeps flows from arriving
    Exporter(ExporterArgs),
}

#[derive(Debug, Clone, clap::Args)]
pub struct ExporterArgs {
    #[command(flatten)]
    given: exporter::Given,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// `clock` tells nanoseconds since 1970.
pub fn run(
    command: &DoctorCommand,
    clock: fn() -> u64,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let DoctorCommand::Exporter(args) = command;
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(examine(&args.given, clock));
    // What was begun and given up, such as a name that nobody resolves, is not waited for.
    runtime.shutdown_background();
    verdict(!report.has_failed(), write(&report, args.json, out))
}

fn write(report: &Report, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json { writeln!(out, "{}", report.to_json()) } else { write!(out, "{report}") }
}
