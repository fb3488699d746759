//! What waits for one sink, and what became of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use flow::Batch;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::DeliveryCounters;

/// Where batches for one sink go in.
#[derive(Debug, Clone)]
pub struct Inlet {
    batches: Sender<Batch>,
    counters: Arc<DeliveryCounters>,
}

/// Where they come out again, in order. It outlives the sink: whoever takes the sink's place goes
/// on with the same queue.
#[derive(Debug)]
pub struct Queue {
    name: &'static str,
    batches: Receiver<Batch>,
    /// Taken out by a sink that was replaced before it took the batch.
    returned: Option<Batch>,
    counters: Arc<DeliveryCounters>,
}

impl Queue {
    /// Makes a queue in memory, of at most `capacity` batches, for the sink called `name`.
    pub fn new(
        name: &'static str,
        capacity: usize,
        counters: Arc<DeliveryCounters>,
    ) -> (Inlet, Self) {
        let (sender, batches) = channel(capacity);
        let inlet = Inlet { batches: sender, counters: Arc::clone(&counters) };
        (inlet, Self { name, batches, returned: None, counters })
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
        match self.returned.take() {
            Some(batch) => Some(batch),
            None => self.batches.recv().await,
        }
    }

    /// Puts the batch that was taken out last back to where it was.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        self.returned = Some(batch);
    }

    /// Whether nothing more is put in.
    pub(crate) fn is_closed(&self) -> bool {
        self.batches.is_closed()
    }
}

impl Inlet {
    /// Puts `batch` in, or counts its records as dropped if there is no room.
    pub fn send(&self, batch: &Batch) {
        let records = batch.len() as u64;
        self.counters.given.fetch_add(records, Ordering::Relaxed);
        match self.batches.try_send(Batch::clone(batch)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.counters.queue_full.fetch_add(records, Ordering::Relaxed);
            }
        }
    }

    /// Waits until there is room for a batch, or nobody takes any.
    pub async fn room(&self) {
        // Without a receiver `send` counts what comes.
        drop(self.batches.reserve().await);
    }

    pub fn counters(&self) -> &Arc<DeliveryCounters> {
        &self.counters
    }
}
