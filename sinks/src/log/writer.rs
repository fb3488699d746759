//! What the thread does that writes the log.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use flow::{Batch, FlowRecord};

use super::backups::Backups;
use super::csv::Rows;
use super::file::{LogError, LogFile};
use super::{Filter, Format, LogCounters, Options, Rotation};
use crate::json::Record;

/// The buffer for a batch is given back beyond this size.
const BUFFER_SIZE: usize = 1 << 20;

/// A log, as the one thread has it that writes at a time.
#[derive(Debug)]
pub(super) struct Writer {
    file: LogFile,
    format: Lines,
    filters: Vec<Filter>,
    rotation: Option<Aside>,
    /// Lines of the batch that is being written, and how much of them has been.
    buffer: Vec<u8>,
    written: usize,
    counters: Arc<LogCounters>,
}

#[derive(Debug)]
enum Lines {
    Rows(Rows),
    Objects,
}

/// Files are put aside.
#[derive(Debug)]
struct Aside {
    rotation: Rotation,
    backups: Backups,
    tidying: Arc<Tidying>,
}

impl Writer {
    pub(super) fn new(options: Options, counters: Arc<LogCounters>) -> Self {
        let Options { path, rotation, format, filters } = options;
        let backups = Backups::of(&path);
        let aside = |rotation| Aside { rotation, backups, tidying: Arc::default() };
        Self {
            file: LogFile::new(path),
            format: match format {
                Format::Csv(csv) => Lines::Rows(Rows::new(&csv)),
                Format::JsonLines => Lines::Objects,
            },
            filters,
            rotation: rotation.map(aside),
            buffer: Vec::new(),
            written: 0,
            counters,
        }
    }

    /// Makes the file if it is not there.
    pub(super) fn open(&mut self) -> Result<(), LogError> {
        self.file.open()
    }

    /// Makes lines of a batch, which wait for [`Self::drain`].
    pub(super) fn take(&mut self, batch: &Batch) {
        for record in batch.iter() {
            if self.filters.is_empty() || self.filters.iter().any(|it| it.matches(record)) {
                self.line(record);
            } else {
                self.counters.filtered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn line(&mut self, record: &FlowRecord) {
        let start = self.buffer.len();
        match &self.format {
            Lines::Rows(rows) => rows.append(record, &mut self.buffer),
            Lines::Objects => match serde_json::to_writer(&mut self.buffer, &Record(record)) {
                Ok(()) => self.buffer.push(b'\n'),
                Err(error) => {
                    self.buffer.truncate(start);
                    self.counters.refused.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(%error, "record cannot be written as JSON and is dropped");
                }
            },
        }
    }

    /// Writes all lines that wait, whole lines at a time. After an error the rest still waits.
    pub(super) fn drain(&mut self, now_ms: u64) -> Result<(), LogError> {
        let drained = self.try_drain(now_ms);
        add(&self.counters.write_failures, drained.is_err().into());
        add(&self.counters.reopened, self.file.reopened());
        drained
    }

    fn try_drain(&mut self, now_ms: u64) -> Result<(), LogError> {
        while let Some(rest) = self.buffer.get(self.written..).filter(|rest| !rest.is_empty()) {
            let max_size = self.rotation.as_ref().map_or(u64::MAX, |it| it.rotation.max_size);
            match (self.file.append(rest, max_size)?, &self.rotation) {
                (0, Some(aside)) => {
                    self.file.put_aside(&aside.backups.name(now_ms))?;
                    self.counters.rotated.fetch_add(1, Ordering::Relaxed);
                    aside.tidy(now_ms, &self.counters);
                }
                (written, _) => self.written += written,
            }
        }
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_SIZE);
        self.written = 0;
        Ok(())
    }

    /// Looks after what an earlier process has put aside.
    pub(super) fn tidy(&self, now_ms: u64) {
        if let Some(aside) = &self.rotation {
            aside.tidy(now_ms, &self.counters);
        }
    }

    pub(super) fn path(&self) -> String {
        self.file.path().display().to_string()
    }
}

impl Filter {
    fn matches(&self, record: &FlowRecord) -> bool {
        let allows = |actions: &[u8], action| actions.is_empty() || actions.contains(&action);
        allows(&self.ingress_actions, record.ingress.action)
            && allows(&self.egress_actions, record.egress.action)
    }
}

/// Keeps a second thread from doing what one does already.
#[derive(Debug, Default)]
struct Tidying {
    running: Mutex<()>,
    asked: AtomicBool,
}

impl Aside {
    /// Compressing takes seconds, for which neither records nor the end of the process wait. What
    /// the end cuts off is done by the next process.
    fn tidy(&self, now_ms: u64, counters: &Arc<LogCounters>) {
        if self.tidying.asked.swap(true, Ordering::AcqRel) {
            return;
        }
        let (tidying, backups) = (Arc::clone(&self.tidying), self.backups.clone());
        let (rotation, counting) = (self.rotation.clone(), Arc::clone(counters));
        let work = move || {
            let _one = tidying.running.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever asks from here on means files that may be missed now.
            tidying.asked.store(false, Ordering::Release);
            match backups.tidy(&rotation, now_ms) {
                Ok(tidied) => {
                    add(&counting.compressed, tidied.compressed);
                    add(&counting.removed, tidied.removed);
                }
                Err(error) => {
                    add(&counting.tidying_failed, 1);
                    tracing::warn!(%error, "files of the flow log that were put aside are as they were");
                }
            }
        };
        let spawned = thread::Builder::new().name("flow-log".to_owned()).spawn(work);
        if let Err(error) = spawned {
            self.tidying.asked.store(false, Ordering::Release);
            add(&counters.tidying_failed, 1);
            tracing::warn!(%error, "files of the flow log that were put aside are as they were");
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
