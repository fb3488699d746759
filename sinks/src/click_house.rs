//! Flows to ClickHouse.
//!
//! batches ─▶ a block that is filled ─▶ a block on its way ─▶ table `flows`
//!
//! At most one block is on its way, while the next is filled. Which records a block has is noted
//! before it leaves, so that a retry, also one after a `kill -9`, is of the same records under the
//! same token, which ClickHouse stores once. See docs/decisions/0030-clickhouse.md.
mod options; // how
mod note; // which records are on their way
mod counters; // what was done
mod blocks; // which records are in which block
mod flight; // a block on its way
mod sink; // all that behind a queue

pub use counters::ClickHouseCounters;
pub use options::Options;
pub use sink::ClickHouseSink;

/// The table, by Antrea's and Theia's name.
pub const TABLE: &str = "flows";
