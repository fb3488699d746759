//! Brings a database to what it should have, from nothing or from what others left, with its rows.
//!
//! What remains to do is judged by what is there; a journal in the database itself tells what was
//! done, and how far copying has come. So a migration that was interrupted anywhere goes on where it
//! was, and one that is repeated finds nothing to do.
mod journal; // what was done
mod lock; // who does it
mod older; // tables of others
mod copy; // their rows
mod swap; // their name
mod gaps; // what roll-ups do not know
mod take_over; // one of them, from beginning to end
mod apply; // everything, in order

pub use apply::{Asked, Outcome, migrate};
pub use older::Older;

use super::ClickHouseError;

/// Why a migration did not come to its end. It goes on when it is started again.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(transparent)]
    Server(#[from] ClickHouseError),
    #[error(
        "{name} is a {engine} and no table with rows of its own; rename it, and start this again"
    )]
    Unknown { name: String, engine: String },
    #[error(
        "{name} has rows of an older schema, which cannot be taken over on many servers at once; \
         run this without --cluster against each server, or rename {name} to begin anew"
    )]
    Cluster { name: String },
    #[error("{copied} rows were copied of {table}, which has {there}; start this again")]
    Rows { table: String, copied: u64, there: u64 },
    #[error(
        "{who} is at it, and was heard {silent} s ago; if that one is no more, start this again when \
         it has been silent for {most} s"
    )]
    Busy { who: String, silent: u64, most: u64 },
    #[error("somebody else has taken over, since nothing was heard of this for too long")]
    Lost,
    #[error(
        "inserts that began before the tables were swapped have gone on for {seconds} s; start this \
         again when they are through"
    )]
    Inserts { seconds: u64 },
    #[error("there are tables {name}, {name}_2 and so on already; drop those nobody needs")]
    Names { name: String },
}

/// What a migration tells while it is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Something was done.
    Done(String),
    /// Rows of an older table that have been copied, of all it has.
    Copied { rows: u64, of: u64 },
}

/// Takes what a migration tells.
pub type Tell<'a> = &'a mut (dyn FnMut(Told) + Send);
