//! Runs the Flow Aggregator of a cluster.

use std::io;
use std::process::ExitCode;

use clap::Parser;

/// Fyke's Flow Aggregator.
#[derive(Parser)]
#[command(name = "flow-aggregator", version)]
struct Command {
    #[command(flatten)]
    args: aggregator::Args,
}

fn main() -> io::Result<ExitCode> {
    let command = Command::parse();
    aggregator::launch(&command.args, &mut io::stdout(), &mut io::stderr(), || {})
}
