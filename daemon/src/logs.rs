//! Log lines go to standard error; `RUST_LOG` narrows or widens them.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tracing_subscriber::EnvFilter;

/// The client of the API server calls every failure an error. Whoever asked tells what failed.
const DEFAULT: &str = "info,kube_client=off";

/// Starts logging. Later calls of the same process change nothing.
pub fn init() {
    let format = tracing_subscriber::fmt()
        .with_env_filter(asked())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter_reloading();
    let handle = format.reload_handle();
    // A second call finds a subscriber in place, which is just what is wanted.
    if format.try_init().is_ok() {
        let change = move |filter| handle.reload(filter).is_ok();
        CHANGE.set(Box::new(change)).ok();
    }
}

/// What operators need, or what `RUST_LOG` says instead.
fn asked() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT))
}

/// Exchanges the filter of the subscriber in place.
type Change = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;
static CHANGE: OnceLock<Change> = OnceLock::new();
static VERBOSITY: AtomicU32 = AtomicU32::new(0);

/// How much is logged, as Kubernetes' components number it.
pub fn verbosity() -> u32 {
    VERBOSITY.load(Ordering::Relaxed)
}

/// Logs as much as Kubernetes' components do at this verbosity: 0 and 1 as from the start, from 2
/// on what went on in detail, from 5 on everything. False if logs are somebody else's.
pub fn set_verbosity(verbosity: u32) -> bool {
    let filter = match verbosity {
        0 | 1 => asked(),
        2..=4 => EnvFilter::new("debug,kube_client=off"),
        _ => EnvFilter::new("trace,kube_client=off"),
    };
    let is_changed = CHANGE.get().is_some_and(|change| change(filter));
    if is_changed {
        VERBOSITY.store(verbosity, Ordering::Relaxed);
    }
    is_changed
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use super::*;

    /// In processes of their own, whose environment and subscriber they are.
    #[test]
    fn the_least_verbosity_is_what_rust_log_says() {
        if env::var_os("FYKE_LOGS").is_some() {
            init();
            assert!(set_verbosity(5) && set_verbosity(0));
            tracing::info!("told by default");
            tracing::warn!("told in any case");
            return;
        }
        for (asked, is_told) in [(None, true), (Some("warn"), false)] {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "logs::tests::the_least_verbosity_is_what_rust_log_says"]);
            command.env("FYKE_LOGS", "1").env_remove("RUST_LOG");
            command.envs(asked.map(|asked| ("RUST_LOG", asked)));
            let output = command.arg("--nocapture").output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success() && told.contains("told in any case"), "{told}");
            assert_eq!(told.contains("told by default"), is_told, "{asked:?}: {told}");
        }
    }
}
