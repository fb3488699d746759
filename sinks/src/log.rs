//! Flows in a file, line by line.
mod options; // how
mod lines; // JSON lines

pub use lines::LogSink;
pub use options::{Csv, Filter, Format, Options, Rotation};
