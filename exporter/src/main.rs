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
    daemon::run_to_exit(exporter::run(command.args.into(), || {}))
}
