//! ClickHouse: a server, or many, that flows are sent to and asked of over HTTP.
//!
//! statements ─▶ [`Client`] ─▶ answers
mod address; // where it is
mod trust; // whom to believe that it is it
mod error; // what can go wrong, and what to do about it
mod client; // statements and answers

pub use address::{Address, NoAddress};
pub use client::{Answer, Client, Options, Statement};
pub use error::{ClickHouseError, Reason};
pub use trust::{Trust, TrustError};
