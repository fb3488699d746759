//! A store that is read from any process, beside its writer: all of it, row by row.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use flow::{Correlation, FlowKey, FlowRecord, FlowType};

use super::batches::{Batches, FileError, guarded};
use super::columns::TIME_INSERTED;
use super::decode::{Decoder, columns_changed_by};
use super::layout::{self, Scope, Tier, Window};
use super::listing::Listing;
use super::names::StoredFile;
use crate::{Flow, Flows, Row, StoreError};

/// So many rows are decoded at a time.
const BATCH_ROWS: usize = 1024;

/// Reads a store, from any process, beside its writer.
#[derive(Debug, Clone)]
pub struct Reader {
    dir: PathBuf,
    /// These alone, if they are no store's.
    files: Option<Vec<StoredFile>>,
}

/// What a question has cost, and what it could not see. Where several tiers answer it, files are
/// counted for each.
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

impl Scan {
    fn skip(&mut self, path: &Path, error: &FileError) {
        self.skipped += 1;
        self.first_skipped
            .get_or_insert_with(|| Skipped { path: path.to_owned(), reason: error.to_string() });
    }
}

impl Reader {
    /// Opens the store in `dir`, which must exist.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        if !layout::flows(dir).is_dir() {
            return Err(StoreError::Missing { dir: dir.to_owned() });
        }
        Ok(Self { dir: dir.to_owned(), files: None })
    }

    /// Reads Parquet files of records that lie anywhere, such as those that S3 was given.
    pub fn of_files(paths: &[PathBuf]) -> Self {
        let scope = Scope { start_ms: 0, end_ms: u64::MAX };
        let file =
            |path: &PathBuf| StoredFile { path: path.clone(), tier: Tier::Raw, scope, label: None };
        let files = Some(paths.iter().map(file).collect());
        Self { dir: PathBuf::new(), files }
    }

    pub(crate) fn listing(&self) -> Result<Listing, StoreError> {
        match &self.files {
            Some(files) => Ok(Listing::of(files.clone())),
            None => Listing::read(&self.dir),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Visits every row, file by file, oldest first. What can be said of rows beforehand is
    /// better asked: [`Self::ask`], [`Self::stream`].
    pub fn rows(&self, visit: impl FnMut(Row)) -> Result<Scan, StoreError> {
        self.visit(Window::default(), None, visit)
    }

    /// All flows, newest first, put together from every row.
    pub fn flows(&self) -> Result<(Vec<Flow>, Scan), StoreError> {
        let mut flows = Flows::default();
        let scan = self.rows(|row| flows.add(row))?;
        Ok((flows.newest_first(), scan))
    }

    /// Visits how far each flow with a record since a time has been told: records that have
    /// nothing but flow id, key, translation, and what tells each Node's connection and totals.
    ///
    /// Totals count from a connection's beginning, so one record is enough, however old the flow.
    pub fn told(
        &self,
        since_ms: u64,
        mut visit: impl FnMut(&FlowRecord),
    ) -> Result<Scan, StoreError> {
        let mut columns = columns_changed_by(touch_told);
        columns.push(TIME_INSERTED);
        let window = Window { since_ms: Some(since_ms), until_ms: None };
        self.visit(window, Some(&columns), |row| visit(&row.record))
    }

    /// Visits rows inserted in the window. A file that cannot be read costs its own rows only.
    fn visit(
        &self,
        inserted: Window,
        columns: Option<&[&str]>,
        mut visit: impl FnMut(Row),
    ) -> Result<Scan, StoreError> {
        let selection = self.listing()?.serving(Tier::Raw, inserted, Window::default());
        let (pruned, coarser) = (selection.pruned, selection.coarser);
        let mut scan = Scan { pruned, coarser, ..Scan::default() };
        let mut decoder = Decoder::new();
        for file in &selection.files {
            scan.files += 1;
            let mut read = || -> Result<(), FileError> {
                let mut batches = Batches::open(&self.dir, file, columns, BATCH_ROWS)?;
                while let Some(batch) = batches.next()? {
                    let rows = guarded(|| Ok(decoder.rows(&batch)?))?;
                    let rows = rows.into_iter();
                    rows.filter(|row| inserted.contains(row.inserted_ms)).for_each(&mut visit);
                }
                Ok(())
            };
            if let Err(error) = read() {
                scan.skip(&file.path, &error);
            }
        }
        Ok(scan)
    }
}

/// Changes all that [`Reader::told`] promises.
fn touch_told(record: &mut FlowRecord) {
    let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
    record.flow_id = 1;
    record.key = FlowKey {
        source: address,
        destination: address,
        source_port: 1,
        destination_port: 1,
        protocol: 1,
        icmp_type_code: 1,
    };
    record.flow_type = FlowType::FromExternal;
    record.correlation = Correlation::Complete;
    record.proxy_snat_ip = Some(address);
    record.proxy_snat_port = 1;
    let joined = &mut *record.joined;
    for side in [&mut joined.from_source, &mut joined.from_destination] {
        (side.domain, side.flow_id, side.start_ms, side.end_ms) = (1, 1, 1, 1);
        for counters in [&mut side.forward, &mut side.reverse] {
            counters.packets_total = 1;
            counters.octets_total = 1;
        }
    }
}
