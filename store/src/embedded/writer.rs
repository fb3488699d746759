//! Columns become files.
//!
//! A file appears under its name only when it is complete and on the disk: it is written aside,
//! synchronised, renamed, and its directory is synchronised too. Its name is chosen before the
//! first attempt, so that an attempt that failed after the rename is repeated onto the same name
//! and never doubles a row.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::RecordBatch;
use flow::FlowRecord;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::columns::{Columns, schema};
use super::{Mark, columns, directory, layout, mark};
use crate::StoreError;
use crate::error::IoContext;

/// When rows are written, and how many may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// So many rows are due at once; also the size of a row group.
    pub flush_rows: usize,
    /// The oldest row that waits is due at this age.
    pub flush_age: Duration,
    /// More rows than this never wait: beyond it [`Writer::append`] refuses.
    pub max_rows: usize,
    /// The same for the bytes of names and addresses, whose length others decide.
    pub max_text: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            flush_rows: 131_072,
            flush_age: Duration::from_secs(1),
            max_rows: 524_288,
            max_text: 512 << 20,
        }
    }
}

/// What a flush has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flushed {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

/// The one writer of a store. Rows are durable after [`Writer::flush`]; dropping does not flush.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    options: WriterOptions,
    properties: WriterProperties,
    /// Held for the writer's life; the system releases it when the process dies.
    _lock: File,
    columns: Columns,
    /// When the rows in `columns` were inserted; both ends are in the same hour.
    columns_hour: u64,
    newest_ms: u64,
    /// When the oldest row that waits, sealed or not, was inserted.
    oldest_ms: Option<u64>,
    sealed: VecDeque<Sealed>,
    /// Behind the rows that are durable.
    stored: Option<Mark>,
    /// Behind the rows in `columns`.
    marked: Option<Mark>,
    sequence: u64,
    leftovers: u64,
}

/// Rows that will be one file.
#[derive(Debug)]
struct Sealed {
    batch: RecordBatch,
    text: usize,
    oldest_ms: u64,
    day: String,
    hour: String,
    name: String,
    mark: Option<Mark>,
}

