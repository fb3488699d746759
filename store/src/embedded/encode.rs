//! Batches become files.
//!
//! A file appears under its name only when it is complete and on the disk: it is written aside,
//! synchronised, renamed, and its directory is synchronised too.

use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

use super::chunk::Chunks;
use super::columns;
use super::directory;
use crate::StoreError;
use crate::error::IoContext;

/// As zstd has them: higher ones take more time and less room.
const LEVEL: i32 = 1;
/// Bytes that go to the system at once.
const AT_ONCE: usize = 256 << 10;

/// A file that is being written aside. Dropping it removes it.
pub(crate) struct Draft {
    path: PathBuf,
    columns: SchemaDescriptor,
    chunks: Chunks,
    writer: Option<SerializedFileWriter<BufWriter<File>>>,
}

impl Draft {
    pub(crate) fn create(path: PathBuf, schema: &Schema) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Encode { path: path.clone(), source };
        let columns = ArrowSchemaConverter::new().convert(schema).map_err(failed)?;
        let chunks = Chunks::new(LEVEL).map_err(failed)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .during("create", &path)?;
        let mut draft = Self { path, columns, chunks, writer: None };
        let properties = WriterProperties::builder()
            .set_created_by(concat!("fyke ", env!("CARGO_PKG_VERSION")).to_owned())
            // With a page index per column, a file of a second's few rows would be mostly index.
            .set_offset_index_disabled(true)
            .build();
        let file = BufWriter::with_capacity(AT_ONCE, file);
        let schema = draft.columns.root_schema_ptr();
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties));
        draft.writer = Some(writer.map_err(|source| draft.failed(source))?);
        Ok(draft)
    }

    fn failed(&self, source: ParquetError) -> StoreError {
        StoreError::Encode { path: self.path.clone(), source }
    }

    /// The columns of the file, as Parquet knows them.
    pub(crate) fn columns(&self) -> &SchemaDescriptor {
        &self.columns
    }

    /// Adds a row group.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.write_columns(None, |index| Ok(Arc::clone(batch.column(index))))
    }

    /// Adds a row group, whose columns are made one after the other, with its rows in this order if
    /// one is given.
    pub(crate) fn write_columns(
        &mut self,
        order: Option<&[u32]>,
        mut column: impl FnMut(usize) -> Result<ArrayRef, ArrowError>,
    ) -> Result<(), StoreError> {
        let Self { path, columns, chunks, writer } = self;
        let Some(writer) = writer else { return Ok(()) };
        let failed = |source| StoreError::Encode { path: path.clone(), source };
        let mut group = writer.next_row_group().map_err(failed)?;
        for (index, description) in columns.columns().iter().enumerate() {
            let column = column(index)?;
            let chunk = chunks.encode(description, &column, order);
            chunk.and_then(|(bytes, close)| group.append_column(&bytes, close)).map_err(failed)?;
        }
        group.close().map(drop).map_err(failed)
    }

    /// Adds a row group of another file with the same columns, as it is.
    pub(crate) fn copy(
        &mut self,
        group: &RowGroupMetaData,
        file: &impl ChunkReader,
    ) -> Result<(), ParquetError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let mut copy = writer.next_row_group()?;
        for column in group.columns() {
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(column.compressed_size()).unwrap_or(0),
                rows_written: u64::try_from(group.num_rows()).unwrap_or(0),
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            copy.append_column(file, close)?;
        }
        copy.close().map(drop)
    }

    /// Makes the content durable; returns its size in bytes.
    pub(crate) fn finish(&mut self) -> Result<u64, StoreError> {
        let Some(writer) = self.writer.take() else { return Ok(0) };
        let file = writer.into_inner().map_err(|source| self.failed(source))?;
        let file = file.into_inner().map_err(std::io::IntoInnerError::into_error);
        let file = file.during("write", &self.path)?;
        file.sync_all().during("synchronise", &self.path)?;
        Ok(file.metadata().during("inspect", &self.path)?.len())
    }

    /// Gives the finished file its name.
    pub(crate) fn publish(self, partition: &Path, name: &str) -> Result<(), StoreError> {
        directory::publish(&self.path, partition, name)
    }
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("path", &self.path).finish_non_exhaustive()
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

/// How files that are kept elsewhere are encoded, by the `parquet` crate.
pub(crate) fn properties() -> Result<WriterProperties, StoreError> {
    let level = ZstdLevel::try_new(LEVEL)
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
