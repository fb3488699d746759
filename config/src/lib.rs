//! How configuration works, and how mistakes are told.
pub mod yaml; // files as trees that remember their lines
mod key; // a setting, described once
mod layer; // a file, sorted into its keys
mod sources; // who gives a setting its value
mod setting; // a value, and who gave it
pub mod read; // what values look like
pub mod address; // where a collector is
pub mod duration; // Go's duration strings, as Antrea's files write them
pub mod size; // sizes in bytes
mod secret; // texts that nobody is shown
pub mod write; // files with comments
pub mod reference; // those we ship, and pages about them
mod findings; // all there is to say, with places
mod problems; // every mistake at once
mod chain; // errors with their causes

pub use chain::Chain;
pub use findings::{Finding, Findings, Severity};
pub use key::{Key, Name, Status};
pub use layer::{FileKind, Item, Items, Layer, Raw};
pub use problems::{Problem, Problems};
pub use secret::Secret;
pub use setting::{Origin, Setting};
pub use sources::{Reading, Sources, Wrong};
