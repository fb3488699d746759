//! Flows as JSON: as objects of our own, and as Antrea's aggregator sends them.
mod options; // how
mod record; // an object of our own
mod lines; // Antrea's objects
mod sink; // those over a connection

pub use options::Options;
pub use record::{Record, entries};
pub use sink::{JsonCounters, JsonSink};
