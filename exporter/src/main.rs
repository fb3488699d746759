//! Runs the Flow Exporter on a Node.

use std::process::ExitCode;

use clap::Parser;

/// Fyke's Flow Exporter.
#[derive(Parser)]
#[command(name = "flow-exporter", version)]
struct Command {
    #[command(flatten)]
    args: exporter::Args,
}

fn main() -> ExitCode {
    let command = Command::parse();
    daemon::logs::init();
    exporter::run_blocking(command.args.into(), || {})
}
