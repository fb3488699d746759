//! Log lines go to standard error; `RUST_LOG` narrows or widens them.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tracing_subscriber::EnvFilter;

/// The client of the API server calls every failure an error. Whoever asked tells what failed.
const DEFAULT: &str = "info,kube_client=off";

/// Starts logging. Later calls of the same process change nothing.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
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

/// Exchanges the filter of the subscriber in place.
type Change = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;
static CHANGE: OnceLock<Change> = OnceLock::new();
static VERBOSITY: AtomicU32 = AtomicU32::new(0);

/// How much is logged, as Kubernetes' components number it.
pub fn verbosity() -> u32 {
    VERBOSITY.load(Ordering::Relaxed)
}

/// Logs as much as Kubernetes' components do at this verbosity: 0 and 1 what operators need, from
/// 2 on what went on in detail, from 5 on everything. False if logs are somebody else's.
pub fn set_verbosity(verbosity: u32) -> bool {
    let level = match verbosity {
        0 | 1 => DEFAULT,
        2..=4 => "debug,kube_client=off",
        _ => "trace,kube_client=off",
    };
    let is_changed = CHANGE.get().is_some_and(|change| change(EnvFilter::new(level)));
    if is_changed {
        VERBOSITY.store(verbosity, Ordering::Relaxed);
    }
    is_changed
}
