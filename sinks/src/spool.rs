//! What sinks cannot take now, on disk.
//!
//! ```text
//!            ┌─ the writer's thread ─┐        ┌─▶ queue of `log`   ─▶ sink
//! append ──▶ │ block ─▶ segment file │ ─▶ ────┼─▶ queue of `store` ─▶ sink
//!            └───────────────────────┘        └─▶ …
//! ```
//!
//! One log of all records, in order, shared by all sinks. Every record is in the log before a sink
//! sees it, so that whatever a sink has seen, all sinks see, be there a `kill -9` in between. Each
//! sink has a cursor: the number of the first record that it has not acknowledged. A sink that
//! keeps up gets records from memory; one that does not reads them back from the log, where it
//! goes on after a restart too. Segments that all sinks are done with are removed, and the oldest
//! ones if the log outgrows its limit.
//!
//! Nothing here looks at the time of day. See docs/decisions/0025-spool.md.
mod codec; // records as bytes
mod block; // the unit that is checked, and lost
mod files; // what the directory is made of
mod cursor; // how far a sink has come
mod log; // what there is, and who has come how far
mod place; // one sink's place in the log
mod writer; // the thread that writes
mod reader; // records from a place on
mod reading; // a sink's queue
mod sync; // the thread that makes it durable
mod threads; // what both are watched by

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flow::{Batch, FlowRecord};

use crate::{DeliveryCounters, Queue};

#[doc(hidden)]
pub use block::check_segment;
use log::Log;
pub use log::SpoolCounters;
pub(crate) use reading::Reading;
use writer::Orders;

/// How long the disk may stand still before records are lost rather than kept back.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a spool is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolOptions {
    pub directory: PathBuf,
    /// The size of all segments together, in bytes, beyond which the oldest is dropped.
    pub limit: u64,
    /// After this long a record has survived a power failure. `None` leaves that to the system; a
    /// process that is killed loses nothing either way.
    pub durable_within: Option<Duration>,
}

impl SpoolOptions {
    /// One gibibyte, durable within a second.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let (limit, durable_within) = (1 << 30, Some(Duration::from_secs(1)));
        Self { directory: directory.into(), limit, durable_within }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "another process writes to the spool {}; stop it, or give this one a directory of its own",
        dir.display()
    )]
    Locked { dir: PathBuf },
}

/// A defect of this program: nothing is written any more, and sinks get nothing.
#[derive(Debug, thiserror::Error)]
#[error("its thread {thread:?} panicked")]
pub struct SpoolPanicked {
    pub thread: &'static str,
}

/// A log of records for several sinks. Its clones are the same.
#[derive(Debug, Clone)]
pub struct Spool {
    log: Arc<Log>,
    orders: Orders,
}

impl Spool {
    /// Opens the spool in a directory, or makes one. Looks through the newest segment, and may
    /// take as long as reading 64 MiB takes.
    pub fn open(options: &SpoolOptions) -> Result<Self, SpoolError> {
        let log = Arc::new(Log::open(options)?);
        let orders = writer::start(Arc::clone(&log), options.durable_within).map_err(|source| {
            let path = options.directory.clone();
            SpoolError::Io { action: "start a thread for", path, source }
        })?;
        Ok(Self { log, orders })
    }

    /// Visits every record there is, oldest first. What it cannot read it passes over: sinks count
    /// that when they come to it.
    pub fn visit(&self, mut visit: impl FnMut(&FlowRecord)) -> Result<(), SpoolError> {
        let failed = |source| SpoolError::Io { action: "read", path: self.log.dir.clone(), source };
        let until = self.log.end();
        let mut reader = reader::Reader::uncounted(Arc::clone(&self.log));
        let mut from = self.log.oldest();
        while from < until {
            match reader.read(from, until).map_err(failed)? {
                reader::Read::Records(records) => {
                    records.iter().for_each(&mut visit);
                    from += records.len() as u64;
                }
                reader::Read::Gap { to } => from = to,
            }
        }
        Ok(())
    }

    /// Takes a batch for all sinks. Never waits: what there is no room for is lost to all of them
    /// and counted.
    pub fn append(&self, batch: &Batch) {
        if !self.orders.append(batch) {
            let records = batch.len() as u64;
            for place in self.log.places().iter() {
                place.counters.given.fetch_add(records, Ordering::Relaxed);
                place.counters.queue_full.fetch_add(records, Ordering::Relaxed);
            }
        }
    }

    /// Waits until there is room for a batch.
    pub async fn room(&self) {
        self.orders.room().await;
    }

    /// Lets whoever appends keep pace with the disk: waits for room, but not on a disk that stands
    /// still.
    pub async fn keep_pace(&self) {
        self.orders.room_unless_stuck(PATIENCE).await;
    }

    /// The queue of the sink `name`: what it has not acknowledged yet, and everything from now on.
    pub fn queue(&self, name: &'static str, counters: Arc<DeliveryCounters>) -> Queue {
        Queue::spooled(name, Reading::new(Arc::clone(&self.log), name, counters))
    }

    /// Forgets what is kept for sinks that have no queue: nobody is going to take it.
    pub fn forget_others(&self) {
        self.log.forget_absent();
    }

    /// Gives nothing more to the sink `name`. It is forgotten once its queue is empty or dropped.
    pub fn remove(&self, name: &'static str) {
        self.orders.remove(name);
    }

    /// Gives nothing more to anybody: queues end after what was appended before.
    pub fn close(&self) {
        self.orders.close();
    }

    /// Notes how far sinks have come and makes everything durable; the last that is asked of it.
    pub async fn finish(&self) {
        self.orders.finish().await;
    }

    /// Waits until a thread of the spool panics: from then on all that is appended is lost.
    ///
    /// # Cancel safety
    ///
    /// No panic is lost by dropping the future.
    pub async fn panicked(&self) -> SpoolPanicked {
        SpoolPanicked { thread: self.orders.any_panic().await }
    }

    pub fn counters(&self) -> &SpoolCounters {
        &self.log.counters
    }

    /// The size of all segments, in bytes.
    pub fn bytes(&self) -> u64 {
        self.log.bytes()
    }

    /// How many records there are between the oldest that is kept and the newest.
    pub fn records(&self) -> u64 {
        self.log.end().saturating_sub(self.log.oldest())
    }
}

#[cfg(test)]
mod tests;
