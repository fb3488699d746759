//! Those who watch what is handed to the sinks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use flow::Batch;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A bounded queue of its own; gone when dropped.
#[derive(Debug)]
pub struct Subscription {
    batches: Receiver<Batch>,
    missed: Arc<AtomicU64>,
    subscribers: Arc<Subscribers>,
}

#[derive(Debug, Default)]
pub(super) struct Subscribers {
    /// Read for each batch, without a lock.
    all: ArcSwap<Vec<Subscriber>>,
    /// Held by whoever changes `all`.
    changing: Mutex<()>,
}

#[derive(Debug, Clone)]
struct Subscriber {
    batches: Sender<Batch>,
    /// Also tells subscribers apart.
    missed: Arc<AtomicU64>,
}

impl Subscription {
    pub(super) fn new(subscribers: Arc<Subscribers>, capacity: usize) -> Self {
        let (sender, batches) = channel(capacity.max(1));
        let missed = Arc::<AtomicU64>::default();
        let subscriber = Subscriber { batches: sender, missed: Arc::clone(&missed) };
        subscribers.change(|all| all.push(subscriber));
        Self { batches, missed, subscribers }
    }

    /// Returns the next batch, or nothing once the process ends.
    ///
    /// # Cancel safety
    ///
    /// No batch is lost by dropping the future.
    pub async fn recv(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// How many records were left out so far because the queue was full.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.subscribers.change(|all| all.retain(|it| !Arc::ptr_eq(&it.missed, &self.missed)));
    }
}

impl Subscribers {
    pub(super) fn send(&self, batch: &Batch) {
        for subscriber in self.all.load().iter() {
            if subscriber.batches.try_send(Batch::clone(batch)).is_err() {
                subscriber.missed.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Lets every subscription end once its queue is empty.
    pub(super) fn close(&self) {
        self.change(Vec::clear);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.load().len()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Subscriber>)) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all.load().to_vec();
        change(&mut all);
        self.all.store(Arc::new(all));
    }
}
