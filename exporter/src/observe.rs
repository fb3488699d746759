//! The loop that keeps up with the kernel: events as they come, dumps in between, records out
//! while the far end has room.
//!
//! It runs on a thread of its own, since a conntrack source waits in the kernel. Records that
//! cannot leave stay in the meter, one per connection; nothing piles up behind a slow collector,
//! and no destination waits for another.
mod orders; // what may change while it runs
mod intake; // what becomes of an entry
mod denials; // what no conntrack source tells
mod dumps; // every connection, from time to time
mod upkeep; // what keeps the kernel from telling more
mod outlets; // who is told
mod telling; // records out

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clients::Clients;
use crate::conntrack::{ConnectionSource, Events, SourceError};
use crate::enrich::Enricher;
use crate::export::Spares;
use crate::filter::ProtocolFilter;
use crate::meter::Meter;
use crate::metrics::Metrics;
use crate::names::{Live, Waiting};
use crate::zones::Zones;
use denials::Denials;
use dumps::Dumps;
use intake::{Gate, Intake};
pub use orders::Orders;
use outlets::Outlet;
pub use outlets::Target;
use upkeep::Upkeep;

/// Records per batch at most; and as many again where some were owed.
const BATCH: usize = 256;
/// Batches handed over per turn, so that events do not wait for long.
const BATCHES_PER_TURN: usize = 16;
/// How long one wait for events may last.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long it may last while there are records that could not be handed over yet.
const LITTLE_PATIENCE: Duration = Duration::from_millis(10);
/// How long a last dump may take at shutdown, and then the wait for room for the last records.
const LAST_DUMP: Duration = Duration::from_millis(500);
const LAST_RECORDS: Duration = Duration::from_millis(800);

/// A source, a meter, and what makes records of connections.
#[derive(Debug)]
pub struct Observer<S> {
    pub source: S,
    pub meter: Meter,
    pub enricher: Enricher,
    pub poll_interval: Duration,
    /// What any destination wants.
    pub filter: ProtocolFilter,
    pub metrics: Arc<Metrics>,
    /// Which connections that have ended wait for their names.
    pub waiting: Waiting,
    /// Where names come from, if that can be hurried.
    pub live: Option<Live>,
    intake: Intake,
    upkeep: Upkeep,
    orders: Option<watch::Receiver<Orders>>,
    denials: Option<Denials>,
    outlets: Vec<Outlet>,
    spares: Spares,
    dumps: Dumps,
}

