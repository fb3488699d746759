//! Where flows rest, and how they are asked for.
pub mod clickhouse; // a server of its own, or many
mod embedded; // Parquet files in a directory
pub mod query; // what is asked, of any store
mod error; // what can go wrong

pub use embedded::{
    Flow, Flows, Flushed, Hot, MAX_FLOWS, Mark, PodName, Query, Reader, Records, Scan, ServiceName,
    Skipped, Snapshot, TIME_INSERTED, Tier, Writer, WriterOptions, schema,
};
pub use error::StoreError;

/// One stored record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// When the writer took the record, in milliseconds since 1970.
    pub inserted_ms: u64,
    pub record: flow::FlowRecord,
}
