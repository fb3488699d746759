//! The loop that keeps up with the kernel: events as they come, dumps in between, records out
//! while the far end has room.
//!
//! It runs on a thread of its own, since a conntrack source waits in the kernel. Records that
//! cannot leave stay in the meter, one per connection; nothing piles up behind a slow collector.
mod denials; // what no conntrack source tells
mod orders; // what may change while it runs

use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use flow::{Batch, FlowRecord};
use tokio::sync::mpsc::{Sender, error::TrySendError};
use tokio::sync::watch;

use crate::conntrack::{ConnectionSource, DumpProgress, Entry, SourceError};
use crate::deny::{Rules, judge};
use crate::enrich::Enricher;
use crate::filter::ProtocolFilter;
use crate::meter::{Due, Meter};
use crate::metrics::Metrics;
use denials::Denials;
pub use orders::Orders;

/// Records per batch at most.
const BATCH: usize = 256;
/// Batches handed over per turn, so that events do not wait for long.
const BATCHES_PER_TURN: usize = 16;
/// How long one wait for events may last.
const PATIENCE: Duration = Duration::from_millis(100);
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
    pub filter: ProtocolFilter,
    pub metrics: Arc<Metrics>,
    orders: Option<watch::Receiver<Orders>>,
    denials: Option<Denials>,
    dumps: Dumps,
    records: Vec<FlowRecord>,
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
            source,
            meter,
            enricher,
            zones,
            poll_interval,
            filter: ProtocolFilter::ALL,
            metrics,
            orders: None,
            denials: None,
            dumps: Dumps::default(),
            records: Vec::with_capacity(BATCH),
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

    /// Makes records of what is due. Returns whether there may be more.
    pub fn due(&mut self, now: u64, mut hand_out: impl FnMut(Vec<FlowRecord>)) -> bool {
        let Self { meter, enricher, records, filter, metrics, denials, .. } = self;
        let rules = denials.as_ref().map(Denials::rules);
        let make = |due: &Due<'_>| make(enricher, due, rules, filter, records, metrics);
        let taken = meter.due(now, BATCH, make);
        if !records.is_empty() {
            hand_out(std::mem::replace(records, Vec::with_capacity(BATCH)));
        }
        taken == BATCH
    }

    /// As [`Observer::due`], for everything that has not been told.
    pub fn flush(&mut self, mut hand_out: impl FnMut(Vec<FlowRecord>)) -> bool {
        let Self { meter, enricher, records, filter, metrics, denials, .. } = self;
        let rules = denials.as_ref().map(Denials::rules);
        let make = |due: &Due<'_>| make(enricher, due, rules, filter, records, metrics);
        let taken = meter.flush(BATCH, make);
        if !records.is_empty() {
            hand_out(std::mem::take(records));
        }
        taken > 0
    }

    fn is_quiet(&self) -> bool {
        self.dumps.under_way.is_none() && self.dumps.waiting.is_empty()
    }

    /// Runs until `stop` says so, then hands out what is left. A source that fails ends this too,
    /// but what it has told before is not lost with it.
    pub fn run(
        mut self,
        queue: &Sender<Batch>,
        stop: impl Fn() -> bool,
        clock: impl Fn() -> u64,
        on_round: impl Fn(u64),
    ) -> Result<(), SourceError> {
        let observed = self.keep_up(queue, stop, &clock, on_round);
        let observed = observed.and_then(|()| self.look_once_more(&clock));
        self.hand_out_rest(queue, &clock);
        observed
    }

    fn keep_up(
        &mut self,
        queue: &Sender<Batch>,
        stop: impl Fn() -> bool,
        clock: &impl Fn() -> u64,
        on_round: impl Fn(u64),
    ) -> Result<(), SourceError> {
        while !stop() {
            self.hear(clock());
            if self.is_quiet() {
                self.source.wait(PATIENCE)?;
            }
            self.observe(clock())?;
            on_round(self.rounds());
            for _ in 0..BATCHES_PER_TURN {
                let Ok(permit) = queue.try_reserve() else { break };
                let mut permit = Some(permit);
                let more = self.due(clock(), |records| {
                    if let Some(permit) = permit.take() {
                        permit.send(records.into());
                    }
                });
                if !more {
                    break;
                }
            }
            self.metrics.observed(&self.source.tally(), &self.meter.stats());
        }
        Ok(())
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

    fn hand_out_rest(&mut self, queue: &Sender<Batch>, clock: &impl Fn() -> u64) {
        let deadline = clock() + nanoseconds(LAST_RECORDS);
        let mut abandoned = 0;
        while self.flush(|records| abandoned += send_before(queue, records, deadline, clock)) {}
        if abandoned > 0 {
            self.metrics.records_abandoned.inc_by(abandoned);
            tracing::error!(records = abandoned, "collector is away: records are lost at shutdown");
        }
        self.metrics.observed(&self.source.tally(), &self.meter.stats());
    }
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
    filter: &ProtocolFilter,
    records: &mut Vec<FlowRecord>,
    metrics: &Metrics,
) {
    // One that was let in before the filter changed.
    if !filter.allows(due.original.protocol()) {
        metrics.records_filtered.inc();
        return;
    }
    let mut record = enricher.record(due);
    if let (Some(record), Some(verdict), Some(rules)) = (&mut record, &due.denied, rules) {
        judge(record, verdict, rules);
    }
    #[cfg(feature = "faults")]
    let record = crate::faults::spoil(record);
    match record {
        Some(record) => records.push(record),
        None => {
            metrics.records_not_exportable.inc();
        }
    }
}

/// Waits for room until `deadline`. Returns how many records found none.
fn send_before(
    queue: &Sender<Batch>,
    records: Vec<FlowRecord>,
    deadline: u64,
    clock: &impl Fn() -> u64,
) -> u64 {
    let mut batch: Batch = records.into();
    loop {
        match queue.try_send(batch) {
            Ok(()) => return 0,
            Err(TrySendError::Full(back)) if clock() < deadline => {
                batch = back;
                // The far end is another thread; there is nothing to wait on but time.
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TrySendError::Full(back) | TrySendError::Closed(back)) => {
                return u64::try_from(back.len()).unwrap_or(u64::MAX);
            }
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
