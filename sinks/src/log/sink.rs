//! A sink that writes lines to a file.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flow::Batch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::file::LogError;
use super::writer::Writer;
use super::{Format, Options};
use crate::{Deeds, Sink, SinkError};

/// How long a disk may take. One that hangs costs this log its records, and nobody else anything.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// What a [`LogSink`] has done beside delivering.
#[derive(Debug, Default)]
pub struct LogCounters {
    /// Records that no filter matches.
    pub filtered: AtomicU64,
    /// Records that could not be made a line of.
    pub refused: AtomicU64,
    /// Times that the file could not be opened, written to or put aside.
    pub write_failures: AtomicU64,
    /// Times that another file was found at the path, or none: somebody had put it aside.
    pub reopened: AtomicU64,
    /// Files that were put aside, compressed, and thrown away.
    pub rotated: AtomicU64,
    pub compressed: AtomicU64,
    pub removed: AtomicU64,
    /// How often files that were put aside could not be compressed or thrown away.
    pub tidying_failed: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
#[error("the flow log {path} has taken nothing for {WRITE_DEADLINE:?}")]
struct Hung {
    path: String,
}

/// Appends a line per record to a file.
#[derive(Debug)]
pub struct LogSink {
    path: String,
    /// Shared with the thread that writes, which is never two at a time.
    writer: Arc<Mutex<Writer>>,
    /// What has been taken and not handed to that thread, and when.
    held: Option<Batch>,
    now_ms: u64,
    /// The thread, while it writes.
    writing: Option<JoinHandle<Result<(), LogError>>>,
    /// The last thing that was written is not known to be.
    unsure: bool,
    counters: Arc<LogCounters>,
    refused: u64,
    begun: bool,
}

impl LogSink {
    /// The file is opened with the first records.
    pub fn new(options: Options) -> Self {
        let counters = Arc::default();
        let writer = Writer::new(options, Arc::clone(&counters));
        Self {
            path: writer.path(),
            writer: Arc::new(Mutex::new(writer)),
            held: None,
            now_ms: 0,
            writing: None,
            unsure: false,
            counters,
            refused: 0,
            begun: false,
        }
    }

    /// JSON lines in one file, which is opened at once.
    pub fn open(path: &Path) -> Result<Self, SinkError> {
        let format = Format::JsonLines;
        let options =
            Options { path: path.to_owned(), rotation: None, format, filters: Vec::new() };
        let sink = Self::new(options);
        let opened = sink.writer.lock().unwrap_or_else(PoisonError::into_inner).open();
        opened.map_err(SinkError::unavailable)?;
        Ok(sink)
    }

    /// What has been done so far.
    pub fn counters(&self) -> Arc<LogCounters> {
        Arc::clone(&self.counters)
    }

    /// Has the thread write what is held, and what an earlier attempt has left.
    fn begin(&mut self) -> JoinHandle<Result<(), LogError>> {
        let (writer, batch) = (Arc::clone(&self.writer), self.held.take());
        let (now_ms, first) = (self.now_ms, !std::mem::replace(&mut self.begun, true));
        spawn_blocking(move || {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            if first {
                writer.tidy(now_ms);
            }
            if let Some(batch) = batch {
                writer.take(&batch);
            }
            writer.drain(now_ms)
        })
    }
}

impl Sink for LogSink {
    async fn write(&mut self, batch: &Batch, now_ms: u64) -> Result<(), SinkError> {
        // At most one batch is held.
        if self.due(now_ms) {
            self.flush().await?;
        }
        self.now_ms = now_ms;
        self.held = Some(Arc::clone(batch));
        Ok(())
    }

    fn due(&self, _now_ms: u64) -> bool {
        self.held.is_some() || self.unsure
    }

    /// With the system is enough: surviving a power failure is not what a log is for.
    async fn flush(&mut self) -> Result<(), SinkError> {
        self.unsure = true;
        let writing = match self.writing.take() {
            Some(writing) => writing,
            None => self.begin(),
        };
        let done = timeout(WRITE_DEADLINE, self.writing.insert(writing)).await;
        let Ok(done) = done else {
            return Err(SinkError::unavailable(Hung { path: self.path.clone() }));
        };
        self.writing = None;
        done.map_err(SinkError::unavailable)?.map_err(SinkError::unavailable)?;
        self.unsure = false;
        Ok(())
    }

    fn deeds(&self) -> Option<Deeds> {
        Some(Deeds::Log(self.counters()))
    }

    fn let_go(&mut self) -> u64 {
        let refused = self.counters.refused.load(Ordering::Relaxed);
        refused - std::mem::replace(&mut self.refused, refused)
    }
}
