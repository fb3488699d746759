//! The newest flows, and a queue for each call that follows.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow::Batch;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::fan_out::Subscription;

/// Batches that wait for one client.
const QUEUE: usize = 64;

/// Clones are the same hub.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// `None` once nothing more comes.
    followers: Option<Vec<Follower>>,
    history: VecDeque<Batch>,
    /// Records in `history`.
    records: usize,
    /// Records that are kept, if one batch more is not too many.
    limit: usize,
}

#[derive(Debug)]
struct Follower {
    queue: mpsc::Sender<Batch>,
    missed: Arc<AtomicU64>,
}

/// What comes after the history.
#[derive(Debug)]
pub(super) struct Following {
    queue: mpsc::Receiver<Batch>,
    missed: Arc<AtomicU64>,
}

impl Following {
    /// Returns the next batch; `None` when there will be none.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub(super) async fn next(&mut self) -> Option<Batch> {
        self.queue.recv().await
    }

    /// Flows that there was no room for, since the call began.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Hub {
    /// Keeps about the last `limit` flows.
    pub fn new(limit: usize) -> Self {
        let followers = Some(Vec::new());
        Self(Arc::new(Mutex::new(State { followers, history: VecDeque::new(), records: 0, limit })))
    }

    /// Takes over what comes, until nothing more does.
    pub async fn feed(self, mut subscription: Subscription) {
        while let Some(batch) = subscription.recv().await {
            self.publish(&batch);
        }
        self.state().followers = None;
    }

    fn publish(&self, batch: &Batch) {
        let mut state = self.state();
        state.records += batch.len();
        state.history.push_back(Batch::clone(batch));
        while let Some(oldest) = state.history.front().map(|batch| batch.len())
            && state.records - oldest >= state.limit
        {
            state.records -= oldest;
            state.history.pop_front();
        }
        state.followers.iter_mut().flatten().for_each(|follower| follower.give(batch));
        state.followers.iter_mut().for_each(|all| all.retain(|it| !it.queue.is_closed()));
    }

    /// What there is.
    pub(super) fn history(&self) -> Vec<Batch> {
        self.state().history.iter().cloned().collect()
    }

    /// What there is, and exactly what comes after it.
    pub(super) fn follow(&self) -> (Vec<Batch>, Following) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let missed = Arc::new(AtomicU64::new(0));
        let mut state = self.state();
        if let Some(followers) = &mut state.followers {
            followers.push(Follower { queue: sender, missed: Arc::clone(&missed) });
        }
        (state.history.iter().cloned().collect(), Following { queue, missed })
    }

    /// Held for as long as it takes to hand on a batch, never across a wait.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    fn give(&self, batch: &Batch) {
        if let Err(TrySendError::Full(batch)) = self.queue.try_send(Batch::clone(batch)) {
            self.missed.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use flow::FlowRecord;

    use super::*;

    fn batch(ids: std::ops::Range<u64>) -> Batch {
        ids.map(|flow_id| FlowRecord { flow_id, ..FlowRecord::default() }).collect()
    }

    fn ids(batches: &[Batch]) -> Vec<u64> {
        batches.iter().flat_map(|batch| batch.iter().map(|record| record.flow_id)).collect()
    }

    #[tokio::test]
    async fn history_and_what_follows_meet_without_a_gap_and_without_an_overlap() {
        let hub = Hub::new(100);
        hub.publish(&batch(0..3));
        let (history, mut following) = hub.follow();
        hub.publish(&batch(3..5));
        assert_eq!(ids(&history), [0, 1, 2]);
        assert_eq!(ids(&[following.next().await.unwrap()]), [3, 4]);
        assert_eq!(ids(&hub.history()), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let hub = Hub::new(10);
        for round in 0..100 {
            hub.publish(&batch(round * 4..round * 4 + 4));
            assert!(ids(&hub.history()).len() < 10 + 4);
        }
        assert_eq!(ids(&hub.history()), (388..400).collect::<Vec<_>>());
    }

    #[test]
    fn who_does_not_keep_up_misses_flows_and_learns_how_many() {
        let hub = Hub::new(1);
        let (_, following) = hub.follow();
        let (_, gone) = hub.follow();
        drop(gone);
        for _ in 0..QUEUE + 3 {
            hub.publish(&batch(0..2));
        }
        assert_eq!(following.missed(), 6);
        assert_eq!(hub.state().followers.as_ref().map(Vec::len), Some(1));
    }
}
