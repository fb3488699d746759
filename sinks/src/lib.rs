//! Where records go when they leave the pipeline.
//!
//! [`Queue`] ─▶ [`deliver`] ─▶ a [`Sink`]: the embedded store, a file of JSON lines
//!
//! A sink only knows how to take one batch. Retrying, backing off, counting and shutting down are
//! the same for all of them and live in [`deliver`], which is written and tested once.
mod sink; // what a far end must be able to do
mod queue; // what waits for one
mod deliver; // runs a sink until its queue closes
pub mod spool; // what sinks cannot take now, on disk
mod counters; // what became of the records
mod deeds; // what sinks do beside
mod failure; // and what they cannot do
mod far_end; // where on the network
mod way; // and how to get there
mod value; // one value as text
mod line; // a file of one line
pub mod ipfix; // IPFIX over TCP, TLS or UDP
pub mod json; // JSON, as objects and over a connection
pub mod log; // lines in a file
#[cfg(feature = "s3")]
pub mod s3; // objects in a bucket of S3
mod store; // the embedded store
pub mod click_house; // ClickHouse
#[cfg(feature = "faults")]
mod faults; // mistakes made on purpose

pub use counters::DeliveryCounters;
pub use deeds::{Deed, Deeds};
pub use deliver::{DeliverOptions, deliver};
pub use failure::Failure;
pub use far_end::{FarEnd, SYSTEM_AUTHORITIES, Tls, Transport};
pub use log::LogSink;
pub use queue::{Inlet, Queue};
#[cfg(feature = "s3")]
pub use s3::S3Sink;
pub use sink::{Sink, SinkError, Stored};
pub use spool::{Spool, SpoolError, SpoolOptions, SpoolPanicked};
pub use store::StoreSink;
pub use way::OptionsError;
