//! Flows in a file, line by line.
mod options; // how
mod csv; // rows as Antrea's
mod file; // whole lines into the file that is at a path
mod backups; // files that were put aside
mod writer; // lines of records, and files one after the other
mod sink; // a thread that does it

pub use options::{Csv, Filter, Format, Options, Rotation};
pub use sink::{LogCounters, LogSink};
