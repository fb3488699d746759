//! How flows get to ClickHouse.

use std::path::PathBuf;
use std::time::Duration;

use config::Secret;
use store::clickhouse::{Address, Trust};

/// How flows get to ClickHouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub address: Address,
    pub database: String,
    pub username: Secret,
    pub password: Secret,
    /// Whether records are compressed on the way (LZ4).
    pub compress: bool,
    /// After this long a record is inserted, if no block was full before.
    pub interval: Duration,
    pub trust: Trust,
    /// What each row says about whose it is; empty if nobody knows.
    pub cluster_uuid: String,
    /// The file that says which records are on their way. Of use with a spool alone.
    pub note: Option<PathBuf>,
}
