//! Rows as a file of the store's, for those who keep it elsewhere.

use std::io::Write;
use std::path::PathBuf;

use flow::FlowRecord;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;

use super::columns::{Columns, schema};
use super::encode::properties;
use super::writer::WriterOptions;
use crate::StoreError;

/// Rows that are handed over at a time: names are made a dictionary among so many.
const ROWS: usize = 8192;

/// Writes one file as the store's own, to wherever.
pub struct Encoder<W: Write + Send> {
    writer: ArrowWriter<W>,
    columns: Columns,
}

impl<W: Write + Send> Encoder<W> {
    pub fn new(to: W) -> Result<Self, StoreError> {
        // The Arrow schema would repeat the Parquet schema.
        let options =
            ArrowWriterOptions::new().with_properties(properties()?).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(to, schema(), options).map_err(failed)?;
        Ok(Self { writer, columns: Columns::new() })
    }

    /// Appends records, as inserted at `now_ms`. After an error the file is good for nothing.
    pub fn append(&mut self, records: &[FlowRecord], now_ms: u64) -> Result<(), StoreError> {
        for records in records.chunks(ROWS) {
            self.columns.append(records, now_ms);
            if self.columns.rows() >= ROWS {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    /// About how long the file is going to be, in bytes; also about what it takes in memory.
    pub fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size() + self.columns.text()
    }

    /// Ends the file, and returns where it was written to.
    pub fn finish(mut self) -> Result<W, StoreError> {
        self.hand_over()?;
        self.writer.into_inner().map_err(failed)
    }

    fn hand_over(&mut self) -> Result<(), StoreError> {
        if self.columns.rows() == 0 {
            return Ok(());
        }
        let batch = self.columns.take()?;
        self.writer.write(&batch).map_err(failed)?;
        if self.writer.in_progress_rows() >= WriterOptions::default().flush_rows {
            self.writer.flush().map_err(failed)?;
        }
        Ok(())
    }
}

impl<W: Write + Send> std::fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("size", &self.size()).finish_non_exhaustive()
    }
}

fn failed(source: ParquetError) -> StoreError {
    StoreError::Encode { path: PathBuf::from("rows that are kept elsewhere"), source }
}
