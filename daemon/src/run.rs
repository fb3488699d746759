use std::error::Error;
use std::process::ExitCode;

use crate::Chain;

/// Runs a daemon on a runtime of its own, and says in the log why it ended, if it failed.
pub fn run_to_exit<E: Error + 'static>(daemon: impl Future<Output = Result<(), E>>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(error = %Chain(&error), "no runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(daemon) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %Chain(&error), "failed");
            ExitCode::FAILURE
        }
    }
}
