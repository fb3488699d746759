//! Runs one sink until its queue closes.
//!
//! An unavailable far end is tried again, ever more slowly. Meanwhile nothing is taken from the
//! queue that the sink has no room for, so that the queue fills up and whoever fills it counts
//! what no longer fits: the only place where records are lost during an outage. When the queue is
//! closed there is no such place any more, and what cannot be delivered in time is abandoned and
//! counted here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use config::Chain;
use flow::Batch;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until, timeout};

use crate::{DeliveryCounters, Sink, SinkError};

/// How to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverOptions {
    /// The wait after the first failed attempt; it doubles with each further one.
    pub first_retry: Duration,
    /// The longest wait between two attempts.
    pub last_retry: Duration,
    /// How often the sink is asked whether it should flush.
    pub tick: Duration,
    /// How long delivery may still take once the queue was seen to be closed, which an outage
    /// delays by up to a `tick`.
    pub close_within: Duration,
}

impl Default for DeliverOptions {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_millis(100),
            last_retry: Duration::from_secs(30),
            tick: Duration::from_millis(250),
            close_within: Duration::from_millis(1250),
        }
    }
}

/// Gives every batch of the queue to the sink; returns when the queue is closed and empty and
/// what the sink took is durable, or the time for that is over.
///
/// `clock` tells the time of insertion in milliseconds since 1970.
pub async fn deliver<S: Sink>(
    name: &str,
    sink: S,
    queue: Receiver<Batch>,
    options: DeliverOptions,
    counters: Arc<DeliveryCounters>,
    clock: impl Fn() -> u64 + Send,
) {
    let backoff = Backoff { wait: options.first_retry, next: Instant::now(), failing: false };
    Delivery { name, sink, queue, options, counters, clock, backoff, deadline: None }.run().await;
}

struct Delivery<'a, S, C> {
    name: &'a str,
    sink: S,
    queue: Receiver<Batch>,
    options: DeliverOptions,
    counters: Arc<DeliveryCounters>,
    clock: C,
    backoff: Backoff,
    /// Once the queue is closed: when to give up.
    deadline: Option<Instant>,
}

struct Backoff {
    /// How long to wait after the next failure.
    wait: Duration,
    /// When the next attempt may be made.
    next: Instant,
    failing: bool,
}

impl<S: Sink, C: Fn() -> u64 + Send> Delivery<'_, S, C> {
    async fn run(mut self) {
        loop {
            match timeout(self.options.tick, self.queue.recv()).await {
                Ok(Some(batch)) if self.is_late() => self.abandoned(batch.len() as u64),
                Ok(Some(batch)) => self.write(&batch).await,
                Ok(None) => break,
                Err(_elapsed) => {}
            }
            if self.sink.due((self.clock)()) && Instant::now() >= self.backoff.next {
                self.flush().await;
            }
        }
        self.close().await;
    }

    /// Gives one batch to the sink, however long it takes.
    async fn write(&mut self, batch: &Batch) {
        loop {
            match self.sink.write(batch, (self.clock)()).await {
                Ok(()) => return self.counters.taken(batch.len()),
                Err(error @ SinkError::Refused { .. }) => {
                    return self.refused(batch.len() as u64, &error);
                }
                Err(error @ SinkError::Unavailable(_)) => self.failed(&error),
            }
            if !self.wait().await {
                return self.abandoned(batch.len() as u64);
            }
            // The sink may lack room because it holds what it could not flush.
            self.flush().await;
        }
    }

    /// Makes what the sink holds durable, if it can.
    async fn flush(&mut self) {
        if !self.counters.holds_any() {
            return;
        }
        match self.sink.flush().await {
            Ok(()) => self.delivered(),
            Err(error @ SinkError::Refused { .. }) => {
                let records = self.counters.release();
                self.refused(records, &error);
            }
            Err(error @ SinkError::Unavailable(_)) => self.failed(&error),
        }
    }

    /// The last flush: tried until it succeeds or there is no more time.
    async fn close(&mut self) {
        self.flush().await;
        while self.counters.holds_any() {
            if self.wait().await {
                self.flush().await;
            } else {
                let records = self.counters.release();
                self.abandoned(records);
            }
        }
        let records = self.counters.abandoned.load(Ordering::Relaxed);
        if records > 0 {
            let within = self.options.close_within;
            tracing::error!(sink = self.name, records, ?within, "no time left to deliver records");
        }
    }

    /// Whether the queue was closed so long ago that it is time to give up.
    fn is_late(&mut self) -> bool {
        let now = Instant::now();
        if self.deadline.is_none() && self.queue.is_closed() {
            self.deadline = Some(now + self.options.close_within);
        }
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Waits until the next attempt may be made; returns whether there is still time for it.
    async fn wait(&mut self) -> bool {
        loop {
            if self.is_late() {
                return false;
            }
            let now = Instant::now();
            if now >= self.backoff.next {
                return true;
            }
            // In small steps, to notice that the queue has been closed.
            let until = self.backoff.next.min(now + self.options.tick);
            sleep_until(self.deadline.map_or(until, |deadline| until.min(deadline))).await;
        }
    }

    fn delivered(&mut self) {
        let records = self.counters.release();
        let refused = self.sink.let_go();
        add(&self.counters.refused, refused);
        add(&self.counters.delivered, records.saturating_sub(refused));
        self.backoff.wait = self.options.first_retry;
        self.backoff.next = Instant::now();
        if std::mem::take(&mut self.backoff.failing) {
            tracing::info!(sink = self.name, "sink is available again");
        }
    }

    fn failed(&mut self, error: &SinkError) {
        self.counters.retries.fetch_add(1, Ordering::Relaxed);
        let wait = self.backoff.wait;
        self.backoff.next = Instant::now() + wait;
        self.backoff.wait = (wait * 2).min(self.options.last_retry);
        let error = Chain(error);
        // Once per outage: the counter tells the rest.
        if std::mem::replace(&mut self.backoff.failing, true) {
            tracing::debug!(sink = self.name, %error, retry_in = ?wait, "delivery failed again");
        } else {
            tracing::warn!(sink = self.name, %error, retry_in = ?wait, "delivery failed");
        }
    }

    fn refused(&self, records: u64, error: &SinkError) {
        add(&self.counters.refused, records);
        tracing::error!(sink = self.name, error = %Chain(error), records, "records dropped");
    }

    fn abandoned(&self, records: u64) {
        add(&self.counters.abandoned, records);
    }
}

fn add(counter: &AtomicU64, records: u64) {
    counter.fetch_add(records, Ordering::Relaxed);
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
