//! Batches of rows that match, file by file.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use hashbrown::HashSet;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;

use super::cells::{WrongType, numbers};
use super::filter::Filter;
use super::numeric::NumberTest;
use super::page::Best;
use super::progress::Control;
use super::prune;
use super::source::Source;
use crate::embedded::columns::with_dictionaries;
use crate::embedded::names::StoredFile;
use crate::embedded::{RECORDS, TIME_BUCKET, Tier};
use crate::query::{AskError, Column, Predicate, Query, Range};

/// So many rows are decoded at a time.
pub(super) const BATCH_ROWS: usize = 8192;

/// Why a file's rows, or all, are not looked at any further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// Costs the rest of this file.
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Column(#[from] WrongType),
    #[error("the file has {rows} rows, which is not what its name says")]
    Length { rows: i64 },
    #[error("the file made the Parquet decoder panic")]
    Panic,
    /// Costs the whole answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// What takes in the rows that match.
pub(super) trait Sink {
    /// Whether it still wants rows whose flows ended between these times, both included.
    fn wants(&self, ends: (u64, u64)) -> bool;
    fn take(&mut self, batch: &RecordBatch) -> Result<(), Halt>;
    /// What it holds, in bytes.
    fn bytes(&self) -> usize;
    /// Rows that were looked at do not come, because their file cannot be read any further.
    fn lost(&mut self) {}
}

/// What decides about a row: the times that are asked for, the filter, and the best so far.
#[derive(Debug)]
pub(super) struct Conditions {
    ends: NumberTest,
    inserted: Option<NumberTest>,
    filter: Filter,
    pub best: Option<Best>,
}

impl Conditions {
    fn times(&self) -> impl Iterator<Item = &NumberTest> {
        [&self.ends].into_iter().chain(&self.inserted)
    }

    fn evaluate(&mut self, batch: &RecordBatch, covered: bool) -> Result<BooleanBuffer, WrongType> {
        let rows = batch.num_rows();
        let mut holds = self.filter.evaluate(batch)?;
        if !covered {
            for test in self.times() {
                let numbers = numbers(batch, test.column)?;
                holds = &holds & &BooleanBuffer::collect_bool(rows, |row| test.holds(numbers[row]));
            }
        }
        if let Some(best) = &mut self.best {
            holds = best.among(batch, &holds)?;
        }
        Ok(holds)
    }
}

fn ended(end: Column, range: Range) -> NumberTest {
    NumberTest::between(end, range.since_ms, range.until_ms - 1)
}

/// One thread's way through the files.
pub(super) struct Scan<'a> {
    control: &'a Control,
    conditions: Arc<Mutex<Conditions>>,
    /// The stored columns that conditions look at, the times aside.
    tested: HashSet<&'static str>,
    /// Those that the rows are wanted with.
    wanted: HashSet<&'static str>,
    newest_first: bool,
    end: Column,
    /// What the sink holds, as told to `control`.
    told: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        query: &Query,
        wanted: HashSet<&'static str>,
        best: Option<Best>,
        control: &'a Control,
    ) -> Option<Self> {
        let end = Column::by_name(Column::END)?;
        let inserted = Column::by_name(crate::TIME_INSERTED)?;
        let ends = ended(end, query.range);
        let inserted = query.as_of_ms.map(|as_of_ms| NumberTest::between(inserted, 0, as_of_ms));
        let filter = Filter::new(&query.filter);
        let mut tested = HashSet::new();
        filter.columns(&mut tested);
        let newest_first = best.as_ref().is_some_and(Best::is_newest_first);
        if best.is_some() {
            tested.extend([Column::END, Column::FLOW_ID]);
        }
        // Of a filter that looks at nothing, and is none, each row has to be tried all the same.
        if tested.is_empty() && query.filter != Predicate::TRUE {
            tested.insert(Column::END);
        }
        let conditions = Arc::new(Mutex::new(Conditions { ends, inserted, filter, best }));
        Some(Self { control, conditions, tested, wanted, newest_first, end, told: 0 })
    }

    /// From now on, of the rows that come, those alone that ended then.
    pub(super) fn within(&self, range: Range) {
        lock(&self.conditions).ends = ended(self.end, range);
    }

    pub(super) fn conditions(&self) -> Arc<Mutex<Conditions>> {
        Arc::clone(&self.conditions)
    }

    /// Rows that are in memory.
    pub(super) fn batch(&mut self, batch: &RecordBatch, sink: &mut impl Sink) -> Result<(), Halt> {
        self.control.add_rows(batch.num_rows() as u64)?;
        for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
            let part = batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start));
            let holds = lock(&self.conditions).evaluate(&part, false)?;
            let fields = part.schema();
            let wanted = fields.fields().iter().enumerate();
            let wanted = wanted.filter(|(_, field)| self.wanted.contains(field.name().as_str()));
            let part = part.project(&wanted.map(|(index, _)| index).collect::<Vec<_>>())?;
            self.hand(&filter_record_batch(&part, &BooleanArray::new(holds, None))?, sink)?;
        }
        Ok(())
    }

    /// The rows of a file.
    pub(super) fn file(
        &mut self,
        file: File,
        stored: &StoredFile,
        sink: &mut impl Sink,
    ) -> Result<(), Halt> {
        let source = Source::new(file, self.control.progress.clone())?;
        let file = Opened { metadata: guarded(|| load(&source))?, source, tier: stored.tier };
        let rows = file.metadata.metadata().file_metadata().num_rows();
        if stored.label.is_some_and(|label| u64::try_from(rows) != Ok(label.rows)) {
            return Err(Halt::Length { rows });
        }
        let groups = file.metadata.metadata().row_groups();
        let mut order: Vec<(usize, (u64, u64))> = groups
            .iter()
            .map(|group| file.range(group, self.end).unwrap_or((0, u64::MAX)))
            .enumerate()
            .collect();
        if self.newest_first {
            order.sort_by_key(|(_, (_, newest))| std::cmp::Reverse(*newest));
        }
        for (index, ends) in order {
            if !sink.wants(ends) || !self.may_hold(&file, index)? {
                continue;
            }
            self.control.add_rows(u64::try_from(groups[index].num_rows()).unwrap_or(0))?;
            let mut reader = guarded(|| self.open(&file, index))?;
            while let Some(batch) = guarded(|| Ok(reader.next().transpose()?))
                .map_err(|halt| self.stopped().unwrap_or(halt))?
            {
                self.hand(&file.as_records(batch)?, sink)?;
            }
        }
        Ok(())
    }

    fn hand(&mut self, batch: &RecordBatch, sink: &mut impl Sink) -> Result<(), Halt> {
        if batch.num_rows() > 0 {
            sink.take(batch)?;
        }
        let bytes = sink.bytes() + lock(&self.conditions).filter.bytes();
        self.control.hold(&mut self.told, bytes)?;
        Ok(self.control.check()?)
    }

    /// A query that was stopped while a file was decoded says so by an error of the decoder.
    fn stopped(&self) -> Option<Halt> {
        self.control.check().err().map(Halt::Ask)
    }

    fn may_hold(&self, file: &Opened, index: usize) -> Result<bool, Halt> {
        let group = file.metadata.metadata().row_group(index);
        let conditions = lock(&self.conditions);
        let may_be = |test: &NumberTest| {
            file.range(group, test.column).is_none_or(|(least, most)| test.may_hold(least, most))
        };
        if !conditions.times().all(may_be) {
            return Ok(false);
        }
        guarded(|| Ok(prune::may_hold(&conditions.filter, group, &file.source)?))
    }

    /// Reads a row group: what decides about its rows first, and all else of those that match.
    fn open(&self, file: &Opened, index: usize) -> Result<ParquetRecordBatchReader, Halt> {
        let (metadata, source) = (file.metadata.clone(), file.source.clone());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(source, metadata)
            .with_batch_size(BATCH_ROWS)
            .with_row_groups(vec![index]);
        let mask = |columns: &HashSet<&'static str>| {
            let names = columns.iter().map(|column| file.name(column));
            let count = (file.tier != Tier::Raw).then_some(RECORDS);
            ProjectionMask::columns(builder.parquet_schema(), names.chain(count))
        };
        let wanted = mask(&self.wanted);
        let group = file.metadata.metadata().row_group(index);
        let mut tested = self.tested.clone();
        let conditions = self.conditions();
        let is_covered = |test: &NumberTest| {
            file.range(group, test.column).is_some_and(|(least, most)| test.must_hold(least, most))
        };
        let covered = lock(&conditions).times().all(is_covered);
        if !covered {
            tested.extend(lock(&conditions).times().flat_map(|test| test.column.stored()));
        }
        if tested.is_empty() {
            return Ok(builder.with_projection(wanted).build()?);
        }
        let tested = mask(&tested);
        let (progress, tier) = (self.control.progress.clone(), file.tier);
        let predicate = ArrowPredicateFn::new(tested, move |batch: RecordBatch| {
            if progress.is_cancelled() {
                return Err(ArrowError::ComputeError("cancelled".to_owned()));
            }
            let batch = as_records(tier, batch)?;
            let holds = lock(&conditions).evaluate(&batch, covered);
            let holds = holds.map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
            Ok(BooleanArray::new(holds, None))
        });
        let filter = RowFilter::new(vec![Box::new(predicate)]);
        Ok(builder.with_row_filter(filter).with_projection(wanted).build()?)
    }
}

