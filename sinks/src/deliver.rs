//! Runs one sink until its queue closes.
//!
//! An unavailable far end is tried again, ever more slowly. Meanwhile nothing is taken from the
//! queue that the sink has no room for, so that the queue fills up and whoever fills it counts
//! what no longer fits: the only place where records are lost during an outage. When the queue is
//! closed there is no such place any more, and what cannot be delivered in time is abandoned and
//! counted here.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use config::Chain;
use flow::Batch;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::{DeliveryCounters, Queue, Sink, SinkError, Stored};

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
    /// delays by up to a `tick`; [`Sink::linger`] is added.
    pub close_within: Duration,
    /// The same where what is not delivered is kept for the next start.
    pub keep_within: Duration,
}

impl Default for DeliverOptions {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_millis(100),
            last_retry: Duration::from_secs(30),
            tick: Duration::from_millis(250),
            close_within: Duration::from_millis(1250),
            keep_within: Duration::from_millis(750),
        }
    }
}

/// Gives every batch of the queue to the sink; returns when the queue is closed and empty and
/// what the sink took is durable, or the time for that is over.
///
/// Once `stop` is true it returns as soon as what the sink took is durable, or the time for that
/// is over; then with the queue, for whoever takes the sink's place.
///
/// `clock` tells the time of insertion in milliseconds since 1970.
pub async fn deliver<S: Sink>(
    sink: S,
    mut queue: Queue,
    options: DeliverOptions,
    stop: watch::Receiver<bool>,
    clock: impl Fn() -> u64 + Send,
) -> Option<Queue> {
    if let Some(mark) = sink.has_named() {
        queue.reserve(mark);
    }
    if let Some(mark) = sink.resumes_at() {
        queue.resume_at(mark);
    }
    let backoff = Backoff { wait: options.first_retry, next: Instant::now() };
    let abandoned_before = queue.counters().abandoned.load(Ordering::Relaxed);
    let end = End {
        stop,
        options,
        linger: sink.linger(),
        is_failing: false,
        was_cut_off: false,
        deadline: None,
    };
    Delivery { sink, queue, options, end, clock, backoff, abandoned_before }.run().await
}

struct Delivery<S, C> {
    sink: S,
    queue: Queue,
    options: DeliverOptions,
    end: End,
    clock: C,
    backoff: Backoff,
    /// By the sinks before this one.
    abandoned_before: u64,
}

/// When delivery is to end, with or without success.
struct End {
    stop: watch::Receiver<bool>,
    options: DeliverOptions,
    linger: Duration,
    /// Whether the last attempt has failed.
    is_failing: bool,
    /// Whether the sink was left in the middle of something.
    was_cut_off: bool,
    /// Once it is to end: when to give up.
    deadline: Option<Instant>,
}

impl End {
    /// Whether another sink is to take this one's place.
    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Whether it was to end so long ago that it is time to give up.
    fn is_late(&mut self, queue: &Queue) -> bool {
        let now = Instant::now();
        if self.deadline.is_none() && (queue.is_closed() || self.is_stopped()) {
            self.deadline = Some(now + self.within(queue));
        }
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    fn within(&self, queue: &Queue) -> Duration {
        let DeliverOptions { close_within, keep_within, .. } = self.options;
        if self.is_stopped() || self.is_failing && !queue.is_kept() {
            // There is a successor, or nobody to linger for.
            close_within
        } else if queue.is_kept() {
            keep_within
        } else {
            close_within + self.linger
        }
    }

    /// Waits for a sink, which may never answer, until it is late.
    async fn in_time(&mut self, queue: &Queue, answer: impl Future<Output = Answer>) -> Answer {
        tokio::pin!(answer);
        loop {
            if let Ok(answer) = timeout(self.options.tick, &mut answer).await {
                return answer;
            }
            if self.is_late(queue) {
                self.was_cut_off = true;
                return Err(SinkError::Unavailable("it does not answer".into()));
            }
        }
    }
}

type Answer = Result<(), SinkError>;

struct Backoff {
    /// How long to wait after the next failure.
    wait: Duration,
    /// When the next attempt may be made.
    next: Instant,
}

impl<S: Sink, C: Fn() -> u64 + Send> Delivery<S, C> {
    async fn run(mut self) -> Option<Queue> {
        self.begin().await;
        while !self.is_stopped() {
            match timeout(self.options.tick, self.queue.recv()).await {
                Ok(Some(batch)) if self.is_late() => {
                    self.give_up(batch);
                    if self.queue.is_kept() {
                        break;
                    }
                }
                Ok(Some(batch)) => self.write(batch).await,
                Ok(None) => break,
                // Only a log on disk can be closed and have nothing to give yet.
                Err(_elapsed) if self.is_late() => break,
                Err(_elapsed) => {}
            }
            let now_ms = (self.clock)();
            self.sink.tick(now_ms);
            if self.sink.due(now_ms) && Instant::now() >= self.backoff.next {
                self.flush().await;
            }
        }
        self.close().await;
        if timeout(self.options.tick, self.sink.end()).await.is_err() {
            tracing::warn!(sink = self.queue.name(), "the far end does not answer a farewell");
        }
        if self.is_stopped() {
            self.queue.put_back(None);
            return Some(self.queue);
        }
        None
    }

