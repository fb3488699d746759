//! ClickHouse as a place for flows, at an engine of today and a server of old.
#[path = "clickhouse/client.rs"]
mod client; // statements and answers