impl Writer {
    /// Opens the store in `dir`, or makes one.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::with_options(dir, WriterOptions::default())
    }

    pub fn with_options(dir: &Path, options: WriterOptions) -> Result<Self, StoreError> {
        directory::create(dir)?;
        let lock = directory::lock(dir)?;
        directory::ensure(&layout::flows(dir))?;
        let leftovers = directory::clear(&layout::temporary(dir))?;
        Ok(Self {
            dir: dir.to_owned(),
            options,
            properties: properties(options.flush_rows)?,
            _lock: lock,
            columns: Columns::new(),
            columns_hour: 0,
            newest_ms: 0,
            oldest_ms: None,
            sealed: VecDeque::new(),
            stored: mark::read(dir),
            marked: None,
            sequence: 0,
            leftovers,
        })
    }

    /// How many temporary files of a crash were found and removed when the store was opened.
    pub fn leftovers(&self) -> u64 {
        self.leftovers
    }

    /// How far the durable rows go in the log that they came from, if that was told.
    pub fn stored(&self) -> Option<Mark> {
        self.stored
    }

    /// Whatever was appended so far is what the log has up to `mark`. Rows are noted together with
    /// the mark, so that after a crash [`Self::stored`] is exact.
    pub fn mark(&mut self, mark: Mark) {
        self.marked = Some(mark);
    }

    /// How many rows wait for a flush.
    pub fn rows(&self) -> usize {
        self.sealed.iter().map(|sealed| sealed.batch.num_rows()).sum::<usize>()
            + self.columns.rows()
    }

    fn text(&self) -> usize {
        self.sealed.iter().map(|sealed| sealed.text).sum::<usize>() + self.columns.text()
    }

    /// Takes all of `records`, as inserted at `now_ms`, or none of them.
    pub fn append(&mut self, records: &[FlowRecord], now_ms: u64) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let waiting = self.rows();
        if waiting + records.len() > self.options.max_rows || self.text() > self.options.max_text {
            return Err(StoreError::Full { waiting, records: records.len() });
        }
        let hour = now_ms / layout::HOUR_MS;
        if hour != self.columns_hour || self.columns.rows() >= self.options.flush_rows {
            self.seal()?;
            self.columns_hour = hour;
        }
        let begins = self.columns.rows() == 0;
        self.newest_ms = if begins { now_ms } else { self.newest_ms.max(now_ms) };
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
        self.columns.append(records, now_ms);
        Ok(())
    }

    /// Whether there is something that should be flushed now.
    pub fn due(&self, now_ms: u64) -> bool {
        let Some(oldest_ms) = self.oldest_ms else { return false };
        // The distance, not the difference: a clock that was set back must not delay the flush.
        u128::from(now_ms.abs_diff(oldest_ms)) >= self.options.flush_age.as_millis()
            || self.rows() >= self.options.flush_rows
            || self.text() >= self.options.max_text / 4
    }

    /// Makes all rows durable and visible to readers.
    ///
    /// After an error the rows that are not yet on the disk wait for the next flush.
    pub fn flush(&mut self) -> Result<Flushed, StoreError> {
        self.seal()?;
        let mut flushed = Flushed::default();
        while let Some(sealed) = self.sealed.front() {
            flushed.bytes += self.write(sealed)?;
            flushed.files += 1;
            flushed.rows += sealed.batch.num_rows() as u64;
            self.stored = sealed.mark.or(self.stored);
            self.sealed.pop_front();
            self.oldest_ms = self.sealed.iter().map(|sealed| sealed.oldest_ms).min();
        }
        Ok(flushed)
    }

    /// Closes the batch that is being collected and chooses its name.
    fn seal(&mut self) -> Result<(), StoreError> {
        if self.columns.rows() == 0 {
            return Ok(());
        }
        let text = self.columns.text();
        let (day, hour) = layout::partition(self.newest_ms);
        let partition = layout::flows(&self.dir).join(&day).join(&hour);
        let name = loop {
            let name = layout::file_name(self.newest_ms, self.sequence);
            self.sequence += 1;
            // In a container every process has the same id, and clocks are set back.
            if !partition.join(&name).exists() {
                break name;
            }
        };
        let batch = self.columns.take()?;
        let oldest_ms = self.oldest_ms.unwrap_or(self.newest_ms);
        let mark = self.marked;
        self.sealed.push_back(Sealed { batch, text, oldest_ms, day, hour, name, mark });
        Ok(())
    }

    /// Writes one file; returns its size.
    fn write(&self, sealed: &Sealed) -> Result<u64, StoreError> {
        let flows = layout::flows(&self.dir);
        let day = flows.join(&sealed.day);
        let partition = day.join(&sealed.hour);
        let temporary = layout::temporary(&self.dir);
        for dir in [&flows, &day, &partition, &temporary] {
            directory::ensure(dir)?;
        }
        let aside = temporary.join(&sealed.name);
        let written = self
            .encode(&aside, &sealed.batch)
            .and_then(|size| self.announce(sealed, &partition).map(|()| size))
            .and_then(|size| directory::publish(&aside, &partition, &sealed.name).map(|()| size));
        if written.is_err() {
            // Best effort: what cannot be removed now is removed by the next writer.
            fs::remove_file(&aside).unwrap_or_default();
        }
        written
    }

    /// Notes what the file is going to make true.
    fn announce(&self, sealed: &Sealed, partition: &Path) -> Result<(), StoreError> {
        let Some(mark) = sealed.mark else { return Ok(()) };
        let file = partition.join(&sealed.name);
        let file = file.strip_prefix(&self.dir).unwrap_or(&file);
        mark::write(&self.dir, self.stored, mark, file)
    }

    fn encode(&self, path: &Path, batch: &RecordBatch) -> Result<u64, StoreError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .during("create", path)?;
        let encode = |source| StoreError::Encode { path: path.to_owned(), source };
        // The Arrow schema would repeat the Parquet schema, in 10 KB per file.
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties.clone())
            .with_skip_arrow_metadata(true);
        let mut writer =
            ArrowWriter::try_new_with_options(file, schema(), options).map_err(encode)?;
        writer.write(batch).map_err(encode)?;
        let file = writer.into_inner().map_err(encode)?;
        file.sync_all().during("synchronise", path)?;
        Ok(file.metadata().during("inspect", path)?.len())
    }
}

pub(super) fn properties(flush_rows: usize) -> Result<WriterProperties, StoreError> {
    let level = ZstdLevel::try_new(1)
        .map_err(|source| StoreError::Encode { path: PathBuf::from("zstd level 1"), source })?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        // With one page index per column, a file of a second's few rows would be mostly index.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(flush_rows.max(1)))
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
