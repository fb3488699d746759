//! ClickHouse: a server, or many, that flows are sent to and asked of over HTTP.
//!
//! records ─▶ [`Block`] ─▶ [`Client::insert`] ─▶ table `flows`; statements ─▶ [`Client`] ─▶ answers
//!
//! queries ─▶ [`Asker`] ─▶ answers to queries
mod address; // where it is
mod trust; // whom to believe that it is it
mod error; // what can go wrong, and what to do about it
mod client; // statements and answers
mod columns; // what a table has, and what we have for it
mod block; // records as columns, in ClickHouse's own format
mod insert; // a block on its way
mod ask; // queries and their answers
pub mod schema; // what belongs into a database
mod found; // what is there
mod diff; // what is not as it should be
pub mod migrations; // how it becomes so
pub mod status; // how it does
pub mod watchdog; // how large it becomes

pub use address::{Address, NoAddress};
pub use ask::{Asker, Export};
pub use block::Block;
pub use client::{Answer, Client, Options, ReadBy, Statement};
pub use columns::{Column, Columns, Shards};
pub use diff::{Difference, differences};
pub use error::{ClickHouseError, Reason};
pub use found::{Found, FoundColumn, FoundTable};
pub use insert::Insert;
pub use trust::{Trust, TrustError};
