//! The embedded store: a directory of plain Parquet files.
//!
//! records ─▶ [`Writer`] ─▶ Parquet files, one directory per hour ─▶ [`Reader`] ─▶ rows, flows
//!
//! Plain Parquet, because every other tool reads it and because dropping old flows is then
//! removing directories. Writing and reading are separate types that share nothing but that
//! directory: a reader works from any process, beside a running writer, and sees what has been
//! flushed.
mod layout; // which file lies where
mod directory; // one writer, durable names
mod mark; // how far it has come in a log
mod columns; // records become columns
mod writer; // columns become files
mod encoder; // or one file somewhere else
mod query; // what is asked
mod scan; // the files a question needs
mod decode; // columns become records
mod merge; // records become flows
mod reader; // questions get answers

pub use columns::{TIME_INSERTED, schema};
pub use encoder::Encoder;
pub use mark::Mark;
pub use merge::{Flow, Flows};
pub use query::{PodName, Query, ServiceName};
pub use reader::{MAX_FLOWS, Reader, Records};
pub use scan::{Scan, Skipped};
pub use writer::{Flushed, Writer, WriterOptions};
