//! The Exporting Process: Flow Records leave the Node over one Transport Session at a time.
//!
//! The session itself is [`ipfix::transport::export`]'s or [`grpc::export`]'s: no message that was written whole is ever
//! written again. What is lost with a session shows at the far end, since totals travel with
//! deltas. Here is what the crate leaves to its caller: where records come from, when to try
//! again, and when to give up.
mod process; // sessions of either protocol
mod flows; // records as messages, without the session
mod stop; // when to end

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use flow::{Batch, Profile};
use ipfix::encode::EncodeError;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::metrics::Metrics;
pub use flows::Flows;
pub use process::{Collector, Protocol};
use process::{Error, Process};
pub use stop::{Stop, StopSwitch};

/// Between tries once the process is to stop: there is not much time left for any.
const STOPPING_DELAY: Duration = Duration::from_millis(250);

/// Where records go.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Where it is now; it may change at any time.
    pub collector: watch::Receiver<Collector>,
    /// The Node's Observation Domain; see [`observation_domain`].
    pub domain: u32,
    pub profile: Profile,
}

/// Antrea's Observation Domain of a Node: FNV-1 over its name, 32 bits.
pub fn observation_domain(node: &str) -> u32 {
    let offset = 2_166_136_261_u32;
    node.bytes().fold(offset, |hash, byte| hash.wrapping_mul(16_777_619) ^ u32::from(byte))
}

/// What the Exporting Process works with.
#[derive(Debug)]
pub struct Exporting {
    collector: watch::Receiver<Collector>,
    /// The one in use, for the log; there may be another already.
    address: String,
    process: Process,
    metrics: Arc<Metrics>,
}

impl Exporting {
    /// Fails if a Template fits no message. `copy` gets a copy of every message of IPFIX, as an IPFIX
    /// File.
    pub fn new(
        destination: Destination,
        copy: Option<File>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, EncodeError> {
        let Destination { mut collector, domain, profile } = destination;
        let flows = Flows::new(profile, copy);
        let to = collector.borrow_and_update().clone();
        let address = to.to.address.clone();
        let process = Process::new(to, domain, flows)?;
        Ok(Self { collector, address, process, metrics })
    }

    /// Exports until the queue is closed and empty. At the deadline of `stop`, what has not left
    /// by then is given up, and counted.
    pub async fn run(mut self, mut queue: Receiver<Batch>, stop: Stop, clock: impl Fn() -> u64) {
        tokio::select! {
            () = self.export(&mut queue, &stop, &clock) => {}
            () = stop.deadline() => {}
        }
        self.abandon(queue).await;
    }

    /// One session after the other.
    async fn export(&mut self, queue: &mut Receiver<Batch>, stop: &Stop, clock: &impl Fn() -> u64) {
        while let Err(error) = self.session(queue, clock).await {
            self.count();
            if self.process.pending() == 0 && queue.is_closed() && queue.is_empty() {
                return;
            }
            let delay = self.process.next_delay(rand::random());
            tracing::warn!(collector = self.address, error = %Chain(&error), retry_within = ?delay, "no session");
            tokio::select! {
                () = pause(delay, stop) => {}
                // A new collector need not wait for what the old one has done.
                true = moved(&mut self.collector) => self.redirect().await,
            }
        }
    }

    /// One Transport Session, from connecting to its end. `Ok` when the queue is at its end.
    async fn session(
        &mut self,
        queue: &mut Receiver<Batch>,
        clock: &impl Fn() -> u64,
    ) -> Result<(), Error> {
        self.process.open(clock()).await?;
        tracing::info!(collector = self.address, "session opened");
        loop {
            self.count();
            if self.process.pending() == 0 {
                tokio::select! {
                    // Records must not follow others into a session that is known to be over.
                    biased;
                    error = self.process.closed() => return Err(error),
                    true = moved(&mut self.collector) => {
                        self.redirect().await;
                        self.process.open(clock()).await?;
                        tracing::info!(collector = self.address, "session opened");
                    }
                    batch = queue.recv() => match batch {
                        Some(batch) => batch.iter().for_each(|it| self.process.push(it.clone())),
                        None => return self.process.close().await,
                    },
                }
            }
            self.process.flush(clock()).await?;
        }
    }

    /// Leaves for the collector that is to be used now.
    async fn redirect(&mut self) {
        let to = self.collector.borrow_and_update().clone();
        let left = std::mem::replace(&mut self.address, to.to.address.clone());
        if let Err(error) = self.process.redirect(to).await {
            tracing::warn!(collector = left, error = %Chain(&error), "session broke when it was left");
        }
    }

    /// Gives up what has not left, which is nothing if all went well.
    async fn abandon(mut self, mut queue: Receiver<Batch>) {
        // From here on the other end counts what it cannot hand over; what it already has, or has
        // reserved room for, counts here.
        queue.close();
        let mut records = self.process.abandon().len();
        while let Some(batch) = queue.recv().await {
            records += batch.len();
        }
        self.count();
        if records > 0 {
            self.metrics.records_abandoned.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
            tracing::error!(records, "collector is away: records are lost at shutdown");
        }
    }

    /// Makes what the process has done so far visible.
    fn count(&self) {
        let counters = self.process.counters();
        let refused = self.metrics.exported(&counters, self.process.is_open());
        if refused > 0 {
            tracing::error!(records = refused, "records do not fit a message and are dropped");
        }
    }
}

/// Waits until there is another collector. Returns false if there never will be.
async fn moved(collector: &mut watch::Receiver<Collector>) -> bool {
    collector.changed().await.is_ok()
}

/// Waits before the next try, and not for long once a stop is asked for: the collector may be
/// back by now, and there is no later.
async fn pause(delay: Duration, stop: &Stop) {
    if stop.is_requested() {
        return sleep(delay.min(STOPPING_DELAY)).await;
    }
    tokio::select! {
        () = sleep(delay) => {}
        _ = stop.requested() => {}
    }
}

#[cfg(test)]
mod tests;
