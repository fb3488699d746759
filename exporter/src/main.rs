//! Runs the Flow Exporter on a Node.

use std::io;
use std::process::ExitCode;

use clap::Parser;

/// Fyke's Flow Exporter.
#[derive(Parser)]
#[command(name = "flow-exporter", version)]
struct Command {
    #[command(flatten)]
    args: exporter::Args,
}

fn main() -> io::Result<ExitCode> {
    let command = Command::parse();
    exporter::launch(&command.args, &mut io::stdout(), &mut io::stderr(), || {})
}
