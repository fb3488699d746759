//! Where flows rest, and how they are asked for.
pub mod clickhouse; // a server of its own, or many
mod embedded; // Parquet files in a directory
pub mod query; // what is asked, of any store
mod merge; // records become flows
mod error; // what can go wrong

pub use embedded::{
    Answered, AskOptions, Checked, Choice, Dropped, Encoder, FLOWS_ENDED, FLOWS_STARTED, Flushed,
    Hot, Inspection, LAST_TIME_MS, Maintenance, MaintenanceCounters, MaintenanceOptions, Mark,
    PartitionInfo, Progress, RECORDS, Reader, Scan, Skipped, Snapshot, TIME_BUCKET, TIME_INSERTED,
    Tier, Usage, Writer, WriterOptions, choose_tier, inspect, schema, sums_schema, verify,
};
pub use error::StoreError;
pub use merge::{Flow, Flows};

/// One stored record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// When the writer took the record, in milliseconds since 1970.
    pub inserted_ms: u64,
    pub record: flow::FlowRecord,
}
