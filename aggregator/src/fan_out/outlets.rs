//! The sinks behind the outlets.
//!
//! One task per outlet, which lives as long as the process: the sinks it runs follow each other,
//! and the queue stays.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use daemon::{Supervisor, now_ns};
use sinks::{Deeds, DeliverOptions, Queue, Sink, deliver};
use store::MaintenanceCounters;
use tokio::sync::{mpsc, watch};

use super::FanOut;

/// Starts, replaces and ends sinks while records flow.
pub struct Outlets {
    fan_out: FanOut,
    options: DeliverOptions,
    running: HashMap<&'static str, Running>,
}

struct Running {
    /// What the outlet's task is to do next.
    orders: mpsc::UnboundedSender<Order>,
    /// Set for the sink that runs, to let it end before its queue does.
    stop: watch::Sender<bool>,
    linger: Duration,
}

enum Order {
    /// Goes on with a queue of the outlet that was removed before.
    Open(Queue),
    Run(Run),
}

/// A sink that only has to be started. It returns the queue if it was stopped.
type Run = Box<dyn FnOnce(Queue) -> Delivering + Send>;
type Delivering = Pin<Box<dyn Future<Output = Option<Queue>> + Send>>;

impl Outlets {
    pub fn new(fan_out: FanOut, options: DeliverOptions) -> Self {
        Self { fan_out, options, running: HashMap::new() }
    }

    /// Delivers to `sink` under `name` from now on. A sink that has the name already is stopped:
    /// what it cannot deliver within [`DeliverOptions::close_within`] is left to its successor, as
    /// is all that waits.
    pub fn set<S: Sink + 'static>(
        &mut self,
        name: &'static str,
        sink: S,
        supervisor: &mut Supervisor,
    ) {
        let (stop, stopped) = watch::channel(false);
        let (options, deeds, linger) = (self.options, sink.deeds(), sink.linger());
        let run: Run = Box::new(move |queue| {
            Box::pin(deliver(sink, queue, options, stopped, || now_ns() / 1_000_000))
        });
        if let Some(running) = self.running.get_mut(name) {
            running.stop.send_replace(true);
            (running.stop, running.linger) = (stop, linger);
            if !self.fan_out.is_open(name) {
                // The task is there for as long as `orders`.
                running.orders.send(Order::Open(self.fan_out.add(name))).unwrap_or_default();
            }
            running.orders.send(Order::Run(run)).unwrap_or_default();
            self.counts(name, deeds);
            return;
        }
        let (orders, received) = mpsc::unbounded_channel();
        orders.send(Order::Run(run)).unwrap_or_default();
        supervisor.spawn(name, outlet(self.fan_out.add(name), received));
        self.running.insert(name, Running { orders, stop, linger });
        self.counts(name, deeds);
    }

    /// There is an embedded store, whose files are looked after.
    pub(crate) fn keeps(&self, counters: Arc<MaintenanceCounters>) {
        self.fan_out.keeps(counters);
    }

    fn counts(&self, name: &str, deeds: Option<Deeds>) {
        if let Some(deeds) = deeds {
            self.fan_out.counts(name, deeds);
        }
    }

    /// All sinks there are have been set: what is kept for others in the spool is forgotten.
    pub fn complete(&self) {
        if let Some(spool) = self.fan_out.spool() {
            spool.forget_others();
        }
    }

    /// Gives nothing more to the sink `name`, which ends once it has delivered what waits, or
    /// cannot.
    pub fn remove(&mut self, name: &'static str) {
        self.fan_out.remove(name);
    }

    /// How much longer than others a sink may take for its last records: no longer if the spool
    /// keeps them.
    pub fn linger(&self) -> Duration {
        let open = self.running.iter().filter(|(name, _)| self.fan_out.is_open(name));
        let longest = open.map(|(_, running)| running.linger).max();
        longest.filter(|_| self.fan_out.spool().is_none()).unwrap_or_default()
    }

    /// Ends all sinks, as [`Self::remove`] does one: the tasks that were spawned for them end.
    pub fn close(self) {
        self.fan_out.close();
    }
}

/// Runs the sinks of one outlet until no more come.
async fn outlet(queue: Queue, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut queue = Some(queue);
    while let Some(order) = orders.recv().await {
        queue = match (order, queue) {
            (Order::Open(queue), _) => Some(queue),
            (Order::Run(run), Some(queue)) => run(queue).await,
            (Order::Run(_), None) => None,
        };
    }
}

impl fmt::Debug for Outlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.running.keys()).finish()
    }
}
