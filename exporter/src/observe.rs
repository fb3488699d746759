//! The loop that keeps up with the kernel: events as they come, dumps in between, records out
//! while the far end has room.
//!
//! It runs on a thread of its own, since a conntrack source waits in the kernel. Records that
//! cannot leave stay in the meter, one per connection; nothing piles up behind a slow collector,
//! and no destination waits for another.
mod denials; // what no conntrack source tells
mod orders; // what may change while it runs
mod outlets; // who is told

use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use flow::FlowRecord;
use tokio::sync::watch;

use crate::conntrack::{ConnectionSource, DumpProgress, Entry, SourceError};
use crate::deny::{Rules, judge};
use crate::enrich::Enricher;
use crate::filter::ProtocolFilter;
use crate::meter::{Due, Meter, Offer, Set};
use crate::metrics::Metrics;
use crate::names::{Live, Waiting};
use denials::Denials;
pub use orders::Orders;
use outlets::Outlet;
pub use outlets::Target;

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
    pub zones: Vec<u16>,
    pub poll_interval: Duration,
    /// What any destination wants.
    pub filter: ProtocolFilter,
    pub metrics: Arc<Metrics>,
    /// Which connections that have ended wait for their names.
    pub waiting: Waiting,
    /// Where names come from, if that can be hurried.
    pub live: Option<Live>,
    orders: Option<watch::Receiver<Orders>>,
    denials: Option<Denials>,
    outlets: Vec<Outlet>,
    dumps: Dumps,
}

/// Which dump is under way and which come next.
#[derive(Debug, Default)]
struct Dumps {
    under_way: Option<u16>,
    waiting: Vec<u16>,
    next_ns: u64,
    rounds: u64,
    /// A dump of this round has failed, so the round shows less than every connection.
    failed: bool,
    /// When the next failure is worth a line in the log.
    warn_ns: u64,
}

