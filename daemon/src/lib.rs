//! What every process of Fyke needs around its pipeline: logs, signals, metrics, supervision.
pub mod admin; // metrics and health over HTTP
mod chain; // errors with their causes
mod clock; // the only place that asks what time it is
pub mod logs; // what operators read
mod shutdown; // SIGTERM and Ctrl-C
mod supervise; // a task that ends by itself ends the process

pub use chain::Chain;
pub use clock::{SteadyClock, now_ns};
pub use shutdown::requested;
pub use supervise::{Ended, Supervisor};
