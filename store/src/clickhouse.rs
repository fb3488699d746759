//! ClickHouse: a server, or many, that flows are sent to and asked of over HTTP.
//!
//! records ─▶ [`Block`] ─▶ [`Client::insert`] ─▶ table `flows`; statements ─▶ [`Client`] ─▶ answers
mod address; // where it is
mod trust; // whom to believe that it is it
mod error; // what can go wrong, and what to do about it
mod client; // statements and answers
mod columns; // what a table has, and what we have for it
mod block; // records as columns, in ClickHouse's own format
mod insert; // a block on its way

pub use address::{Address, NoAddress};
pub use block::Block;
pub use client::{Answer, Client, Options, Statement};
pub use columns::{ANTREA, CLUSTER_UUID, Column, Columns};
pub use error::{ClickHouseError, Reason};
pub use insert::Insert;
pub use trust::{Trust, TrustError};
