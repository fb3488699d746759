//! Every batch to every sink, and to whoever watches.
//!
//! Each outlet has a bounded queue of its own. A full queue costs that outlet the newest batch,
//! and the records in it are counted; nobody waits, so that one slow sink never delays another.
//! Only the last records of a process are worth a wait: nothing comes after them.
mod outlets; // the sinks behind the outlets, one after the other
mod subscription; // those who watch
mod metrics; // what became of the records

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use flow::Batch;
use sinks::{DeliveryCounters, Inlet, Queue};
use tokio::time::{Instant, timeout_at};

pub use metrics::SinkMetrics;
pub use outlets::Outlets;
use subscription::Subscribers;
pub use subscription::Subscription;

/// Batches that wait for a sink.
const QUEUE: usize = 512;

/// Hands batches to sinks. Its clones are the same.
#[derive(Debug, Clone, Default)]
pub struct FanOut {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Read for each batch, without a lock.
    outlets: ArcSwap<Vec<Outlet>>,
    /// Held by whoever changes `outlets`.
    changing: Mutex<()>,
    subscribers: Arc<Subscribers>,
}

#[derive(Debug, Clone)]
struct Outlet {
    name: &'static str,
    /// `None` once it is closed: its counters stay.
    inlet: Option<Inlet>,
    counters: Arc<DeliveryCounters>,
}

impl FanOut {
    /// Hands `batch` to all outlets and subscribers. Never waits.
    pub fn send(&self, batch: &Batch) {
        for inlet in self.shared.outlets.load().iter().filter_map(|outlet| outlet.inlet.as_ref()) {
            inlet.send(batch);
        }
        self.shared.subscribers.send(batch);
    }

    /// Waits until every sink has room for a batch, but not beyond `until`.
    pub async fn wait_for_room(&self, until: Instant) {
        let outlets = self.shared.outlets.load_full();
        for inlet in outlets.iter().filter_map(|outlet| outlet.inlet.as_ref()) {
            // A sink without room by then misses what comes, which `send` counts.
            timeout_at(until, inlet.room()).await.unwrap_or_default();
        }
    }

    /// Adds the outlet `name`, in the place of one with this name. Its counters go on.
    pub fn add(&self, name: &'static str) -> Queue {
        let known = self.counters().find(|(known, _)| *known == name);
        let counters = known.map(|(_, counters)| counters).unwrap_or_default();
        let (inlet, queue) = Queue::new(name, QUEUE, Arc::clone(&counters));
        self.change(|outlets| {
            outlets.retain(|outlet| outlet.name != name);
            outlets.push(Outlet { name, inlet: Some(inlet), counters });
        });
        queue
    }

    /// Gives nothing more to the outlet `name`; what waits is still delivered.
    pub fn remove(&self, name: &str) {
        self.change(|outlets| {
            for outlet in outlets.iter_mut().filter(|outlet| outlet.name == name) {
                outlet.inlet = None;
            }
        });
    }

    /// Whether there is an outlet `name` that is given records.
    pub(crate) fn is_open(&self, name: &str) -> bool {
        self.shared.outlets.load().iter().any(|it| it.name == name && it.inlet.is_some())
    }

    /// Gives nothing more to anybody.
    pub fn close(&self) {
        self.change(|outlets| outlets.iter_mut().for_each(|outlet| outlet.inlet = None));
        self.shared.subscribers.close();
    }

    /// Whoever watches gets every batch from now on, through a queue of `capacity` batches of its
    /// own.
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        Subscription::new(Arc::clone(&self.shared.subscribers), capacity)
    }

    /// What became of the records of each outlet there has been.
    pub fn counters(&self) -> impl Iterator<Item = (&'static str, Arc<DeliveryCounters>)> {
        let outlets = self.shared.outlets.load_full();
        let counters = |outlet: &Outlet| (outlet.name, Arc::clone(&outlet.counters));
        outlets.iter().map(counters).collect::<Vec<_>>().into_iter()
    }

    /// Records that sinks have lost since the start. One that two sinks lost counts twice.
    pub fn lost(&self) -> u64 {
        self.counters().map(|(_, counters)| counters.lost()).sum()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Outlet>)) {
        let _changing = self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outlets = self.shared.outlets.load().to_vec();
        change(&mut outlets);
        self.shared.outlets.store(Arc::new(outlets));
    }
}

#[cfg(test)]
mod tests;
