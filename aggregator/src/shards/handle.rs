//! What others may ask about the flows: how many there are, and which.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use flow::{FlowKey, FlowRecord};
use tokio::sync::{mpsc, oneshot};

use crate::correlate::CorrelatorStats;

/// Questions that wait for a shard; whoever asks more waits.
const QUESTIONS: usize = 8;

/// Which flows are asked for: those with all of what is given, as the flow is told or, of one
/// whose client's address was translated, as its Pod's Node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowFilter {
    pub source: Option<IpAddr>,
    pub destination: Option<IpAddr>,
    pub protocol: Option<u8>,
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
}

impl FlowFilter {
    pub fn matches(&self, key: &FlowKey) -> bool {
        let same = |wanted: Option<IpAddr>, it: IpAddr| {
            wanted.is_none_or(|wanted| wanted.to_canonical() == it.to_canonical())
        };
        same(self.source, key.source)
            && same(self.destination, key.destination)
            && self.protocol.is_none_or(|wanted| wanted == key.protocol)
            && self.source_port.is_none_or(|wanted| wanted == key.source_port)
            && self.destination_port.is_none_or(|wanted| wanted == key.destination_port)
    }
}

/// What all shards have counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub stats: CorrelatorStats,
    /// Flows being followed.
    pub flows: usize,
}

/// Where a shard says what it has counted, now and then.
pub(super) type Told = Arc<Mutex<Totals>>;

/// Asks the shards. Its clones are the same.
#[derive(Debug, Clone)]
pub struct Handle {
    shards: Arc<[(mpsc::Sender<Question>, Told)]>,
}

/// A shard answers with up to `limit` flows.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) filter: FlowFilter,
    pub(super) limit: usize,
    pub(super) answer: oneshot::Sender<Vec<FlowRecord>>,
}

impl Handle {
    pub(super) fn new(shards: usize) -> (Self, Vec<mpsc::Receiver<Question>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..shards).map(|_| mpsc::channel(QUESTIONS)).unzip();
        let shards = senders.into_iter().map(|sender| (sender, Told::default())).collect();
        (Self { shards }, receivers)
    }

    pub(super) fn place(&self, shard: usize) -> Told {
        self.shards.get(shard).map(|(_, told)| Arc::clone(told)).unwrap_or_default()
    }

    /// What was counted up to a moment ago.
    pub fn totals(&self) -> Totals {
        let mut all = Totals::default();
        for (_, told) in self.shards.iter() {
            let told = *told.lock().unwrap_or_else(PoisonError::into_inner);
            all.stats.add(&told.stats);
            all.flows += told.flows;
        }
        all
    }

    /// Up to `limit` of the flows that `filter` asks for, with the counters they would be told with
    /// now. Shards that have ended have none. Flows that come or go while they are looked through
    /// may be missing.
    pub async fn flows(&self, filter: FlowFilter, limit: usize) -> Vec<FlowRecord> {
        let mut flows = Vec::new();
        // One shard after the other, so that no more than `limit` are in memory.
        for (questions, _) in self.shards.iter() {
            let (answer, answered) = oneshot::channel();
            let question = Question { filter, limit: limit - flows.len(), answer };
            if flows.len() == limit || questions.send(question).await.is_err() {
                continue;
            }
            flows.extend(answered.await.unwrap_or_default());
        }
        flows
    }
}
