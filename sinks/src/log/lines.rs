//! JSON lines in a file.
//!
//! A batch is one write. When that fails half-way, because the disk is full, the file is cut back
//! to where the batch began, so that repeating it neither leaves a torn line nor doubles records.
//! Before each batch the path is compared with the open file: a file that was renamed (log
//! rotation) or removed is opened anew instead of being written to out of sight.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flow::{Batch, FlowRecord};
use tokio::task::spawn_blocking;

use crate::json::Record;
use crate::{Sink, SinkError};

/// The buffer for a batch is given back beyond this size.
const BUFFER_SIZE: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the flow log {}", path.display())]
struct LogError {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Appends one JSON object per record to a file, which it makes with mode 0600.
#[derive(Debug)]
pub struct LogSink {
    /// Shared with the thread that writes, which is never two at a time.
    log: Arc<Mutex<Log>>,
}

impl LogSink {
    pub fn open(path: &Path) -> Result<Self, SinkError> {
        let mut log = Log { path: path.to_owned(), file: None, buffer: Vec::new(), torn: false };
        log.file = Some(log.file().map_err(SinkError::unavailable)?);
        Ok(Self { log: Arc::new(Mutex::new(log)) })
    }
}

impl Sink for LogSink {
    async fn write(&mut self, batch: &Batch, _now_ms: u64) -> Result<(), SinkError> {
        let (log, batch) = (Arc::clone(&self.log), Arc::clone(batch));
        let write = move || log.lock().unwrap_or_else(PoisonError::into_inner).write(&batch);
        spawn_blocking(write).await.map_err(SinkError::unavailable)?
    }

    /// Each batch is with the system when `write` returns; surviving a power failure is not what
    /// a log is for.
    fn due(&self, _now_ms: u64) -> bool {
        true
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
    /// A failed write could not be undone: the file may end in the middle of a line.
    torn: bool,
}

impl Log {
    fn write(&mut self, records: &[FlowRecord]) -> Result<(), SinkError> {
        self.encode(records)?;
        let result = self.append().map_err(SinkError::unavailable);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_SIZE);
        result
    }

    fn encode(&mut self, records: &[FlowRecord]) -> Result<(), SinkError> {
        self.buffer.clear();
        if self.torn {
            self.buffer.push(b'\n');
        }
        for record in records {
            serde_json::to_writer(&mut self.buffer, &Record(record)).map_err(|source| {
                SinkError::Refused { records: records.len(), source: Box::new(source) }
            })?;
            self.buffer.push(b'\n');
        }
        Ok(())
    }

    fn append(&mut self) -> Result<(), LogError> {
        let mut file = self.file()?;
        let length = file.metadata().map_err(|source| self.error("inspect", source))?.len();
        if let Err(source) = file.write_all(&self.buffer) {
            // A pipe or a device cannot be cut back.
            self.torn |= file.set_len(length).is_err();
            return Err(self.error("write to", source));
        }
        self.torn = false;
        self.file = Some(file);
        Ok(())
    }

    /// Takes out the open file, or opens the one that is now at the path.
    fn file(&mut self) -> Result<File, LogError> {
        if let Some(file) = self.file.take()
            && let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(&self.path))
            && is_same(&open, &named)
        {
            return Ok(file);
        }
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(|source| self.error("open", source))
    }

    fn error(&self, action: &'static str, source: io::Error) -> LogError {
        LogError { action, path: self.path.clone(), source }
    }
}

fn is_same(open: &Metadata, named: &Metadata) -> bool {
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}
