//! ClickHouse: a server, or many, that flows are sent to and asked of over HTTP.
//!
//! statements ─▶ [`Client`] ─▶ answers
//!
//! queries ─▶ [`Asker`] ─▶ answers to queries
mod address; // where it is
mod trust; // whom to believe that it is it
mod error; // what can go wrong, and what to do about it
mod client; // statements and answers
mod ask; // queries and their answers

pub use address::{Address, NoAddress};
pub use ask::{AskError, Asker, Export};
pub use client::{Answer, Client, Options, ReadBy, Statement};
pub use error::{ClickHouseError, Reason};
pub use trust::{Trust, TrustError};
