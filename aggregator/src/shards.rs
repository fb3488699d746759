//! Correlation on as many cores as there are: each shard owns its flows.
//!
//! ```text
//! sessions ─▶ split by flow ─▶ shard 0: correlator ─▶ names ─▶ fan out
//!                          └─▶ shard 1: …
//! ```
//!
//! Both halves of a flow go to the same shard, so that nobody needs a lock. Queues are short, and
//! the records in them are counted among those that may wait ([`crate::collect::Room`]): a shard
//! that cannot follow stops the sessions.
mod shard; // one of them
mod handle; // what others may ask

use std::sync::Arc;
use std::time::Duration;

use flow::FlowRecord;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::collect::Reported;
use crate::correlate::{Correlator, Route, Timeouts};
use crate::enrich::Enricher;
use crate::fan_out::FanOut;
use crate::metrics::Metrics;

pub use handle::{FlowFilter, Handle, Totals};
use shard::{Shard, Share};

/// Messages that are split at a time.
const MESSAGES: usize = 64;
/// Times that many messages that wait for a shard.
const QUEUE: usize = 16;
/// How often correlators look for what is due, and what they counted is taken over.
const TICK: Duration = Duration::from_millis(100);

/// Correlators that share the flows among them.
#[derive(Debug)]
pub struct Shards {
    route: Route,
    correlators: Vec<Correlator>,
    questions: Vec<mpsc::Receiver<handle::Question>>,
    handle: Handle,
}

impl Shards {
    /// Follows up to `max_flows` flows with `count` correlators.
    pub fn new(timeouts: Timeouts, max_flows: usize, count: usize) -> Self {
        let route = Route::new(count);
        let each = max_flows.div_ceil(route.shards());
        let correlators = (0..route.shards()).map(|_| Correlator::new(timeouts, each)).collect();
        let (handle, questions) = Handle::new(route.shards());
        Self { route, correlators, questions, handle }
    }

    /// Takes in what a predecessor told: see [`Correlator::learn`].
    pub fn learn(&mut self, told: &FlowRecord) {
        let shard = self.route.of_told(told);
        if let Some(correlator) = self.correlators.get_mut(shard) {
            correlator.learn(told);
        }
    }

    /// Answers questions about the flows, for as long as these run.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until `queue` is closed and all that is known has been told, or a shard has failed.
    /// `clock` says the time in milliseconds since 1970, and never goes back.
    pub async fn run(
        self,
        mut queue: mpsc::Receiver<Reported>,
        enricher: Option<Enricher>,
        fan_out: FanOut,
        metrics: Arc<Metrics>,
        clock: impl Fn() -> u64 + Clone + Send + 'static,
    ) {
        let Self { route, correlators, questions, handle } = self;
        let mut running = JoinSet::new();
        let mut shards = Vec::new();
        for (number, (correlator, questions)) in correlators.into_iter().zip(questions).enumerate()
        {
            let (queue, taken) = mpsc::channel(QUEUE);
            shards.push(queue);
            let (fan_out, enricher) = (fan_out.clone(), enricher.clone());
            let told = handle.place(number);
            let shard = Shard::new(correlator, enricher, fan_out, told);
            running.spawn(shard.run(taken, questions, clock.clone()));
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages = Vec::new();
        loop {
            tokio::select! {
                taken = queue.recv_many(&mut messages, MESSAGES) => {
                    if taken == 0 || !split(&route, &mut messages, &shards).await {
                        break;
                    }
                }
                _ = ticks.tick() => {
                    let Totals { stats, flows } = handle.totals();
                    metrics.correlator(&stats, flows);
                }
                Some(ended) = running.join_next() => {
                    tracing::error!(?ended, "a shard has failed");
                    return;
                }
            }
        }
        drop(shards);
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a shard has failed");
            }
        }
        let Totals { stats, flows } = handle.totals();
        metrics.correlator(&stats, flows);
    }
}

/// Gives each shard its records. Returns whether all of them are there to take them.
async fn split(
    route: &Route,
    messages: &mut Vec<Reported>,
    shards: &[mpsc::Sender<Vec<Share>>],
) -> bool {
    let mut lists: Vec<Vec<Share>> = vec![Vec::new(); shards.len()];
    for reported in messages.drain(..) {
        for (shard, share) in Share::split(reported, route) {
            if let Some(list) = lists.get_mut(shard) {
                list.push(share);
            }
        }
    }
    for (shard, list) in shards.iter().zip(lists) {
        if !list.is_empty() && shard.send(list).await.is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests;
