//! The embedded store as a sink.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use config::Chain;
use flow::Batch;
use store::{Hot, Maintenance, MaintenanceCounters, Mark, StoreError, Writer};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{Sink, SinkError};

/// How often files are looked after.
const EVERY_MS: u64 = 10_000;

/// Appends to a store; a flush writes files on a thread that may block. Beside, on another one,
/// files are merged, summed up and dropped.
#[derive(Debug)]
pub struct StoreSink {
    /// Shared with the thread that flushes, which is never two at a time.
    writer: Arc<Mutex<Writer>>,
    /// Behind the batch that is written next.
    approached: Option<Mark>,
    upkeep: Option<Upkeep>,
}

impl StoreSink {
    /// Stores records, and leaves the files to others.
    pub fn new(writer: Writer) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), approached: None, upkeep: None }
    }

    /// Looks after the files as well.
    #[must_use]
    pub fn with_maintenance(mut self, maintenance: Maintenance) -> Self {
        self.upkeep = Some(Upkeep::new(maintenance));
        self
    }

    /// Sees the rows that are not in a file yet.
    pub fn hot(&self) -> Hot {
        self.writer().hot()
    }

    /// What is done beside storing.
    pub fn counters(&self) -> Option<Arc<MaintenanceCounters>> {
        self.upkeep.as_ref().map(|upkeep| Arc::clone(&upkeep.counters))
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
    }
}

impl Sink for StoreSink {
    async fn write(&mut self, batch: &Batch, now_ms: u64) -> Result<(), SinkError> {
        let mut writer = self.writer();
        let appended = writer.append(batch, now_ms);
        if let (Ok(()), Some(mark)) = (&appended, self.approached) {
            writer.mark(mark);
        }
        appended.map_err(|error| match error {
            // A batch that an empty writer has no room for would never fit.
            StoreError::Full { waiting, .. } if waiting > 0 => SinkError::unavailable(error),
            _ => SinkError::Refused { records: batch.len(), source: Box::new(error) },
        })
    }

    fn approach(&mut self, mark: Mark) {
        self.approached = Some(mark);
    }

    fn resumes_at(&self) -> Option<Mark> {
        self.writer().stored()
    }

    fn tick(&mut self, now_ms: u64) {
        if let Some(upkeep) = &mut self.upkeep {
            upkeep.tick(now_ms);
        }
    }

    fn due(&self, now_ms: u64) -> bool {
        self.writer().due(now_ms)
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let writer = Arc::clone(&self.writer);
        let flushed = spawn_blocking(move || lock(&writer).flush()).await;
        let flushed = flushed.map_err(SinkError::unavailable)?;
        flushed.map(drop).map_err(SinkError::unavailable)
    }

    async fn end(&mut self) {
        if let Some(upkeep) = &mut self.upkeep {
            upkeep.end().await;
        }
    }
}

/// A thread at a time that looks after the files of a store.
#[derive(Debug)]
struct Upkeep {
    maintenance: Arc<Mutex<Maintenance>>,
    counters: Arc<MaintenanceCounters>,
    pass: Option<JoinHandle<()>>,
    /// When the last pass began.
    begun_ms: Option<u64>,
    stop: Arc<AtomicBool>,
}

impl Upkeep {
    fn new(maintenance: Maintenance) -> Self {
        let counters = maintenance.counters();
        Self {
            maintenance: Arc::new(Mutex::new(maintenance)),
            counters,
            pass: None,
            begun_ms: None,
            stop: Arc::default(),
        }
    }

    /// Begins a pass, unless one is under way or was short ago. What a pass that panicked has left
    /// half-done, the next one finds as after a crash.
    fn tick(&mut self, now_ms: u64) {
        let is_recent = |begun_ms: u64| now_ms.abs_diff(begun_ms) < EVERY_MS;
        let runs = self.pass.as_ref().is_some_and(|pass| !pass.is_finished());
        if runs || self.begun_ms.is_some_and(is_recent) {
            return;
        }
        self.begun_ms = Some(now_ms);
        let (maintenance, stop) = (Arc::clone(&self.maintenance), Arc::clone(&self.stop));
        let counters = Arc::clone(&self.counters);
        self.pass = Some(spawn_blocking(move || {
            let mut maintenance = maintenance.lock().unwrap_or_else(PoisonError::into_inner);
            match catch_unwind(AssertUnwindSafe(|| maintenance.pass(now_ms, &stop))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let error = Chain(&error);
                    tracing::warn!(%error, "files of the store wait for the next pass");
                }
                Err(_panic) => {
                    counters.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!("looking after the files of the store panicked");
                }
            }
        }));
    }

    async fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(pass) = self.pass.take() {
            pass.await.unwrap_or_default();
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A flush that panicked leaves the rows it has not written, which the next one writes.
fn lock(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}
