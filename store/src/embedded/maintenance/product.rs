//! Several files become one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::sort_to_indices;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::RowGroupMetaData;

use super::plan::Task;
use crate::StoreError;
use crate::embedded::batches::{Batches, FileError, conformed, guarded};
use crate::embedded::columns::schema;
use crate::embedded::directory;
use crate::embedded::encode::Draft;
use crate::embedded::layout::{self, Tier};
use crate::embedded::listing;
use crate::embedded::names::{Label, StoredFile};
use crate::embedded::order::{LARGE_ROWS, by_flow};
use crate::embedded::sums::{Sums, end_column, source_batch, source_columns, span, sums_schema};
use crate::embedded::unite::united;

/// So many rows are put in order at a time, and are a row group: about 80 MB.
const GROUP_ROWS: usize = 131_072;
/// Fewer if they take more, as those of who makes names up may.
const GROUP_BYTES: usize = 256 << 20;
/// So many are read at a time.
const BATCH_ROWS: usize = 16_384;

/// Why nothing was made.
#[derive(Debug)]
pub(super) enum Failure {
    Stopped,
    Store(StoreError),
    Input { file: Box<StoredFile>, error: FileError },
}

/// What is at fault: what was read, or what is made of it.
#[derive(Debug)]
enum Fault {
    Input(FileError),
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<FileError> for Fault {
    fn from(error: FileError) -> Self {
        Self::Input(error)
    }
}

/// Makes what the task says; it is durable and has its name afterwards.
pub(super) fn make(dir: &Path, task: &Task, stop: &AtomicBool) -> Result<(), Failure> {
    let labels = task.inputs.iter().filter_map(|file| file.label);
    let Some(label) = labels.reduce(Label::and) else { return Ok(()) };
    let temporary = layout::temporary(dir);
    directory::ensure(&temporary)?;
    let aside = temporary.join(format!("{}-{}", task.tier.name(), label.name()));
    let schema = if task.tier == Tier::Raw { schema() } else { sums_schema() };
    let mut draft = Draft::create(aside, &schema)?;
    let label = if task.tier == Tier::Raw {
        merge(dir, task, stop, &mut draft)?;
        label
    } else {
        let (rows, ends) = sum_up(dir, task, stop, &mut draft)?;
        Label { rows, ends: ends.unwrap_or(label.ends), ..label }
    };
    draft.finish()?;
    let (partition, name) = place(dir, task, &label)?;
    Ok(draft.publish(&partition, &name)?)
}

/// The directory and the name of the result.
fn place(dir: &Path, task: &Task, label: &Label) -> Result<(PathBuf, String), StoreError> {
    let (day, hour) = task.scope.names();
    let root = task.tier.directory(dir);
    let day = root.join(day);
    let mut needed = vec![dir.join("tiers"), root, day.clone()];
    let name = label.name();
    let placed = match task.tier {
        Tier::Raw => {
            needed.remove(0);
            needed.push(day.join(hour));
            (needed[2].clone(), name)
        }
        _ if task.scope.is_day() => (day, name),
        _ => (day, format!("{hour}_{name}")),
    };
    needed.iter().try_for_each(|dir| directory::ensure(dir))?;
    Ok(placed)
}

/// Calls `each` with all rows of a file.
fn read(
    dir: &Path,
    file: &StoredFile,
    stop: &AtomicBool,
    columns: Option<&[&str]>,
    mut each: impl FnMut(RecordBatch) -> Result<(), Fault>,
) -> Result<(), Failure> {
    let failed = |error| Failure::Input { file: Box::new(file.clone()), error };
    let mut batches = Batches::open(dir, file, columns, BATCH_ROWS).map_err(failed)?;
    while let Some(batch) = batches.next().map_err(failed)? {
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Stopped);
        }
        each(batch).map_err(|fault| match fault {
            Fault::Input(error) => failed(error),
            Fault::Store(error) => error.into(),
        })?;
    }
    Ok(())
}

/// Records: large row groups as they are, and small ones together.
fn merge(dir: &Path, task: &Task, stop: &AtomicBool, draft: &mut Draft) -> Result<(), Failure> {
    let (mut held, mut rows, mut bytes) = (Vec::new(), 0, 0);
    for file in &task.inputs {
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Stopped);
        }
        let copied = copy(dir, file, draft);
        if copied.map_err(|error| Failure::Input { file: Box::new(file.clone()), error })? {
            continue;
        }
        read(dir, file, stop, None, |batch| {
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            held.push(conformed(&batch, &schema())?);
            if rows >= GROUP_ROWS || bytes >= GROUP_BYTES {
                bytes = 0;
                write(draft, &std::mem::take(&mut held), std::mem::take(&mut rows))?;
            }
            Ok(())
        })?;
    }
    Ok(write(draft, &held, rows)?)
}

/// Copies the row groups of a file if they are large and have all columns: to decode them would
/// gain nothing. Returns whether they are.
fn copy(dir: &Path, file: &StoredFile, draft: &mut Draft) -> Result<bool, FileError> {
    let source = listing::open(dir, file)?;
    let metadata = guarded(|| {
        // What encodings there are is written on, which the usual short form is not.
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_encoding_stats_as_mask(false);
        Ok(Arc::clone(ArrowReaderMetadata::load(&source, options)?.metadata()))
    })?;
    let is_large = |group: &RowGroupMetaData| {
        usize::try_from(group.num_rows()).is_ok_and(|rows| rows >= LARGE_ROWS)
    };
    let schema = metadata.file_metadata().schema_descr();
    let found = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    if schema.columns() != draft.columns().columns() || !metadata.row_groups().iter().all(is_large)
    {
        return Ok(false);
    }
    if let Some(expected) = file.label.map(|label| label.rows).filter(|rows| *rows != found) {
        return Err(FileError::Rows { found, expected });
    }
    for group in metadata.row_groups() {
        draft.copy(group, &source)?;
    }
    Ok(true)
}

/// A row group of what several batches have: by the ends of flows, and within a page by flow.
fn write(draft: &mut Draft, batches: &[RecordBatch], rows: usize) -> Result<(), StoreError> {
    if rows == 0 {
        return Ok(());
    }
    let column = |name: &str| united(batches, schema().index_of(name)?);
    let by_end = sort_to_indices(&column(end_column())?, None, None)?;
    let order = by_flow(by_end.values().to_vec(), column)?;
    draft.write_columns(Some(&order), |index| united(batches, index))
}

/// Returns how many rows there are, and when their first bucket begins and their last flow ended.
fn sum_up(
    dir: &Path,
    task: &Task,
    stop: &AtomicBool,
    draft: &mut Draft,
) -> Result<(u64, Option<(u64, u64)>), Failure> {
    let source = task.source();
    let mut sums = Sums::new(task.tier.step_ms().unwrap_or(1));
    let (mut rows, mut ends): (u64, Option<(u64, u64)>) = (0, None);
    let mut write = |sums: &mut Sums| -> Result<(), StoreError> {
        let batch = sums.take()?;
        rows += batch.num_rows() as u64;
        ends = match (ends, span(&batch)) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        draft.write(&batch)
    };
    let columns = source_columns(source);
    let mut each = |batch: RecordBatch| {
        sums.add(source, &source_batch(source, &batch)?)?;
        if sums.is_full() {
            // What follows makes further rows of the same keys, which is allowed.
            write(&mut sums)?;
        }
        Ok(())
    };
    for file in &task.inputs {
        read(dir, file, stop, columns.as_deref(), &mut each)?;
    }
    write(&mut sums)?;
    Ok((rows, ends))
}
