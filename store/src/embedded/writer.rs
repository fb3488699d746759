//! Rows become files.
//!
//! A file's name is chosen before the first attempt to write it, so that an attempt that failed
//! after the rename is repeated onto the same name and never doubles a row.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use flow::FlowRecord;

use super::encode::Draft;
use super::hot::{Hot, lock};
use super::listing::Listing;
use super::maintenance::{Maintenance, MaintenanceOptions};
use super::order::{LARGE_ROWS, by_flow};
use super::waiting::{Sealed, Waiting};
use super::{Mark, columns, directory, layout, mark};
use crate::StoreError;

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
    /// Held for the writer's life; the system releases it when the process dies.
    lock: Arc<File>,
    waiting: Arc<Mutex<Waiting>>,
    /// Behind the rows that are durable.
    stored: Option<Mark>,
    leftovers: u64,
}

impl Writer {
    /// Opens the store in `dir`, or makes one.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::with_options(dir, WriterOptions::default())
    }

    pub fn with_options(dir: &Path, options: WriterOptions) -> Result<Self, StoreError> {
        directory::create(dir)?;
        let held = Arc::new(directory::lock(dir)?);
        directory::ensure(&layout::flows(dir))?;
        let leftovers = directory::clear(&layout::temporary(dir))?;
        let next = Listing::read(dir)?.next_number();
        Ok(Self {
            dir: dir.to_owned(),
            lock: held,
            waiting: Arc::new(Mutex::new(Waiting::new(options, next))),
            stored: mark::settle(dir),
            leftovers,
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    /// Sees the rows that wait, from any thread of this process.
    pub fn hot(&self) -> Hot {
        Hot::new(Arc::clone(&self.waiting))
    }

    /// What looks after the files of this store, from any thread of this process.
    pub fn maintenance(&self, options: MaintenanceOptions) -> Result<Maintenance, StoreError> {
        Maintenance::new(&self.dir, options, Arc::clone(&self.lock))
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
        self.waiting().mark(mark);
    }

    /// How many rows wait for a flush.
    pub fn rows(&self) -> usize {
        self.waiting().rows()
    }

    /// Takes all of `records`, as inserted at `now_ms`, or none of them.
    pub fn append(&mut self, records: &[FlowRecord], now_ms: u64) -> Result<(), StoreError> {
        self.waiting().append(records, now_ms)
    }

    /// Whether there is something that should be flushed now.
    pub fn due(&self, now_ms: u64) -> bool {
        self.waiting().due(now_ms)
    }

    /// Makes all rows durable and visible to readers.
    ///
    /// After an error the rows that are not yet on the disk wait for the next flush.
    pub fn flush(&mut self) -> Result<Flushed, StoreError> {
        self.waiting().seal()?;
        let mut flushed = Flushed::default();
        loop {
            // Not in the condition of the loop, which would hold the lock while the disk works.
            let Some(sealed) = self.waiting().first() else { return Ok(flushed) };
            flushed.bytes += self.write(&sealed)?;
            flushed.files += 1;
            flushed.rows += sealed.label.rows;
            self.stored = sealed.mark.or(self.stored);
            self.waiting().written();
        }
    }

    /// Writes one file; returns its size.
    fn write(&self, sealed: &Sealed) -> Result<u64, StoreError> {
        let flows = layout::flows(&self.dir);
        let (day, hour) = sealed.scope.names();
        let day = flows.join(day);
        let partition = day.join(hour);
        let temporary = layout::temporary(&self.dir);
        for dir in [&flows, &day, &partition, &temporary] {
            directory::ensure(dir)?;
        }
        let name = sealed.label.name();
        let mut draft = Draft::create(temporary.join(&name), &columns::schema())?;
        let batch = &sealed.batch;
        if let Ok(rows) = u32::try_from(batch.num_rows())
            && batch.num_rows() >= LARGE_ROWS
        {
            let column = |index: usize| Ok(Arc::clone(batch.column(index)));
            let order =
                by_flow((0..rows).collect(), |name| column(batch.schema_ref().index_of(name)?))?;
            draft.write_columns(Some(&order), column)?;
        } else {
            draft.write(batch)?;
        }
        let size = draft.finish()?;
        self.announce(sealed, &partition.join(&name))?;
        draft.publish(&partition, &name)?;
        Ok(size)
    }

    /// Notes what the file is going to make true.
    fn announce(&self, sealed: &Sealed, file: &Path) -> Result<(), StoreError> {
        let Some(mark) = sealed.mark else { return Ok(()) };
        let file = file.strip_prefix(&self.dir).unwrap_or(file);
        mark::write(&self.dir, self.stored, mark, file)
    }
}
