//! Runs the Flow Aggregator of a cluster.

use std::process::ExitCode;

use clap::Parser;

/// Fyke's Flow Aggregator.
#[derive(Parser)]
#[command(name = "flow-aggregator", version)]
struct Command {
    #[command(flatten)]
    args: aggregator::Args,
}

fn main() -> ExitCode {
    let command = Command::parse();
    daemon::logs::init();
    daemon::run_to_exit(aggregator::run(command.args.into(), || {}))
}