    /// Lets the sink see its far end. Once there is an end to come nothing waits for that: who is
    /// given records asks again.
    async fn begin(&mut self) {
        let begun = {
            let mut begun = pin!(self.sink.begin());
            loop {
                if let Ok(begun) = timeout(self.options.tick, &mut begun).await {
                    break begun;
                }
                if self.queue.is_closed() || self.end.is_stopped() {
                    return;
                }
            }
        };
        if let Err(error) = begun {
            self.failed(&error);
        }
    }

    /// Gives one batch to the sink, however long it takes.
    async fn write(&mut self, batch: Batch) {
        if let Some(mark) = self.queue.mark() {
            self.sink.approach(mark);
        }
        loop {
            let now_ms = (self.clock)();
            // A store that is full may make room for itself.
            self.sink.tick(now_ms);
            let write = self.sink.write(&batch, now_ms);
            match self.end.in_time(&self.queue, write).await {
                Ok(()) => {
                    self.queue.took();
                    self.counters().taken(batch.len());
                    return self.settle();
                }
                Err(error @ SinkError::Refused { .. }) => {
                    self.queue.took();
                    if !self.counters().holds_any() {
                        self.queue.acknowledge();
                    }
                    return self.refused(batch.len() as u64, &error);
                }
                Err(error @ SinkError::Unavailable(_)) => self.failed(&error),
            }
            if !self.wait().await {
                return self.give_up(batch);
            }
            // The sink may lack room because it holds what it could not flush.
            self.flush().await;
        }
    }

    /// Makes what the sink holds durable, if it can.
    async fn flush(&mut self) {
        if !self.counters().holds_any() {
            return;
        }
        let flushed = self.end.in_time(&self.queue, self.sink.flush()).await;
        self.settle();
        match flushed {
            Ok(()) => self.delivered(),
            Err(error @ SinkError::Refused { .. }) => {
                let records = self.counters().release();
                self.queue.acknowledge();
                self.refused(records, &error);
            }
            Err(error @ SinkError::Unavailable(_)) => self.failed(&error),
        }
    }

    /// The last flush: tried until it succeeds or there is no more time.
    async fn close(&mut self) {
        if self.end.was_cut_off {
            // It may hold a batch that counts as not taken, and must not store that.
            self.settle();
        } else {
            self.flush().await;
        }
        while self.counters().holds_any() {
            if self.wait().await {
                self.flush().await;
            } else {
                let records = self.counters().release();
                if !self.queue.is_kept() {
                    self.abandoned(records);
                }
            }
        }
        let records = self.counters().abandoned.load(Ordering::Relaxed) - self.abandoned_before;
        if records > 0 {
            tracing::error!(sink = self.queue.name(), records, "no time left to deliver records");
        }
    }

    fn counters(&self) -> &DeliveryCounters {
        self.queue.counters()
    }

    fn is_stopped(&self) -> bool {
        self.end.is_stopped()
    }

    fn is_late(&mut self) -> bool {
        self.end.is_late(&self.queue)
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
            sleep_until(self.end.deadline.map_or(until, |deadline| until.min(deadline))).await;
        }
    }

    /// There is no time left for `batch`, if not for another sink.
    fn give_up(&mut self, batch: Batch) {
        if self.queue.is_kept() {
            // Whoever comes next begins behind what the last flush delivers.
        } else if self.is_stopped() {
            self.queue.put_back(Some(batch));
        } else {
            self.abandoned(batch.len() as u64);
        }
    }

    /// What the sink has stored without being asked to is delivered.
    fn settle(&mut self) {
        let Stored { records, mark } = self.sink.stored();
        if records > 0 {
            self.counters().release_some(records);
            add(&self.counters().delivered, records);
            if let Some(mark) = mark {
                self.queue.acknowledge_to(mark);
            }
            self.succeeded();
        }
    }

    fn delivered(&mut self) {
        let records = self.counters().release();
        self.queue.acknowledge();
        let refused = self.sink.let_go();
        add(&self.counters().refused, refused);
        add(&self.counters().delivered, records.saturating_sub(refused));
        self.succeeded();
    }

    fn succeeded(&mut self) {
        self.backoff.wait = self.options.first_retry;
        self.backoff.next = Instant::now();
        if std::mem::take(&mut self.end.is_failing) {
            tracing::info!(sink = self.queue.name(), "sink is available again");
        }
    }

    fn failed(&mut self, error: &SinkError) {
        self.counters().retries.fetch_add(1, Ordering::Relaxed);
        let wait = self.backoff.wait;
        self.backoff.next = Instant::now() + wait;
        self.backoff.wait = (wait * 2).min(self.options.last_retry);
        let error = Chain(error);
        // Once per outage: the counter tells the rest.
        if std::mem::replace(&mut self.end.is_failing, true) {
            tracing::debug!(sink = self.queue.name(), %error, retry_in = ?wait, "delivery failed again");
        } else {
            tracing::warn!(sink = self.queue.name(), %error, retry_in = ?wait, "delivery failed");
        }
    }

    fn refused(&self, records: u64, error: &SinkError) {
        add(&self.counters().refused, records);
        tracing::error!(sink = self.queue.name(), error = %Chain(error), records, "records dropped");
    }

    fn abandoned(&self, records: u64) {
        add(&self.counters().abandoned, records);
    }
}

fn add(counter: &AtomicU64, records: u64) {
    counter.fetch_add(records, Ordering::Relaxed);
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
