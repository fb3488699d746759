//! Flows as objects in a bucket of S3, as Antrea's Flow Aggregator stores them.
//!
//! records ─▶ gather: rows, compressed as they come ─▶ objects ─▶ bucket: one request, or parts
//!
//! An object is acknowledged only when S3 says that it has all of it. Its name is chosen before the
//! first attempt and stays; with a spool it follows from where the object begins in the log, so that
//! whoever stores the same records again, even another process, stores them in their own place
//! (docs/decisions/0032-s3.md).
mod options; // how
mod rows; // rows of CSV as Antrea's
mod parts; // what an object is stored in
mod object; // one that is being filled
mod gather; // records become objects
mod name; // what objects are called
mod journal; // what is being stored, on disk
mod credentials; // who we are
mod error; // what can go wrong, and what to do about it
mod bucket; // objects into the bucket
mod counters; // what became of them
mod sink; // all that as a sink

pub use counters::S3Counters;
pub use credentials::Credentials;
pub use error::S3Error;
pub use options::{Format, Naming, Options};
pub use sink::S3Sink;
