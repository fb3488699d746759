//! Log lines go to standard error; `RUST_LOG` narrows or widens them.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The client of the API server calls every failure an error. Whoever asked tells what failed.
const DEFAULT: &str = "info,kube_client=off";

/// Starts logging. Later calls of the same process change nothing.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call finds a subscriber in place, which is just what is wanted.
    drop(format.try_init());
}
