//! ClickHouse as a place for flows, at an engine of today and a server of old.
#[path = "clickhouse/client.rs"]
mod client; // statements and answers
#[path = "clickhouse/values.rs"]
mod values; // what rows say
#[path = "clickhouse/delivery.rs"]
mod delivery; // a spool and the sink behind it
#[path = "clickhouse/faults.rs"]
mod faults; // nothing is lost, nothing comes twice
#[path = "clickhouse/spread.rs"]
mod spread; // also where another table has the rows
#[path = "clickhouse/old.rs"]
mod old; // nor at a server of old
#[path = "clickhouse/daemon.rs"]
mod daemon; // the same in the aggregator
#[path = "clickhouse/told.rs"]
mod told; // what its log says, and what to do about it
#[path = "clickhouse/trust.rs"]
mod trust; // whose certificate is believed
