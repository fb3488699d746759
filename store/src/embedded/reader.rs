//! Questions get answers.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow::{Correlation, FlowKey, FlowRecord, FlowType};
use hashbrown::{HashMap, HashSet};

use super::decode::columns_changed_by;
use super::layout::{self, Scope, Tier, Window};
use super::listing::{Listing, Selection};
use super::merge::{Flow, Flows};
use super::names::StoredFile;
use super::scan::{Filter, Request, Scanner};
use super::{Query, Scan};
use crate::{Row, StoreError};

/// So many distinct flows are held for one answer, unless the reader is told otherwise.
pub const MAX_FLOWS: usize = 5_000_000;

/// Reads a store, from any process, beside its writer.
#[derive(Debug, Clone)]
pub struct Reader {
    dir: PathBuf,
    /// These alone, if they are no store's.
    files: Option<Vec<StoredFile>>,
    max_flows: usize,
}

impl Reader {
    /// Opens the store in `dir`, which must exist.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        if !layout::flows(dir).is_dir() {
            return Err(StoreError::Missing { dir: dir.to_owned() });
        }
        Ok(Self { dir: dir.to_owned(), files: None, max_flows: MAX_FLOWS })
    }

    /// Reads Parquet files of records that lie anywhere, such as those that S3 was given.
    pub fn of_files(paths: &[PathBuf]) -> Self {
        let scope = Scope { start_ms: 0, end_ms: u64::MAX };
        let file =
            |path: &PathBuf| StoredFile { path: path.clone(), tier: Tier::Raw, scope, label: None };
        let files = Some(paths.iter().map(file).collect());
        Self { dir: PathBuf::new(), files, max_flows: MAX_FLOWS }
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

    /// Answers that need more distinct flows than `limit` become [`StoreError::TooManyFlows`].
    #[must_use]
    pub fn with_flow_limit(mut self, limit: usize) -> Self {
        self.max_flows = limit;
        self
    }

    /// The records that match, oldest first, a batch at a time.
    pub fn records(&self, query: &Query) -> Result<Records, StoreError> {
        let selection = self.select(query.window())?;
        let request = Request { window: query.window(), columns: None, filter: filter_of(query) };
        let left = query.limit.unwrap_or(usize::MAX);
        Ok(Records { scanner: Scanner::new(&self.dir, selection, request), left })
    }

    /// The flows that match, put together from their records, newest first.
    ///
    /// A flow matches if any of its records in the time asked for does, and is then put together
    /// from all of them: what a record lacks, such as a Pod not yet known, does not make its
    /// deltas missing. Therefore the files are read twice, first the ids and then the flows that
    /// will be returned.
    pub fn flows(&self, query: &Query) -> Result<Flows, StoreError> {
        let selection = self.select(query.window())?;
        let mut newest = self.newest_ends(selection.clone(), query)?;
        let matched = newest.len();
        if let Some(limit) = query.limit {
            newest.sort_unstable_by_key(|&(id, end_ms)| Reverse((end_ms, id)));
            newest.truncate(limit);
        }
        let ids: HashSet<u64> = newest.into_iter().map(|(id, _)| id).collect();
        let request = Request {
            window: query.window(),
            columns: None,
            filter: Some(Filter {
                columns: columns_changed_by(|record| record.flow_id = 1),
                keep: Arc::new(move |record| ids.contains(&record.flow_id)),
            }),
        };
        let (mut flows, scan) = merge(Scanner::new(&self.dir, selection, request));
        flows.sort_unstable_by_key(|flow| Reverse((flow.record.end_ms, flow.record.flow_id)));
        Ok(Flows { flows, matched, scan })
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
        let window = Window { since_ms: Some(since_ms), until_ms: None };
        let columns = Some(columns_changed_by(touch_told));
        let request = Request { window, columns, filter: None };
        let mut scanner = Scanner::new(&self.dir, self.select(window)?, request);
        scanner.by_ref().flatten().for_each(|row| visit(&row.record));
        Ok(scanner.into_report())
    }

    /// The files of records that may have been inserted in the window.
    fn select(&self, inserted: Window) -> Result<Selection, StoreError> {
        Ok(self.listing()?.serving(Tier::Raw, inserted, Window::default()))
    }

    /// The ids of the flows that match, and when each ended, by its records that match.
    fn newest_ends(
        &self,
        selection: Selection,
        query: &Query,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        let columns = Some(columns_changed_by(|record| {
            record.flow_id = 1;
            record.end_ms = 1;
        }));
        let request = Request { window: query.window(), columns, filter: filter_of(query) };
        let mut ends: HashMap<u64, u64> = HashMap::new();
        for Row { record, .. } in Scanner::new(&self.dir, selection, request).flatten() {
            let end_ms = ends.entry(record.flow_id).or_default();
            *end_ms = record.end_ms.max(*end_ms);
            self.check_limit(ends.len())?;
        }
        Ok(ends.into_iter().collect())
    }

    fn check_limit(&self, flows: usize) -> Result<(), StoreError> {
        if flows > self.max_flows {
            return Err(StoreError::TooManyFlows { limit: self.max_flows });
        }
        Ok(())
    }
}

/// The records that match a query.
#[derive(Debug)]
pub struct Records {
    scanner: Scanner,
    /// How many more rows the query's limit allows.
    left: usize,
}

impl Records {
    /// What was read so far.
    pub fn report(&self) -> &Scan {
        self.scanner.report()
    }
}

impl Iterator for Records {
    type Item = Vec<Row>;

    fn next(&mut self) -> Option<Vec<Row>> {
        if self.left == 0 {
            return None;
        }
        let mut rows = self.scanner.next()?;
        rows.truncate(self.left);
        self.left -= rows.len();
        Some(rows)
    }
}

fn merge(mut scanner: Scanner) -> (Vec<Flow>, Scan) {
    let mut flows: HashMap<u64, Flow> = HashMap::new();
    for row in scanner.by_ref().flatten() {
        match flows.get_mut(&row.record.flow_id) {
            Some(flow) => flow.add(row),
            None => drop(flows.insert(row.record.flow_id, Flow::new(row))),
        }
    }
    (flows.into_values().collect(), scanner.into_report())
}

fn filter_of(query: &Query) -> Option<Filter> {
    if !query.is_filtered() {
        return None;
    }
    let columns = columns_changed_by(|record| query.touch(record));
    let query = query.clone();
    Some(Filter { columns, keep: Arc::new(move |record| query.matches(record)) })
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
