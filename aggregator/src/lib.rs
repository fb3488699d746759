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
pub mod stream; // and to whoever asks for them live
pub mod api; // what antctl asks
pub mod metrics; // what is counted
pub mod settings; // how all that is configured
mod app; // ties them together
mod reload; // a configuration that changes
mod args; // the command line
mod launch; // what it asks for
#[cfg(feature = "faults")]
mod faults; // mistakes made on purpose, to see the checks fail

pub use app::StartError;
pub use args::Args;
pub use launch::launch;
