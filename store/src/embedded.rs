//! The embedded store: a directory of plain Parquet files.
//!
//! records ─▶ [`Writer`] ─▶ Parquet files, one directory per hour ─▶ [`Reader`] ─▶ rows, answers
//!                            └▶ [`Maintenance`]: merged files, sums over time
//!
//! Plain Parquet, because every other tool reads it and because dropping old flows is then
//! removing directories. Writing and reading are separate types that share nothing but that
//! directory: a reader works from any process, beside a running writer, and sees what has been
//! flushed.
mod layout; // which directory holds what
mod names; // what a file's name says of it
mod listing; // the files that count
mod directory; // one writer, durable names
mod mark; // how far it has come in a log
mod columns; // records become columns
mod parts; // those of what records share
mod collect; // one of them
mod waiting; // rows before they are written
mod hot; // those rows, for readers in the same process
mod encode; // columns become files
mod chunk; // one of them becomes bytes
mod page_header; // its pages
mod pages; // their values
mod order; // of the rows in them
mod encoder; // or one file somewhere else
mod writer; // all of that in order
mod batches; // files become columns again
mod unite; // several columns become one
mod sums; // records become sums over time
mod maintenance; // what becomes of files
mod torn; // where a file is
mod inspect; // what there is
#[cfg(test)]
mod reference; // the page about files and columns
mod decode; // columns become records
mod reader; // all there is, row by row
mod engine; // any question gets an answer

pub use columns::{LAST_TIME_MS, TIME_INSERTED, schema};
pub use encoder::Encoder;
pub use engine::{Answered, AskOptions, Choice, Progress, choose_tier};
pub use hot::{Hot, Snapshot};
pub use inspect::{Checked, Inspection, PartitionInfo, inspect, verify};
pub use layout::Tier;
pub use maintenance::{Dropped, Maintenance, MaintenanceCounters, MaintenanceOptions, Usage};
pub use mark::Mark;
pub use reader::{Reader, Scan, Skipped};
pub use sums::{FLOWS_ENDED, FLOWS_STARTED, RECORDS, TIME_BUCKET, sums_schema};
pub use writer::{Flushed, Writer, WriterOptions};
