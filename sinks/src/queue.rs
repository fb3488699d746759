//! What waits for one sink, and what became of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use flow::Batch;
use store::Mark;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::DeliveryCounters;
use crate::spool::Reading;

/// Where batches for one sink go in, if they are kept in memory alone.
#[derive(Debug, Clone)]
pub struct Inlet {
    /// Bounded by `room`: how many records a batch has depends on how much is going on.
    batches: UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    /// Records that room is made for at a time.
    largest: u32,
    counters: Arc<DeliveryCounters>,
}

/// No batch has more records.
const LARGEST_BATCH: u32 = 1024;

/// A batch, and the room that its records take.
#[derive(Debug)]
struct Waiting {
    batch: Batch,
    _room: OwnedSemaphorePermit,
}

/// Where they come out again, in order. It outlives the sink: whoever takes the sink's place goes
/// on with the same queue.
#[derive(Debug)]
pub struct Queue {
    name: &'static str,
    source: Source,
    counters: Arc<DeliveryCounters>,
}

#[derive(Debug)]
enum Source {
    Memory {
        batches: UnboundedReceiver<Waiting>,
        /// Taken out by a sink that was replaced before it took the batch.
        returned: Option<Batch>,
    },
    /// A copy of everything is on disk.
    Spool(Box<Reading>),
}

impl Queue {
    /// Makes a queue in memory, of at most `capacity` records, for the sink called `name`.
    pub fn new(
        name: &'static str,
        capacity: usize,
        counters: Arc<DeliveryCounters>,
    ) -> (Inlet, Self) {
        let (sender, batches) = unbounded_channel();
        let room = Arc::new(Semaphore::new(capacity));
        let largest = u32::try_from(capacity).unwrap_or(u32::MAX).min(LARGEST_BATCH);
        let inlet = Inlet { batches: sender, room, largest, counters: Arc::clone(&counters) };
        (inlet, Self { name, source: Source::Memory { batches, returned: None }, counters })
    }

    pub(crate) fn spooled(name: &'static str, reading: Reading) -> Self {
        let counters = Arc::clone(reading.counters());
        Self { name, source: Source::Spool(Box::new(reading)), counters }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What became of the records that were put in.
    pub fn counters(&self) -> &Arc<DeliveryCounters> {
        &self.counters
    }

    /// Returns the next batch, or nothing once the queue is closed and empty.
    ///
    /// # Cancel safety
    ///
    /// No batch is lost by dropping the future.
    pub async fn recv(&mut self) -> Option<Batch> {
        match &mut self.source {
            Source::Memory { batches, returned } => match returned.take() {
                Some(batch) => Some(batch),
                None => batches.recv().await.map(|waiting| waiting.batch),
            },
            Source::Spool(reading) => reading.recv().await,
        }
    }

    /// Whether nothing more is put in.
    pub(crate) fn is_closed(&self) -> bool {
        match &self.source {
            Source::Memory { batches, .. } => batches.is_closed(),
            Source::Spool(reading) => reading.is_closed(),
        }
    }

    /// Whether what is not delivered stays where it is for another process.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.source, Source::Spool(_))
    }

    /// Hands out again, to another sink, what was not acknowledged. Memory has nothing of that but
    /// `batch`, which was handed out last.
    pub(crate) fn put_back(&mut self, batch: Option<Batch>) {
        match &mut self.source {
            Source::Memory { returned, .. } => *returned = batch.or(returned.take()),
            Source::Spool(reading) => reading.rewind(),
        }
    }

    /// The sink has the batch that was handed out last, or has refused it for good.
    pub(crate) fn took(&mut self) {
        if let Source::Spool(reading) = &mut self.source {
            reading.took();
        }
    }

    /// What the sink took is durable, or refused for good.
    pub(crate) fn acknowledge(&self) {
        if let Source::Spool(reading) = &self.source {
            reading.acknowledge();
        }
    }

    /// What was handed out up to `mark` is durable.
    pub(crate) fn acknowledge_to(&self, mark: Mark) {
        if let Source::Spool(reading) = &self.source {
            reading.acknowledge_to(mark);
        }
    }

    /// Where the log stands behind the batch that was handed out last.
    pub(crate) fn mark(&self) -> Option<Mark> {
        match &self.source {
            Source::Memory { .. } => None,
            Source::Spool(reading) => Some(reading.mark()),
        }
    }

    /// Numbers up to `mark` are those of records that were there.
    pub(crate) fn reserve(&mut self, mark: Mark) {
        if let Source::Spool(reading) = &mut self.source {
            reading.reserve(mark);
        }
    }

    /// The sink has everything up to `mark`, whoever gave it.
    pub(crate) fn resume_at(&mut self, mark: Mark) {
        if let Source::Spool(reading) = &mut self.source {
            reading.resume_at(mark);
        }
    }
}

impl Inlet {
    /// Puts `batch` in, or counts its records as dropped if there is no room.
    pub fn send(&self, batch: &Batch) {
        let records = batch.len() as u64;
        self.counters.given.fetch_add(records, Ordering::Relaxed);
        let permits = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(permits);
        let sent = room.is_ok_and(|room| {
            self.batches.send(Waiting { batch: Batch::clone(batch), _room: room }).is_ok()
        });
        if !sent {
            self.counters.queue_full.fetch_add(records, Ordering::Relaxed);
        }
    }

    /// Waits until there is room for a batch, or nobody takes any.
    pub async fn room(&self) {
        // Without a receiver `send` counts what comes.
        tokio::select! {
            _room = self.room.acquire_many(self.largest) => {}
            () = self.batches.closed() => {}
        }
    }

    pub fn counters(&self) -> &Arc<DeliveryCounters> {
        &self.counters
    }
}
