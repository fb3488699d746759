//! Every batch to every sink, and to whoever watches.
//!
//! With a spool, batches go to it, and sinks get them from there. Without, each outlet has a
//! bounded queue of its own. A full queue costs that outlet the newest batch, and the records in it
//! are counted; nobody waits, so that one slow sink never delays another. Only the last records of
//! a process are worth a wait: nothing comes after them.
mod outlets; // the sinks behind the outlets, one after the other
mod subscription; // those who watch
mod ledger; // what sinks have done
mod metrics; // what became of the records

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use flow::Batch;
use sinks::{Deed, Deeds, DeliveryCounters, Inlet, Queue, Spool};
use store::MaintenanceCounters;
use tokio::time::{Instant, timeout_at};

use ledger::Ledger;
pub use metrics::SinkMetrics;
pub use outlets::Outlets;
use subscription::Subscribers;
pub use subscription::Subscription;

/// Records that wait for a sink: 300 MB at worst, were no two sinks to share them.
const QUEUE: usize = if cfg!(test) { 512 } else { 512 * 1024 };

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
    spool: Option<Spool>,
    /// What is done with the files of the embedded store.
    store: OnceLock<Arc<MaintenanceCounters>>,
}

#[derive(Debug, Clone)]
struct Outlet {
    name: &'static str,
    way: Way,
    counters: Arc<DeliveryCounters>,
    ledger: Arc<Ledger>,
}

/// How an outlet gets its records.
#[derive(Debug, Clone)]
enum Way {
    Memory(Inlet),
    Spool,
    /// Not any more: its counters stay.
    Closed,
}

impl Outlet {
    fn inlet(&self) -> Option<&Inlet> {
        if let Way::Memory(inlet) = &self.way { Some(inlet) } else { None }
    }
}

impl FanOut {
    /// Every batch goes to disk before a sink gets it.
    pub fn with_spool(spool: Spool) -> Self {
        Self { shared: Arc::new(Shared { spool: Some(spool), ..Shared::default() }) }
    }

    pub fn spool(&self) -> Option<&Spool> {
        self.shared.spool.as_ref()
    }

    /// Hands `batch` to all outlets and subscribers. Never waits.
    pub fn send(&self, batch: &Batch) {
        if let Some(spool) = self.spool() {
            spool.append(batch);
        } else {
            let outlets = self.shared.outlets.load();
            outlets.iter().filter_map(Outlet::inlet).for_each(|inlet| inlet.send(batch));
        }
        self.shared.subscribers.send(batch);
    }

    /// Waits until every sink has room for a batch, but not beyond `until`.
    pub async fn wait_for_room(&self, until: Instant) {
        if let Some(spool) = self.spool() {
            return timeout_at(until, spool.room()).await.unwrap_or_default();
        }
        let outlets = self.shared.outlets.load_full();
        for inlet in outlets.iter().filter_map(Outlet::inlet) {
            // A sink without room by then misses what comes, which `send` counts.
            timeout_at(until, inlet.room()).await.unwrap_or_default();
        }
    }

    /// Waits while the spool has no room, but not on a disk that stands still. Whoever hands out
    /// records thus takes no more than can be kept; sinks have no part in it.
    pub async fn keep_pace(&self) {
        if let Some(spool) = self.spool() {
            spool.keep_pace().await;
        }
    }

    /// Adds the outlet `name`, in the place of one with this name. Its counters go on.
    pub fn add(&self, name: &'static str) -> Queue {
        let (counters, ledger) = self.known(name).map_or_else(Default::default, |known| {
            (Arc::clone(&known.counters), Arc::clone(&known.ledger))
        });
        let (way, queue) = if let Some(spool) = self.spool() {
            (Way::Spool, spool.queue(name, Arc::clone(&counters)))
        } else {
            let (inlet, queue) = Queue::new(name, QUEUE, Arc::clone(&counters));
            (Way::Memory(inlet), queue)
        };
        self.change(|outlets| {
            outlets.retain(|outlet| outlet.name != name);
            outlets.push(Outlet { name, way, counters, ledger });
        });
        queue
    }

    /// There is an embedded store, whose files are looked after.
    pub(crate) fn keeps(&self, counters: Arc<MaintenanceCounters>) {
        self.shared.store.set(counters).unwrap_or_default();
    }

    /// What is done with the files of the embedded store, if there is one.
    pub(crate) fn store(&self) -> Option<&Arc<MaintenanceCounters>> {
        self.shared.store.get()
    }

    /// From now on a sink that counts there is behind the outlet `name`. What those before it have
    /// done is added.
    pub(crate) fn counts(&self, name: &str, deeds: Deeds) {
        if let Some(outlet) = self.known(name) {
            outlet.ledger.begin(deeds);
        }
    }

    fn known(&self, name: &str) -> Option<Outlet> {
        self.shared.outlets.load().iter().find(|outlet| outlet.name == name).cloned()
    }

    /// Gives nothing more to the outlet `name`; what waits is still delivered.
    pub fn remove(&self, name: &'static str) {
        self.change(|outlets| {
            for outlet in outlets.iter_mut().filter(|outlet| outlet.name == name) {
                outlet.way = Way::Closed;
            }
        });
        if let Some(spool) = self.spool() {
            spool.remove(name);
        }
    }

    /// Whether there is an outlet `name` that is given records.
    pub(crate) fn is_open(&self, name: &str) -> bool {
        self.shared
            .outlets
            .load()
            .iter()
            .any(|it| it.name == name && !matches!(it.way, Way::Closed))
    }

    /// Gives nothing more to anybody.
    pub fn close(&self) {
        self.change(|outlets| outlets.iter_mut().for_each(|outlet| outlet.way = Way::Closed));
        if let Some(spool) = self.spool() {
            spool.close();
        }
        self.shared.subscribers.close();
    }

    /// All sinks have ended: what they did not take is kept, if it can be. Returns how many records
    /// that is, summed over the sinks.
    pub async fn finish(&self) -> u64 {
        let Some(spool) = self.spool() else { return 0 };
        spool.finish().await;
        let mut kept = 0;
        for (sink, counters) in self.counters() {
            let records = counters.waiting();
            if records > 0 {
                tracing::info!(sink, records, "records are kept in the spool");
            }
            kept += records;
        }
        kept
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

    /// What the sinks of each outlet there has been have done beside taking records.
    fn done(&self) -> Vec<(&'static str, BTreeMap<Deed, u64>)> {
        let outlets = self.shared.outlets.load();
        outlets.iter().map(|outlet| (outlet.name, outlet.ledger.done())).collect()
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