impl<S: ConnectionSource> Observer<S> {
    pub fn new(
        source: S,
        meter: Meter,
        enricher: Enricher,
        zones: Zones,
        poll_interval: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            waiting: Waiting::new(Arc::clone(enricher.counts())),
            live: None,
            source,
            meter,
            enricher,
            poll_interval,
            filter: ProtocolFilter::ALL,
            metrics,
            intake: Intake::new(zones),
            upkeep: Upkeep::default(),
            orders: None,
            denials: None,
            outlets: Vec::new(),
            spares: Spares::default(),
            dumps: Dumps::default(),
        }
    }

    /// How often every zone has been dumped without one of the dumps failing.
    pub fn rounds(&self) -> u64 {
        self.dumps.rounds
    }

    /// Who the clients from outside are.
    pub fn clients(&self) -> &Clients {
        &self.intake.clients
    }

    /// Takes what the kernel has to say at `now` (nanoseconds since 1970).
    pub fn observe(&mut self, now: u64) -> Result<(), SourceError> {
        self.take_denied(now);
        let events = self.take_events(now)?;
        if events.overrun || now >= self.dumps.next_ns {
            self.dump_all();
            self.dumps.next_ns = now + nanoseconds(self.poll_interval);
        }
        self.conclude(&events, now);
        self.look_up_finals(now)?;
        self.intake.clients.forget(now);
        self.dump(now)
    }

    /// Takes events, as many as one turn may.
    fn take_events(&mut self, now: u64) -> Result<Events, SourceError> {
        let (source, mut gate) = self.gate(now);
        source.events(&mut |entry| gate.take(entry))
    }

    /// The source, and what its entries have to pass.
    fn gate(&mut self, now: u64) -> (&mut S, Gate<'_>) {
        let Self { source, intake, meter, enricher, filter, metrics, .. } = self;
        let cluster = enricher.cluster();
        (source, Gate { intake, meter, cluster, filter, metrics, now })
    }

    /// Runs until `stop` says so, then hands out what is left. A source that fails ends this too,
    /// but what it has told before is not lost with it.
    pub fn run(
        mut self,
        stop: impl Fn() -> bool,
        clock: impl Fn() -> u64,
        on_round: impl Fn(u64),
    ) -> Result<(), SourceError> {
        let observed = self.keep_up(stop, &clock, on_round);
        let observed = observed.and_then(|()| self.look_once_more(&clock));
        self.hand_out_rest(&clock);
        observed
    }

    fn keep_up(
        &mut self,
        stop: impl Fn() -> bool,
        clock: &impl Fn() -> u64,
        on_round: impl Fn(u64),
    ) -> Result<(), SourceError> {
        let mut patience = PATIENCE;
        while !stop() {
            self.hear(clock());
            if self.is_quiet() {
                self.source.wait(patience)?;
            }
            self.observe_timed(clock)?;
            on_round(self.rounds());
            let is_behind = self.turn(clock());
            patience = if is_behind { LITTLE_PATIENCE } else { PATIENCE };
            self.count(clock());
        }
        Ok(())
    }

    /// Hands out for a while, but not so long that events wait. Returns whether something is left
    /// that could leave soon.
    pub fn turn(&mut self, now: u64) -> bool {
        let mut more = true;
        for _ in 0..BATCHES_PER_TURN {
            more = more && self.hand_out(now);
        }
        if let Some(live) = self.live.as_mut().filter(|_| self.meter.stats().held > 0) {
            live.want(now);
        }
        more || self.outlets.iter().any(|outlet| !outlet.has_room())
    }

    /// Has everybody see how things are.
    fn count(&mut self, now: u64) {
        let next = now + nanoseconds(self.poll_interval);
        if self.upkeep.is_due(now, next)
            && let Some(health) = self.source.health()
        {
            self.upkeep.look_at(&health, &self.metrics);
        }
        let stats = self.meter.stats();
        self.upkeep.look_at_resets(&stats);
        self.upkeep.look_at_overruns(self.source.tally().overruns, now, next);
        self.metrics.source.clients(&self.intake.clients.tally());
        self.metrics.observed(&self.source.tally(), &stats);
        let zones = self.intake.zones.counted().iter();
        let recorded = zones.map(|&zone| self.meter.live_in(zone)).sum();
        self.metrics.antrea.observed(recorded, stats.denied);
        self.waiting.count(&stats);
        for outlet in &self.outlets {
            outlet.metrics().lags(&self.meter.lag(outlet.id));
        }
    }

    /// Dumps every zone a last time, as far as there is time for it.
    fn look_once_more(&mut self, clock: &impl Fn() -> u64) -> Result<(), SourceError> {
        let deadline = clock() + nanoseconds(LAST_DUMP);
        self.dumps.next_ns = 0;
        self.observe(clock())?;
        while !self.is_quiet() && clock() < deadline {
            self.observe(clock())?;
        }
        Ok(())
    }

    /// Hands out everything, as far as there is room before there is no time left.
    fn hand_out_rest(&mut self, clock: &impl Fn() -> u64) {
        let deadline = clock() + nanoseconds(LAST_RECORDS);
        loop {
            let is_told = self.flush();
            if !is_told && !self.is_untold() || clock() >= deadline {
                break;
            }
            if !is_told {
                // The far ends are other threads; there is nothing to wait on but time.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        for outlet in &self.outlets {
            let records = self.meter.untold(outlet.id);
            if records > 0 {
                outlet.metrics().abandon(records);
                let destination = outlet.name();
                tracing::error!(
                    destination,
                    records,
                    "collector is away: records are lost at shutdown"
                );
            }
        }
        self.count(clock());
    }

    /// Whether anything is left for somebody who is still there.
    fn is_untold(&self) -> bool {
        self.outlets.iter().any(|outlet| !outlet.is_gone() && self.meter.untold(outlet.id) > 0)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
