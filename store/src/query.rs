//! What is asked of a store, independent of where its flows rest.
//!
//! [`Query`] is data: the same question goes to the embedded store and to ClickHouse, and has one
//! answer. [`evaluate`] is that answer, computed plainly in memory; whatever else answers a query
//! is judged by it.
//!
//! # Absent values
//!
//! A value can be absent: empty text, the address zero (or none), port 0, time 0; of labels, a key
//! that is not there. A condition on an absent value is false, whatever it compares with, and
//! [`Predicate::Not`] is always the complement: there is no third truth value. Other numbers,
//! those of enumerations among them, are never absent: 0 is their value. Rows and group keys show
//! absent addresses as [`Value::None`] and other absent values as what they are, "" and 0.
//! [`Function::Min`], [`Function::Max`] and [`Function::Distinct`] do not see absent values.
//!
//! # Values
//!
//! - Times are milliseconds since 1970.
//! - Enumerations are their registered numbers.
//! - An IPv4-mapped IPv6 address *is* that IPv4 address. Apart from that families do not mix: an
//!   IPv6 range holds no IPv4 address, not even `::/0`.
//! - Sums are taken modulo 2^64, as ClickHouse takes those of `UInt64`.
//! - Values are ordered: [`Value::None`] first, then numbers, addresses (IPv4 before IPv6) and
//!   text by its bytes. Within a column there is one kind, so that this is each kind's own order.
mod column; // what has a name
mod value; // what a column holds
mod address; // ranges of addresses
mod text; // conditions on text
mod pattern; // regular expressions
mod predicate; // which rows count
mod question; // what is made of them
mod check; // whether that makes sense
mod sums; // whether sums can answer it
mod answer; // what comes back
mod evaluate; // the plain judge
mod row; // values become a row again

pub use address::AddressRange;
pub use answer::{Answer, AskError, Group, Groups, Rows};
pub use check::QueryError;
pub use column::{Column, Derived, Kind, Source};
pub use evaluate::{evaluate, holds, value_of};
pub use pattern::{Pattern, PatternError};
pub use predicate::{Comparison, Condition, Predicate};
pub use question::{
    Aggregate, Cursor, Function, GroupOrder, Grouping, Key, Limits, Listing, Query, Range,
    RowOrder, Wanted,
};
pub use row::row_of;
pub use text::{Glob, Needle, TextTest};
pub use value::Value;
