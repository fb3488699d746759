//! How configuration works, and how mistakes are told.
mod chain; // errors with their causes
pub mod duration; // Go's duration strings, as Antrea's files write them
mod problems; // every mistake at once

pub use chain::Chain;
pub use problems::{Problem, Problems};
