//! What every process of Fyke needs around its pipeline: logs, signals, metrics, supervision.
pub mod logs; // what operators read
mod run; // a runtime, and what its end means to the shell
mod shutdown; // SIGTERM and Ctrl-C
mod supervise; // a task that ends by itself ends the process
pub mod admin; // metrics and health over HTTP
pub mod https; // a server for those who come with a token
pub mod configuration; // checked, printed, read again
mod files; // how many may be open
mod clock; // the only place that asks what time it is

pub use clock::{SteadyClock, now_ns};
pub use config::Chain;
pub use files::raise_open_files;
pub use run::run_to_exit;
pub use shutdown::Shutdown;
pub use supervise::{Cause, Ended, Supervisor};
