//! Answers to a [`Query`](crate::query::Query), from files and from rows that wait to be written.
//!
//! files ─▶ row groups that may match ─▶ batches of rows that do ─▶ groups or a page ─▶ answer
//!
//! Text stays what it is in a file, numbers into a dictionary, for as long as possible: conditions
//! are tried once per entry of a dictionary, and groups are made of numbers.
mod progress; // how far it is, and when it must stop
mod source; // a file's bytes, counted
mod cells; // what a batch holds
mod names; // numbers for names
mod numeric; // conditions on numbers
mod filter; // a predicate, ready to be tried
mod prune; // row groups that cannot match
mod scan; // batches of rows that match
mod packed; // several keys in one number
mod states; // what a group has seen
mod groups; // rows become groups
mod finish; // groups become an answer
mod page; // rows become a page
mod tier; // how coarse the files may be
mod units; // which files and rows have to be read
mod ask; // all of that, by several threads

pub use ask::{Answered, AskOptions};
pub(crate) use names::Names;
pub use progress::Progress;
pub use tier::{Choice, choose_tier};

#[cfg(test)]
mod tests;
