//! Where flows rest, and how they are asked for.
mod embedded; // Parquet files in a directory
mod error; // what can go wrong

pub use embedded::{
    Encoder, Flow, Flows, Flushed, MAX_FLOWS, Mark, PodName, Query, Reader, Records, Scan,
    ServiceName, Skipped, TIME_INSERTED, Writer, WriterOptions, schema,
};
pub use error::StoreError;

/// One stored record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// When the writer took the record, in milliseconds since 1970.
    pub inserted_ms: u64,
    pub record: flow::FlowRecord,
}