/// A file whose metadata is read.
struct Opened {
    metadata: ArrowReaderMetadata,
    source: Source,
    tier: Tier,
}

impl Opened {
    /// What the file calls a column of records.
    fn name<'a>(&self, column: &'a str) -> &'a str {
        if self.tier != Tier::Raw && column == Column::END { TIME_BUCKET } else { column }
    }

    fn range(&self, group: &RowGroupMetaData, column: Column) -> Option<(u64, u64)> {
        prune::range(group, self.name(column.name()), column.kind())
    }

    fn as_records(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        as_records(self.tier, batch)
    }
}

/// Calls the beginning of a bucket the end of the flows in it, which for whole buckets it is as
/// good as.
fn as_records(tier: Tier, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let Some((index, bucket)) = schema.column_with_name(TIME_BUCKET) else { return Ok(batch) };
    if tier == Tier::Raw {
        return Ok(batch);
    }
    let mut fields = schema.fields().to_vec();
    fields[index] = Arc::new(bucket.clone().with_name(Column::END));
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let (fields, columns) = (Arc::new(Schema::new(fields)), batch.columns().to_vec());
    RecordBatch::try_new_with_options(fields, columns, &rows)
}

/// Whoever panicked with them had not begun to change them.
pub(super) fn lock(conditions: &Mutex<Conditions>) -> MutexGuard<'_, Conditions> {
    conditions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a file's metadata, and asks for text as dictionaries; see `embedded::batches` for why the
/// Arrow schema in it is ignored.
fn load(source: &Source) -> Result<ArrowReaderMetadata, Halt> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(source, options.clone())?;
    let options = options.with_schema(with_dictionaries(metadata.schema()));
    Ok(ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)?)
}

/// Turns a panic of the decoder, which unwraps what a damaged page lacks, into an error.
fn guarded<T>(read: impl FnOnce() -> Result<T, Halt>) -> Result<T, Halt> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(Halt::Panic))
}
