//! The Flow Aggregator: IPFIX in, one record per flow out.
//!
//! collect ─▶ correlate ─▶ enrich ─▶ fan out ─▶ sinks
//!
//! An IPFIX Mediator in the words of RFC 6183: Collecting Process, Intermediate Correlation and
//! Aggregation Processes, Exporting Process.
pub mod collect; // Transport Sessions become Flow Records
pub mod correlate; // two Nodes' reports become one record
pub mod enrich; // who they are, by the API server
pub mod shards; // on all cores
pub mod proxy; // or without correlation
pub mod fan_out; // every batch to every sink
pub mod metrics; // what is counted
mod app; // ties them together
mod args; // the command line
#[cfg(feature = "faults")]
mod faults; // mistakes made on purpose, to see the checks fail

pub use app::{Options, StartError, run};
pub use args::Args;
