//! How configuration works: what every part of Fyke that reads one shares.
pub mod duration; // Go's duration strings, as Antrea's files write them
mod problems; // every mistake at once

pub use problems::{Problem, Problems};
