use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use crate::Chain;

/// How long threads that wait in the kernel may keep a process that is over. Whatever had to be
/// finished was waited for by the daemon itself.
const THREADS_END: Duration = Duration::from_secs(1);

/// Runs a daemon on a runtime of its own, and says in the log why it ended, if it failed.
pub fn run_to_exit<E: Error + 'static>(daemon: impl Future<Output = Result<(), E>>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(error = %Chain(&error), "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(daemon) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %Chain(&error), "failed");
            ExitCode::FAILURE
        }
    };
    runtime.shutdown_timeout(THREADS_END);
    code
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_thread_that_never_ends_does_not_keep_the_process() {
        let (end, ended) = channel::<()>();
        let started = Instant::now();
        let code = run_to_exit(async move {
            drop(tokio::task::spawn_blocking(move || ended.recv()));
            Err(std::io::Error::other("on purpose"))
        });
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
        assert!(started.elapsed() < 5 * THREADS_END, "{:?}", started.elapsed());
        drop(end);
    }
}
