//! Batches become files.
//!
//! A file appears under its name only when it is complete and on the disk: it is written aside,
//! synchronised, renamed, and its directory is synchronised too.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::columns;
use super::directory;
use crate::StoreError;
use crate::error::IoContext;

/// A file that is being written aside. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    writer: Option<ArrowWriter<File>>,
}

impl Draft {
    pub(crate) fn create(
        path: PathBuf,
        schema: SchemaRef,
        properties: &WriterProperties,
    ) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .during("create", &path)?;
        let mut draft = Self { path, writer: None };
        // The Arrow schema would repeat the Parquet schema, in 10 KB per file.
        let options = ArrowWriterOptions::new()
            .with_properties(properties.clone())
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, schema, options);
        draft.writer = Some(writer.map_err(|source| draft.encode_error(source))?);
        Ok(draft)
    }

    fn encode_error(&self, source: parquet::errors::ParquetError) -> StoreError {
        StoreError::Encode { path: self.path.clone(), source }
    }

    /// Adds a row group.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let written = writer.write(batch).and_then(|()| writer.flush());
        written.map_err(|source| self.encode_error(source))
    }

    /// Makes the content durable; returns its size in bytes.
    pub(crate) fn finish(&mut self) -> Result<u64, StoreError> {
        let Some(writer) = self.writer.take() else { return Ok(0) };
        let file = writer.into_inner().map_err(|source| self.encode_error(source))?;
        file.sync_all().during("synchronise", &self.path)?;
        Ok(file.metadata().during("inspect", &self.path)?.len())
    }

    /// Gives the finished file its name.
    pub(crate) fn publish(self, partition: &Path, name: &str) -> Result<(), StoreError> {
        directory::publish(&self.path, partition, name)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Best effort, and nothing is there any more under this name once it was published. What
        // cannot be removed now is removed by the next writer.
        self.writer = None;
        fs::remove_file(&self.path).unwrap_or_default();
    }
}

/// How files are encoded: rows by the writer of a store, merged ones by compaction.
pub(crate) fn properties() -> Result<WriterProperties, StoreError> {
    let level = ZstdLevel::try_new(1)
        .map_err(|source| StoreError::Encode { path: PathBuf::from("zstd level 1"), source })?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        // With one page index per column, a file of a second's few rows would be mostly index.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        // Who writes decides what a row group is.
        .set_max_row_group_row_count(None)
        .set_created_by(concat!("fyke ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in columns::of_text() {
        // Comparing every text with the smallest and the largest so far was half of the time.
        properties = properties
            .set_column_statistics_enabled(ColumnPath::from(column), EnabledStatistics::None);
    }
    for column in columns::of_large_numbers() {
        let column = ColumnPath::from(column);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    Ok(properties.build())
}
