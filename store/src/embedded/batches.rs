//! Files become batches.
//!
//! A file may be torn (a full disk, a restored backup), something else under our extension, or
//! gone, because retention removed it after it was listed.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;

use flow::FlowRecord;

use super::columns::{Columns, with_dictionaries};
use super::decode::DecodeError;
use super::listing;
use super::names::StoredFile;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("the file made the Parquet decoder panic")]
    Panic,
    #[error("it has {found} rows, and by its name {expected}")]
    Rows { found: u64, expected: u64 },
    #[error("a row's time is none of those its name tells")]
    Times,
    /// Not damage: it would lose that column if it were rewritten.
    #[error("it has a column {0}, which this version does not know")]
    Unknown(String),
}

impl FileError {
    /// Whether the file is at fault, and not the disk or the process.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Io(error) => error.raw_os_error().is_none(),
            // Between their layers these two keep only the text of what the system said.
            Self::Parquet(error) => !error.to_string().contains(SYSTEM_ERROR),
            Self::Arrow(error) => !error.to_string().contains(SYSTEM_ERROR),
            Self::Decode(_) | Self::Panic | Self::Rows { .. } | Self::Times => true,
            Self::Unknown(_) => false,
        }
    }
}

/// How [`io::Error`] shows that it comes from the system.
const SYSTEM_ERROR: &str = "(os error ";

/// Bytes that the rows read at a time take on average, at most, as they are encoded.
const BATCH_BYTES: u64 = 32 << 20;

/// The rows of one file.
pub(crate) struct Batches {
    reader: ParquetRecordBatchReader,
    expected: Option<u64>,
    found: u64,
}

impl Batches {
    /// Reads `columns` of the file, or all, so many rows at a time; fewer if they are wide.
    pub(crate) fn open(
        dir: &Path,
        file: &StoredFile,
        columns: Option<&[&str]>,
        rows: usize,
    ) -> Result<Self, FileError> {
        let expected = file.label.map(|label| label.rows);
        guarded(|| {
            let builder = reader_of(listing::open(dir, file)?)?;
            let schema = builder.parquet_schema();
            let mask = columns.map_or_else(ProjectionMask::all, |columns| {
                ProjectionMask::columns(schema, columns.iter().copied())
            });
            let rows = rows.min(fitting(builder.metadata().row_groups()));
            let reader = builder.with_projection(mask).with_batch_size(rows).build()?;
            Ok(Self { reader, expected, found: 0 })
        })
    }

    /// The next rows, or nothing at the end of a file that has as many as it should.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, FileError> {
        let Some(batch) = guarded(|| Ok(self.reader.next().transpose()?))? else {
            let found = self.found;
            return match self.expected.filter(|expected| *expected != found) {
                Some(expected) => Err(FileError::Rows { found, expected }),
                None => Ok(None),
            };
        };
        self.found += batch.num_rows() as u64;
        Ok(Some(batch))
    }
}

/// How many rows of the row group with the widest ones take [`BATCH_BYTES`].
fn fitting(groups: &[RowGroupMetaData]) -> usize {
    let fitting = groups.iter().filter_map(|group| {
        let sizes = [group.num_rows(), group.total_byte_size()];
        let [rows, bytes] = sizes.map(|size| u64::try_from(size).unwrap_or(0));
        usize::try_from(rows.saturating_mul(BATCH_BYTES).checked_div(bytes)?).ok()
    });
    fitting.min().unwrap_or(usize::MAX).max(1)
}

/// Turns a panic into an error.
///
/// The `parquet` crate (59.3) unwraps what a damaged page header lacks. A file is skipped after an
/// error, so nothing that a panic left half-done is used again.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T, FileError>) -> Result<T, FileError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(FileError::Panic))
}

/// Reads a file's metadata, and asks for names as dictionaries.
///
/// Types come from the Parquet schema alone. The Arrow schema that some writers embed is ignored:
/// it tells nothing more, and a damaged one makes the `arrow-ipc` crate (59.3) panic.
pub(crate) fn reader_of(file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, FileError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(&file, options.clone())?;
    let options = options.with_schema(with_dictionaries(metadata.schema()));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)?;
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata))
}

/// The batch with the columns of `schema`: one that it lacks, since an older version wrote it, is
/// filled with what its rows are read as.
pub(crate) fn conformed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, FileError> {
    let known = |field: &&Arc<Field>| schema.field_with_name(field.name()).is_ok();
    if let Some(field) = batch.schema().fields().iter().find(|field| !known(field)) {
        return Err(FileError::Unknown(field.name().clone()));
    }
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) => Ok(Arc::clone(column)),
        None => missing(field.name(), batch.num_rows()),
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// A column of records that say nothing.
fn missing(name: &str, rows: usize) -> Result<ArrayRef, ArrowError> {
    let mut columns = Columns::new();
    columns.append(&[FlowRecord::default()], 0);
    let row = columns.take()?;
    let unknown = || ArrowError::SchemaError(format!("column {name} is missing"));
    let value = row.column_by_name(name).ok_or_else(unknown)?;
    take(value, &UInt32Array::from(vec![0; rows]), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::columns::schema;
    use crate::embedded::decode::Decoder;

    #[test]
    fn a_column_that_an_older_version_lacks_says_nothing() {
        let none = RecordBatch::try_new_with_options(
            Arc::new(arrow::datatypes::Schema::empty()),
            Vec::new(),
            &RecordBatchOptions::new().with_row_count(Some(2)),
        );
        let filled = conformed(&none.unwrap(), &schema()).unwrap();
        assert_eq!(Decoder::new().rows(&filled), Ok(vec![crate::Row::default(); 2]));
    }

    #[test]
    fn a_column_of_a_newer_version_is_not_dropped() {
        let texts: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["x"]));
        let newer = RecordBatch::try_from_iter([("mood", texts)]).unwrap();
        let error = conformed(&newer, &schema()).unwrap_err();
        assert_eq!(error.to_string(), "it has a column mood, which this version does not know");
        assert!(!error.is_damage());
    }

    #[test]
    fn a_disk_that_fails_is_no_damage_of_the_file() {
        let failing = || io::Error::from_raw_os_error(5);
        assert!(!FileError::from(failing()).is_damage());
        let parquet = || ParquetError::from(failing());
        assert!(!FileError::from(parquet()).is_damage());
        assert!(!FileError::from(ArrowError::from(parquet())).is_damage());
        assert!(FileError::from(ParquetError::EOF("torn".to_owned())).is_damage());
        assert!(FileError::from(io::Error::from(io::ErrorKind::UnexpectedEof)).is_damage());
    }
}