impl<S: ConnectionSource> Observer<S> {
    pub fn new(
        source: S,
        meter: Meter,
        enricher: Enricher,
        zones: Vec<u16>,
        poll_interval: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            waiting: Waiting::new(Arc::clone(enricher.counts())),
            live: None,
            source,
            meter,
            enricher,
            zones,
            poll_interval,
            filter: ProtocolFilter::ALL,
            metrics,
            orders: None,
            denials: None,
            outlets: Vec::new(),
            dumps: Dumps::default(),
        }
    }

    /// How often every zone has been dumped without one of the dumps failing.
    pub fn rounds(&self) -> u64 {
        self.dumps.rounds
    }

    /// Takes what the kernel has to say at `now` (nanoseconds since 1970).
    pub fn observe(&mut self, now: u64) -> Result<(), SourceError> {
        self.take_denied(now);
        let overrun = self.take_events(now)?;
        if overrun || now >= self.dumps.next_ns {
            self.dumps.waiting.clone_from(&self.zones);
            self.dumps.next_ns = now + nanoseconds(self.poll_interval);
        }
        self.dump(now)
    }

    /// Returns whether events were lost.
    fn take_events(&mut self, now: u64) -> Result<bool, SourceError> {
        let Self { source, meter, filter, metrics, .. } = self;
        let events = source.events(&mut |entry| take(meter, entry, filter, metrics, now))?;
        Ok(events.overrun)
    }

    /// Goes on with the dump under way, or begins the next.
    fn dump(&mut self, now: u64) -> Result<(), SourceError> {
        let next = self.dumps.under_way.or_else(|| self.dumps.waiting.pop());
        let Some(zone) = next else { return Ok(()) };
        match self.dump_more(zone, now) {
            Ok(DumpProgress::More) => Ok(()),
            Ok(DumpProgress::Done) => self.finish_dump(zone, true, now),
            Ok(DumpProgress::Interrupted) => {
                self.dumps.waiting.push(zone);
                self.finish_dump(zone, false, now)
            }
            // A dump that has no memory or no socket left may have some at the next interval, and
            // until then events tell most of what there is to know.
            Err(error @ (SourceError::Dump { .. } | SourceError::Open(_))) => {
                self.note_failure(zone, &error, now);
                self.finish_dump(zone, false, now)
            }
            Err(error) => Err(error),
        }
    }

    fn dump_more(&mut self, zone: u16, now: u64) -> Result<DumpProgress, SourceError> {
        if self.dumps.under_way.is_none() {
            self.dumps.under_way = Some(zone);
            self.meter.dump_started(zone);
            self.source.start_dump(zone)?;
        }
        let Self { source, meter, filter, metrics, .. } = self;
        source.next_chunk(&mut |entry| take(meter, entry, filter, metrics, now))
    }

    fn note_failure(&mut self, zone: u16, error: &SourceError, now: u64) {
        self.metrics.dumps_failed.inc();
        self.dumps.failed = true;
        if now >= self.dumps.warn_ns {
            self.dumps.warn_ns = now + nanoseconds(self.poll_interval);
            let retry_in = self.poll_interval;
            tracing::warn!(zone, error = %Chain(error), ?retry_in, "counters are not up to date");
        }
    }

    fn finish_dump(&mut self, zone: u16, complete: bool, now: u64) -> Result<(), SourceError> {
        // Ends that happened during the dump must be known before anything counts as vanished.
        loop {
            let Self { source, meter, filter, metrics, .. } = &mut *self;
            let events = source.events(&mut |entry| take(meter, entry, filter, metrics, now))?;
            if events.overrun {
                self.dumps.waiting.clone_from(&self.zones);
            }
            if events.drained {
                break;
            }
        }
        self.meter.dump_finished(zone, complete);
        self.dumps.under_way = None;
        if self.dumps.waiting.is_empty() {
            self.dumps.rounds += u64::from(!std::mem::take(&mut self.dumps.failed));
        }
        Ok(())
    }

    /// Hands records of what is due to every destination that has room for a batch: first what it
    /// is owed, then what is new. What has ended and lacks names waits for them. Returns whether
    /// there may be more.
    pub fn hand_out(&mut self, now: u64) -> bool {
        let Self { meter, enricher, outlets, metrics, waiting, denials, .. } = self;
        let rules = denials.as_ref().map(Denials::rules);
        let waits = |due: &Due<'_>| waiting.holds(due, now, |due| enricher.is_settled(due));
        let make = |due: &Due<'_>| make(enricher, due, rules, metrics);
        tell(meter, outlets, make, |meter, ready, report| {
            meter.due(now, BATCH, ready, waits, report)
        })
    }

    /// As [`Observer::hand_out`], for everything that has not been told. Returns whether there was
    /// anything.
    fn flush(&mut self) -> bool {
        let mut told = 0;
        let Self { meter, enricher, outlets, metrics, denials, .. } = self;
        let rules = denials.as_ref().map(Denials::rules);
        let make = |due: &Due<'_>| make(enricher, due, rules, metrics);
        let may_be_more = tell(meter, outlets, make, |meter, ready, report| {
            told = meter.flush(BATCH, ready, report);
            told
        });
        may_be_more || told > 0
    }

    fn is_quiet(&self) -> bool {
        self.dumps.under_way.is_none() && self.dumps.waiting.is_empty()
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
            self.observe(clock())?;
            on_round(self.rounds());
            let is_behind = self.turn(clock());
            patience = if is_behind { LITTLE_PATIENCE } else { PATIENCE };
            self.count();
        }
        Ok(())
    }

    /// Hands out for a while, but not so long that events wait. Returns whether something is left
    /// that could leave soon.
    pub(crate) fn turn(&mut self, now: u64) -> bool {
        let mut more = true;
        for _ in 0..BATCHES_PER_TURN {
            more = more && self.hand_out(now);
        }
        if let Some(live) = self.live.as_mut().filter(|_| self.meter.stats().held > 0) {
            live.want(now);
        }
        more || self.outlets.iter().any(|outlet| !outlet.has_room())
    }

    fn count(&self) {
        let stats = self.meter.stats();
        self.metrics.observed(&self.source.tally(), &stats);
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
        while self.flush() || self.is_untold() && clock() < deadline {
            if !self.outlets.iter().any(Outlet::has_room) {
                // The far ends are other threads; there is nothing to wait on but time.
                std::thread::sleep(Duration::from_millis(5));
            }
            if clock() >= deadline {
                break;
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
        self.count();
    }

    /// Whether anything is left for somebody who is still there.
    fn is_untold(&self) -> bool {
        self.outlets.iter().any(|outlet| !outlet.is_gone() && self.meter.untold(outlet.id) > 0)
    }
}

/// Tells what is owed, and then what is due. Returns whether there may be more.
fn tell(
    meter: &mut Meter,
    outlets: &mut [Outlet],
    make: impl Fn(&Due<'_>) -> Option<Arc<FlowRecord>>,
    due: impl FnOnce(&mut Meter, Set, &mut dyn FnMut(&Due<'_>, Offer) -> Set) -> usize,
) -> bool {
    let mut ready = Set::EMPTY;
    let mut most = 0;
    for outlet in outlets.iter_mut().filter(|outlet| outlet.has_room()) {
        let paid = meter.pay(outlet.id, BATCH, |due| {
            if let Some(record) = make(due) {
                outlet.take(&record);
            }
        });
        most = most.max(paid);
        if meter.lag(outlet.id).owed == 0 {
            ready.insert(outlet.id);
        }
    }
    let told = due(meter, ready, &mut |due, offer| {
        let Some(record) = make(due) else { return Set::EMPTY };
        let mut owed = Set::EMPTY;
        for outlet in outlets.iter_mut() {
            if offer.to.contains(outlet.id) {
                outlet.take(&record);
            } else if offer.late.contains(outlet.id) && outlet.wants(&record) {
                owed.insert(outlet.id);
            }
        }
        owed
    });
    outlets.iter_mut().for_each(Outlet::send);
    most.max(told) == BATCH
}

fn take(meter: &mut Meter, entry: &Entry, filter: &ProtocolFilter, metrics: &Metrics, now: u64) {
    if !filter.allows(entry.original.protocol()) {
        metrics.entries_filtered.inc();
        return;
    }
    #[cfg(feature = "faults")]
    if crate::faults::hides(entry) {
        return;
    }
    meter.observe(entry, now);
}

fn make(
    enricher: &Enricher,
    due: &Due<'_>,
    rules: Option<&Rules>,
    metrics: &Metrics,
) -> Option<Arc<FlowRecord>> {
    let mut record = enricher.record(due);
    if let (Some(record), Some(verdict), Some(rules)) = (&mut record, &due.denied, rules) {
        judge(record, verdict, rules);
    }
    #[cfg(feature = "faults")]
    let record = crate::faults::spoil(record);
    if record.is_none() {
        metrics.records_not_exportable.inc();
    }
    record.map(Arc::new)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
