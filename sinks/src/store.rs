//! The embedded store as a sink.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow::Batch;
use store::{Mark, StoreError, Writer};
use tokio::task::spawn_blocking;

use crate::{Sink, SinkError};

/// Appends to a store; a flush writes files on a thread that may block.
#[derive(Debug)]
pub struct StoreSink {
    /// Shared with the thread that flushes, which is never two at a time.
    writer: Arc<Mutex<Writer>>,
    /// Behind the batch that is written next.
    approached: Option<Mark>,
}

impl StoreSink {
    pub fn new(writer: Writer) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), approached: None }
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

    fn due(&self, now_ms: u64) -> bool {
        self.writer().due(now_ms)
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let writer = Arc::clone(&self.writer);
        let flushed = spawn_blocking(move || lock(&writer).flush()).await;
        let flushed = flushed.map_err(SinkError::unavailable)?;
        flushed.map(drop).map_err(SinkError::unavailable)
    }
}

/// A flush that panicked leaves the rows it has not written, which the next one writes.
fn lock(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}
