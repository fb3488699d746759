//! The Exporting Processes there are: one for each destination that is wanted.
//!
//! Destinations come, go and change while connections are recorded. One that changes keeps its
//! place in the meter, so that it is told neither anything twice nor anything less; where records
//! go from then on is its Exporting Process's business alone.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use daemon::{Chain, now_ns};
use ipfix::encode::EncodeError;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};

use crate::destination::{STATIC, Spec};
use crate::destinations::Way;
use crate::export::{Batch, Exporting, Route, RouteError, Spent, Stop, StopSwitch};
use crate::meter::{MAX_DESTINATIONS, Timeouts};
use crate::metrics::Metrics;
use crate::observe::Target;

/// Batches that wait for a collector. Few: what waits in the meter grows instead of ageing.
const QUEUE: usize = 16;
/// How long a destination that is no longer wanted may take for what it has been handed.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// When one that could not be had is tried again: files may come later.
const RETRY: Duration = Duration::from_secs(10);

/// The destinations that are wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// By the configuration, which wins where names are alike.
    pub(crate) configured: watch::Receiver<Arc<[Spec]>>,
    /// By custom resources.
    pub(crate) custom: watch::Receiver<Arc<[Spec]>>,
}

/// Why a destination is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("templates cannot be sent")]
    Templates(#[from] EncodeError),
    #[error("there are {MAX_DESTINATIONS} destinations, and no more are possible")]
    TooMany,
}

/// Starts, changes and ends Exporting Processes.
#[derive(Debug)]
pub(crate) struct Senders {
    wanted: Wanted,
    way: Way,
    domain: u32,
    /// Gets a copy of what goes to [`STATIC`], also to one that comes after another has gone.
    copy: Option<Arc<File>>,
    metrics: Arc<Metrics>,
    running: Vec<Sender>,
    /// No longer wanted, but not done yet.
    leaving: Vec<Leaving>,
    tasks: JoinSet<u64>,
    next: u64,
    /// Names of those that are not there, and why.
    refused: Vec<(String, String)>,
}

/// One Exporting Process, from outside.
#[derive(Debug)]
struct Sender {
    spec: Spec,
    route: watch::Sender<Route>,
    queue: mpsc::Sender<Batch>,
    spent: Arc<Spent>,
    number: u64,
    switch: StopSwitch,
}

/// One that is to end.
#[derive(Debug)]
struct Leaving {
    name: String,
    number: u64,
}

impl Wanted {
    fn specs(&mut self) -> Vec<Spec> {
        let mut specs = self.configured.borrow_and_update().to_vec();
        for spec in self.custom.borrow_and_update().iter() {
            if specs.iter().all(|it| it.name != spec.name) {
                specs.push(spec.clone());
            }
        }
        specs
    }
}

