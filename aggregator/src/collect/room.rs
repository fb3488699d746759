//! How many records there may be between the sessions and correlation, and how much memory for
//! their names.

use std::net::IpAddr;
use std::sync::Arc;

use flow::{FlowRecord, NameRoom, Plan};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Reported;

/// Bytes of names that sessions share among their records, over all sessions of either protocol:
/// for four million names of Kubernetes at least.
const NAMES: usize = 512 << 20;

/// The room that all sessions share, and the queue behind it.
#[derive(Debug, Clone)]
pub struct Room {
    records: Arc<Semaphore>,
    limit: usize,
    queue: mpsc::Sender<Reported>,
    names: Arc<NameRoom>,
}

/// Room for the records of one message, and a place in the queue.
#[derive(Debug)]
pub(super) struct Reserved<'a> {
    records: OwnedSemaphorePermit,
    place: mpsc::Permit<'a, Reported>,
}

impl Room {
    /// Makes room for `limit` records, from which they go to `queue`.
    pub fn new(limit: usize, queue: mpsc::Sender<Reported>) -> Self {
        let names = Arc::new(NameRoom::new(NAMES));
        Self { records: Arc::new(Semaphore::new(limit)), limit, queue, names }
    }

    /// Memory for the names of one session.
    pub(super) fn names(&self) -> Arc<NameRoom> {
        Arc::clone(&self.names)
    }

    /// Waits until what a message of `length` bytes may tell can be passed on. Returns nothing if
    /// there is nobody left to take it.
    pub(super) async fn reserve(&self, length: usize) -> Option<Reserved<'_>> {
        // In this order: whoever holds a place in the queue waits for nothing.
        let records = self.records(self.most(length)).await?;
        let place = self.place().await?;
        Some(Reserved { records, place })
    }

    /// Waits until there is room for `count` records, no more than [`Self::most`]. Whoever holds
    /// such room and waits here for more waits for itself.
    pub(super) async fn records(&self, count: usize) -> Option<OwnedSemaphorePermit> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Arc::clone(&self.records).acquire_many_owned(count).await.ok()
    }

    /// As [`Self::records`], if there is room now.
    pub(super) fn records_now(&self, count: usize) -> Option<OwnedSemaphorePermit> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Arc::clone(&self.records).try_acquire_many_owned(count).ok()
    }

    /// Waits for a place in the queue.
    pub(super) async fn place(&self) -> Option<mpsc::Permit<'_, Reported>> {
        self.queue.reserve().await.ok()
    }

    /// How many records a message of `length` bytes may tell, as far as there is ever room.
    pub(super) fn most(&self, length: usize) -> usize {
        (length / Plan::SHORTEST_FLOW).clamp(1, self.limit)
    }
}

#[cfg(test)]
impl Room {
    /// Passes on what some message told.
    pub(crate) async fn pass(&self, peer: IpAddr, domain: u32, records: Vec<FlowRecord>) {
        let reserved = self.reserve(records.len() * Plan::SHORTEST_FLOW).await;
        reserved.expect("somebody takes it").fill(peer, domain, records);
    }
}

impl Reserved<'_> {
    /// Passes records on, and gives back what they do not need.
    pub(super) fn fill(self, peer: IpAddr, domain: u32, records: Vec<FlowRecord>) {
        if records.is_empty() {
            return;
        }
        let Self { records: mut reserved, place } = self;
        let room = reserved.split(records.len()).unwrap_or(reserved);
        place.send(Reported { peer, domain, records, _room: room });
    }
}
