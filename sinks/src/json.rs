//! Flows as JSON: as objects of our own, and as Antrea's aggregator sends them.
mod options; // how
mod record; // an object of our own

pub use options::Options;
pub use record::{Record, entries};
