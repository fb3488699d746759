//! `fyke`: everything people type.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