impl Senders {
    pub(crate) fn new(
        wanted: Wanted,
        way: Way,
        domain: u32,
        copy: Option<File>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            wanted,
            way,
            domain,
            copy: copy.map(Arc::new),
            metrics,
            running: Vec::new(),
            leaving: Vec::new(),
            tasks: JoinSet::new(),
            next: 0,
            refused: Vec::new(),
        }
    }

    /// Makes the destinations those that are wanted. Returns them as an observer has to know them.
    pub(crate) fn follow(&mut self) -> Arc<[Target]> {
        let mut wanted = self.wanted.specs();
        // The configuration's come first, whoever was there before.
        let beyond = wanted.split_off(wanted.len().min(MAX_DESTINATIONS));
        for sender in
            self.running.extract_if(.., |it| wanted.iter().all(|spec| spec.name != it.spec.name))
        {
            tracing::info!(destination = sender.spec.name, "destination is no longer wanted");
            // Its queue ends here and in the observer, and with the queue it does.
            let Sender { spec, number, switch, .. } = sender;
            switch.stop_by(Instant::now() + LAST_WORDS);
            self.leaving.push(Leaving { name: spec.name, number });
        }
        let mut refused = Vec::new();
        for spec in wanted {
            let name = spec.name.clone();
            if let Err(error) = self.have(spec) {
                refused.push((name, Chain(&error).to_string()));
            }
        }
        let too_many = || Refusal::TooMany.to_string();
        refused.extend(beyond.into_iter().map(|spec| (spec.name, too_many())));
        self.refuse(refused);
        self.running.iter().map(|sender| sender.target(&self.metrics)).collect()
    }

    /// Runs until `stop` is asked for and all Exporting Processes have ended. `tell` learns of
    /// each change.
    pub(crate) async fn run(
        mut self,
        stop: Stop,
        tell: impl Fn(Arc<[Target]>),
    ) -> Result<(), JoinError> {
        let deadline = loop {
            tokio::select! {
                deadline = stop.requested() => break deadline,
                Ok(()) = self.wanted.configured.changed() => tell(self.follow()),
                Ok(()) = self.wanted.custom.changed() => tell(self.follow()),
                () = sleep(RETRY), if !self.refused.is_empty() => tell(self.follow()),
                Some(ended) = self.tasks.join_next() => self.has_ended(ended?),
            }
        };
        for Sender { switch, .. } in self.running {
            switch.stop_by(deadline.unwrap_or_else(Instant::now));
        }
        while let Some(ended) = self.tasks.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// Tells of each refusal once, however often it is tried again.
    fn refuse(&mut self, refused: Vec<(String, String)>) {
        for (destination, error) in refused.iter().filter(|it| !self.refused.contains(it)) {
            tracing::error!(destination, error, "destination cannot be used");
        }
        self.metrics.destinations_refused.set(i64::try_from(refused.len()).unwrap_or(i64::MAX));
        self.refused = refused;
    }

    /// Starts or changes one.
    fn have(&mut self, spec: Spec) -> Result<(), Refusal> {
        let Some(sender) = self.running.iter_mut().find(|it| it.spec.name == spec.name) else {
            return self.start(spec);
        };
        if sender.spec.goes_elsewhere(&spec) {
            sender.route.send_replace(Route::new(&spec, &self.way)?);
        }
        sender.spec = spec;
        Ok(())
    }

    fn start(&mut self, spec: Spec) -> Result<(), Refusal> {
        if self.running.len() >= MAX_DESTINATIONS {
            return Err(Refusal::TooMany);
        }
        let (route, moved) = watch::channel(Route::new(&spec, &self.way)?);
        let copy = self.copy.clone().filter(|_| spec.name == STATIC);
        let metrics = Arc::new(self.metrics.destination(&spec.name));
        let exporting = Exporting::new(spec.name.clone(), moved, self.domain, copy, metrics)?;
        let spent: Arc<Spent> = Arc::default();
        let exporting = exporting.returning(Arc::clone(&spent));
        let (queue, batches) = mpsc::channel(QUEUE);
        let (switch, stop) = Stop::new();
        let number = self.next;
        self.next += 1;
        self.tasks.spawn(async move {
            exporting.run(batches, stop, now_ns).await;
            number
        });
        tracing::info!(destination = spec.name, "destination is added");
        self.running.push(Sender { spec, route, queue, spent, number, switch });
        Ok(())
    }

    /// Only those end that are no longer wanted.
    fn has_ended(&mut self, number: u64) {
        for sender in self.leaving.extract_if(.., |it| it.number == number) {
            let name = &sender.name;
            if self.running.iter().all(|running| running.spec.name != *name) {
                self.metrics.forget_destination(name);
            }
            tracing::info!(destination = name, "destination is gone");
        }
    }
}

impl Sender {
    fn target(&self, metrics: &Metrics) -> Target {
        let timeouts = self.spec.timeouts;
        Target {
            name: self.spec.name.clone(),
            number: self.number,
            timeouts: Timeouts::new(timeouts.active, timeouts.idle),
            filter: self.spec.filter.clone(),
            queue: self.queue.downgrade(),
            spent: Arc::clone(&self.spent),
            metrics: Arc::new(metrics.destination(&self.spec.name)),
        }
    }
}

#[cfg(test)]
mod tests;
