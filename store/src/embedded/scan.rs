//! The rows of many files, one batch at a time.
//!
//! A file that cannot be read costs its own rows and nothing else: it is skipped and counted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::error::ArrowError;
use flow::FlowRecord;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ParquetRecordBatchReader, RowFilter,
};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::batches::{FileError, guarded, reader_of};
use super::columns::TIME_INSERTED;
use super::decode::Decoder;
use super::layout::Window;
use super::listing::{self, Selection};
use super::names::StoredFile;
use crate::Row;

/// So many rows are decoded at a time.
const BATCH_ROWS: usize = 1024;

/// What a question has cost, and what it could not see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// Files that were opened.
    pub files: u64,
    /// Files ruled out by their name.
    pub pruned: u64,
    /// Files of sums that tell of older flows, which are there neither as records nor as sums as
    /// fine as the answer's: those are not in it.
    pub coarser: u64,
    /// Files that could not be read to their end; their remaining rows are missing.
    pub skipped: u64,
    pub first_skipped: Option<Skipped>,
}

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: String,
}

/// What is wanted of each file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub window: Window,
    /// The columns of the records that are wanted; `None` for all.
    pub columns: Option<Vec<&'static str>>,
    pub filter: Option<Filter>,
}

/// A condition, and the columns it looks at, which are read first.
#[derive(Clone)]
pub(crate) struct Filter {
    pub columns: Vec<&'static str>,
    pub keep: Arc<dyn Fn(&FlowRecord) -> bool + Send + Sync>,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// Goes through the files of a listing, oldest first.
#[derive(Debug)]
pub(crate) struct Scanner {
    dir: PathBuf,
    request: Request,
    files: vec::IntoIter<StoredFile>,
    current: Option<(PathBuf, ParquetRecordBatchReader)>,
    decoder: Decoder,
    scan: Scan,
}

impl Scanner {
    pub(crate) fn new(dir: &Path, selection: Selection, request: Request) -> Self {
        Self {
            dir: dir.to_owned(),
            request,
            files: selection.files.into_iter(),
            current: None,
            decoder: Decoder::new(),
            scan: Scan { pruned: selection.pruned, coarser: selection.coarser, ..Scan::default() },
        }
    }

    pub(crate) fn report(&self) -> &Scan {
        &self.scan
    }

    pub(crate) fn into_report(self) -> Scan {
        self.scan
    }

    fn skip(&mut self, path: &Path, error: &FileError) {
        self.scan.skipped += 1;
        self.scan
            .first_skipped
            .get_or_insert_with(|| Skipped { path: path.to_owned(), reason: error.to_string() });
    }

    fn open_next(&mut self) -> Option<()> {
        let file = self.files.next()?;
        self.scan.files += 1;
        match guarded(|| self.request.open(&self.dir, &file)) {
            Ok(reader) => self.current = Some((file.path, reader)),
            Err(error) => self.skip(&file.path, &error),
        }
        Some(())
    }
}

impl Iterator for Scanner {
    type Item = Vec<Row>;

    fn next(&mut self) -> Option<Vec<Row>> {
        loop {
            let Some((path, mut reader)) = self.current.take() else {
                self.open_next()?;
                continue;
            };
            match guarded(|| next_rows(&mut reader, &mut self.decoder)) {
                Ok(Some(rows)) => {
                    self.current = Some((path, reader));
                    return Some(rows);
                }
                Ok(None) => {}
                Err(error) => self.skip(&path, &error),
            }
        }
    }
}

fn next_rows(
    reader: &mut ParquetRecordBatchReader,
    decoder: &mut Decoder,
) -> Result<Option<Vec<Row>>, FileError> {
    match reader.next() {
        Some(batch) => Ok(Some(decoder.rows(&batch?)?)),
        None => Ok(None),
    }
}

impl Request {
    fn open(&self, dir: &Path, file: &StoredFile) -> Result<ParquetRecordBatchReader, FileError> {
        let builder = reader_of(listing::open(dir, file)?)?;
        let mask = |columns: &[&'static str]| {
            let columns = columns.iter().copied().chain([TIME_INSERTED]);
            ProjectionMask::columns(builder.parquet_schema(), columns)
        };
        let mut predicates: Vec<Box<dyn ArrowPredicate>> = Vec::new();
        if !self.covers(file) {
            let window = self.window;
            let keep = move |row: &Row| window.contains(row.inserted_ms);
            predicates.push(Box::new(ArrowPredicateFn::new(mask(&[]), predicate(keep))));
        }
        if let Some(Filter { columns, keep }) = self.filter.clone() {
            let keep = move |row: &Row| keep(&row.record);
            predicates.push(Box::new(ArrowPredicateFn::new(mask(&columns), predicate(keep))));
        }
        let projection = self.columns.as_deref().map_or_else(ProjectionMask::all, mask);
        let groups = self.row_groups(builder.metadata().row_groups());
        let reader = builder
            .with_batch_size(BATCH_ROWS)
            .with_row_groups(groups)
            .with_row_filter(RowFilter::new(predicates))
            .with_projection(projection);
        Ok(reader.build()?)
    }

    /// Whether every row of the file lies in the window.
    fn covers(&self, file: &StoredFile) -> bool {
        let (oldest, newest) = file.inserted();
        self.window.contains(oldest) && self.window.contains(newest)
    }

    /// The row groups that may hold rows of the window.
    fn row_groups(&self, groups: &[RowGroupMetaData]) -> Vec<usize> {
        let wanted = |group: &RowGroupMetaData| {
            inserted_range(group).is_none_or(|inserted| self.window.overlaps(inserted))
        };
        groups
            .iter()
            .enumerate()
            .filter(|(_, group)| wanted(group))
            .map(|(index, _)| index)
            .collect()
    }
}

/// When the rows of a group were inserted, if its statistics tell.
fn inserted_range(group: &RowGroupMetaData) -> Option<(u64, u64)> {
    let column =
        group.columns().iter().find(|column| column.column_path().string() == TIME_INSERTED)?;
    let Some(Statistics::Int64(times)) = column.statistics() else { return None };
    Some((u64::try_from(*times.min_opt()?).ok()?, u64::try_from(*times.max_opt()?).ok()?))
}

fn predicate(
    keep: impl Fn(&Row) -> bool + Send + 'static,
) -> impl FnMut(RecordBatch) -> Result<BooleanArray, ArrowError> + Send {
    let mut decoder = Decoder::new();
    move |batch| {
        let rows =
            decoder.rows(&batch).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        Ok(rows.iter().map(|row| Some(keep(row))).collect::<BooleanArray>())
    }
}
