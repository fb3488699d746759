//! Where records go when they leave the pipeline.
//!
//! [`Queue`] ─▶ [`deliver`] ─▶ a [`Sink`]: the embedded store, a file of JSON lines
//!
//! A sink only knows how to take one batch. Retrying, backing off, counting and shutting down are
//! the same for all of them and live in [`deliver`], which is written and tested once.
mod sink; // what a far end must be able to do
mod queue; // what waits for one
mod deliver; // runs a sink until its queue closes
mod counters; // what became of the records
mod log; // JSON lines in a file
pub mod json; // a record as a JSON object
mod store; // the embedded store

pub use counters::DeliveryCounters;
pub use deliver::{DeliverOptions, deliver};
pub use log::LogSink;
pub use queue::{Inlet, Queue};
pub use sink::{Sink, SinkError};
pub use store::StoreSink;
