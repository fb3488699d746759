//! Conntrack to IPFIX, on one Node.
//!
//! conntrack ─▶ meter ─▶ enrich ─▶ export
//!
//! The stages are the Observation Point, Metering Process and Exporting Process of RFC 7011.
pub mod conntrack; // what the kernel knows
pub mod meter; // connections become due for export, once each thing
pub mod enrich; // addresses become Pods, Services and flow types
pub mod observe; // the loop that keeps up with the kernel
pub mod export; // records leave the Node
pub mod metrics; // what is counted
mod app; // ties them together
mod args; // the command line
#[cfg(feature = "faults")]
mod faults; // mistakes made on purpose, to see the checks fail

pub use app::{Options, StartError, run};
pub use args::Args;
