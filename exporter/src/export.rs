//! The Exporting Process: Flow Records leave the Node over one Transport Session at a time.
//!
//! The session itself is [`ipfix::transport::export`]'s or [`grpc::export`]'s: no message that was
//! written whole is ever written again. What is lost with a session shows at the far end, since totals travel with
//! deltas. Here is what the crate leaves to its caller: where records come from, when to try
//! again, and when to give up.
mod route; // the way to a destination
mod process; // sessions of either protocol
mod flows; // records as messages, without the session
mod spent; // told records, for new ones
mod stop; // when to end

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use flow::FlowRecord;
pub use flow::observation_domain;
use ipfix::encode::EncodeError;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::metrics::DestinationMetrics;
pub use flows::Flows;
pub use process::Protocol;
use process::{Error, Process, seconds};
pub use route::{Form, Route, RouteError};
pub(crate) use spent::Spares;
pub use spent::Spent;
pub use stop::{Stop, StopSwitch};

/// Between tries once the process is to stop: there is not much time left for any.
const STOPPING_DELAY: Duration = Duration::from_millis(250);

/// What the observer hands to an Exporting Process: records that destinations share.
pub type Batch = Vec<Arc<FlowRecord>>;

/// What the Exporting Process works with.
#[derive(Debug)]
pub struct Exporting {
    name: String,
    route: watch::Receiver<Route>,
    /// The one in use, for the log; there may be another already.
    address: String,
    process: Process,
    metrics: Arc<DestinationMetrics>,
}

impl Exporting {
    /// Sends to the destination called `name`, by a route that may change at any time. Fails if a
    /// Template fits no message. `domain` is the Node's [`observation_domain`]; `copy` gets a copy
    /// of every message of IPFIX, as an IPFIX File.
    pub fn new(
        name: String,
        mut route: watch::Receiver<Route>,
        domain: u32,
        copy: Option<Arc<File>>,
        metrics: Arc<DestinationMetrics>,
    ) -> Result<Self, EncodeError> {
        let route_now = route.borrow_and_update().clone();
        let address = route_now.to.address.clone();
        let process = Process::new(route_now, domain, copy, Arc::clone(&metrics))?;
        Ok(Self { name, route, address, process, metrics })
    }

    /// Gives records back that have been told.
    #[must_use]
    pub fn returning(mut self, spent: Arc<Spent>) -> Self {
        self.process.return_to(spent);
        self
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
            self.metrics.failed(seconds(clock()));
            let Self { name, address, .. } = &self;
            tracing::warn!(destination = name, collector = address, error = %Chain(&error), retry_within = ?delay, "no session");
            tokio::select! {
                () = pause(delay, stop) => {}
                // A new collector need not wait for what the old one has done.
                true = moved(&mut self.route) => self.redirect().await,
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
        self.log_open();
        loop {
            self.count();
            if self.process.pending() == 0 {
                tokio::select! {
                    // Records must not follow others into a session that is known to be over.
                    biased;
                    error = self.process.closed() => return Err(error),
                    true = moved(&mut self.route) => {
                        self.redirect().await;
                        self.process.open(clock()).await?;
                        self.log_open();
                    }
                    batch = queue.recv() => match batch {
                        Some(batch) => {
                            self.metrics.unqueue(batch.len());
                            for record in batch {
                                self.process.push(record);
                            }
                            self.metrics.pending(self.process.pending());
                        }
                        None => return self.process.close().await,
                    },
                }
            }
            self.process.flush(clock()).await?;
        }
    }

    fn log_open(&self) {
        tracing::info!(destination = self.name, collector = self.address, "session opened");
    }

    /// Leaves for the collector that is to be used now.
    async fn redirect(&mut self) {
        let route = self.route.borrow_and_update().clone();
        let left = std::mem::replace(&mut self.address, route.to.address.clone());
        if let Err(error) = self.process.redirect(route).await {
            let destination = &self.name;
            tracing::warn!(destination, collector = left, error = %Chain(&error), "session broke when it was left");
        }
    }

    /// Gives up what has not left, which is nothing if all went well.
    async fn abandon(mut self, mut queue: Receiver<Batch>) {
        // From here on the other end counts what it cannot hand over; what it already has, or has
        // reserved room for, counts here.
        queue.close();
        let mut records = self.process.abandon().len();
        while let Some(batch) = queue.recv().await {
            self.metrics.unqueue(batch.len());
            records += batch.len();
        }
        self.count();
        if records > 0 {
            self.metrics.abandon(u64::try_from(records).unwrap_or(u64::MAX));
            let destination = self.name;
            tracing::error!(
                destination,
                records,
                "collector is away: records are lost at shutdown"
            );
        }
    }

    /// Makes what the process has done so far visible.
    fn count(&self) {
        let counters = self.process.counters();
        self.metrics.pending(self.process.pending());
        let refused = self.metrics.exported(&counters, self.process.is_open());
        if refused > 0 {
            let destination = &self.name;
            tracing::error!(
                destination,
                records = refused,
                "records do not fit a message and are dropped"
            );
        }
    }
}

/// Waits until there is another route. Returns false if there never will be.
async fn moved(route: &mut watch::Receiver<Route>) -> bool {
    route.changed().await.is_ok()
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
