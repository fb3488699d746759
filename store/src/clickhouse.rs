//! ClickHouse: a server, or many, that flows are sent to and asked of over HTTP.
//!
//! statements ─▶ [`Client`] ─▶ answers
mod address; // where it is
mod trust; // whom to believe that it is it
mod error; // what can go wrong, and what to do about it
mod client; // statements and answers
pub mod schema; // what belongs into a database
mod found; // what is there
mod diff; // what is not as it should be
pub mod migrations; // how it becomes so

pub use address::{Address, NoAddress};
pub use client::{Answer, Client, Options, Statement};
pub use diff::{Difference, differences};
pub use error::{ClickHouseError, Reason};
pub use found::{Found, FoundColumn, FoundTable};
pub use trust::{Trust, TrustError};
