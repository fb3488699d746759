//! The loop that keeps up with the kernel: events as they come, dumps in between, records out
//! while the far end has room.
//!
//! It runs on a thread of its own, since a conntrack source waits in the kernel. Records that
//! cannot leave stay in the meter, one per connection; nothing piles up behind a slow collector.
mod orders; // what may change while it runs
mod intake; // what becomes of an entry
mod upkeep; // what keeps the kernel from telling more

use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use flow::{Batch, FlowRecord};
use tokio::sync::mpsc::{Sender, error::TrySendError};
use tokio::sync::watch;

use crate::clients::Clients;
use crate::conntrack::{ConnectionSource, DumpProgress, SourceError};
use crate::enrich::Enricher;
use crate::filter::ProtocolFilter;
use crate::meter::{Due, Meter};
use crate::metrics::Metrics;
use crate::zones::Zones;
use intake::{Gate, Intake};
pub use orders::Orders;
use upkeep::Upkeep;

/// Records per batch at most.
const BATCH: usize = 256;
/// Batches handed over per turn, so that events do not wait for long.
const BATCHES_PER_TURN: usize = 16;
/// Connections looked up one by one per turn: about 5 µs each.
const LOOK_UPS_PER_TURN: usize = 512;
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
    pub poll_interval: Duration,
    pub filter: ProtocolFilter,
    pub metrics: Arc<Metrics>,
    intake: Intake,
    upkeep: Upkeep,
    orders: Option<watch::Receiver<Orders>>,
    dumps: Dumps,
    records: Vec<FlowRecord>,
}

/// Which dump is under way and which come next.
#[derive(Debug, Default)]
struct Dumps {
    under_way: Vec<u16>,
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
        zones: Zones,
        poll_interval: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            source,
            meter,
            enricher,
            poll_interval,
            filter: ProtocolFilter::ALL,
            metrics,
            intake: Intake::new(zones),
            upkeep: Upkeep::default(),
            orders: None,
            dumps: Dumps::default(),
            records: Vec::with_capacity(BATCH),
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
        let overrun = self.take_events(now)?;
        if overrun || now >= self.dumps.next_ns {
            self.dump_all();
            self.dumps.next_ns = now + nanoseconds(self.poll_interval);
        }
        self.look_up_finals(now)?;
        self.intake.clients.forget(now);
        self.dump(now)
    }

    /// Returns whether events were lost.
    fn take_events(&mut self, now: u64) -> Result<bool, SourceError> {
        let (source, mut gate) = self.gate(now);
        Ok(source.events(&mut |entry| gate.take(entry))?.overrun)
    }

    /// The source, and what its entries have to pass.
    fn gate(&mut self, now: u64) -> (&mut S, Gate<'_>) {
        let Self { source, intake, meter, enricher, filter, metrics, .. } = self;
        let cluster = enricher.cluster();
        (source, Gate { intake, meter, cluster, filter, metrics, now })
    }

    /// Every zone is to be dumped, from the last of the list on.
    fn dump_all(&mut self) {
        self.dumps.waiting = self.intake.zones.read();
        self.dumps.waiting.reverse();
    }

    /// Asks for the last counters of TCP connections that are over, which the kernel keeps for up
    /// to two minutes more.
    fn look_up_finals(&mut self, now: u64) -> Result<(), SourceError> {
        for _ in 0..LOOK_UPS_PER_TURN {
            let Some((zone, tuple, id)) = self.intake.next_final() else { break };
            let (source, mut gate) = self.gate(now);
            // Another one may have the tuple by now.
            let looked = source.look_up(zone, &tuple, &mut |entry| {
                if entry.id == id {
                    gate.take(entry);
                }
            });
            match looked {
                Ok(_) => {}
                // Its end tells the same, later.
                Err(SourceError::LookUp(_) | SourceError::Open(_)) => {
                    self.metrics.source.look_ups_failed.inc();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes on with the dump under way, or begins the next.
    fn dump(&mut self, now: u64) -> Result<(), SourceError> {
        if self.is_quiet() {
            return Ok(());
        }
        match self.dump_more(now) {
            Ok(DumpProgress::More) => Ok(()),
            Ok(DumpProgress::Done) => self.finish_dump(true, now),
            Ok(DumpProgress::Interrupted) => {
                self.dumps.waiting.extend_from_slice(&self.dumps.under_way);
                self.finish_dump(false, now)
            }
            // A dump that has no memory or no socket left may have some at the next interval, and
            // until then events tell most of what there is to know.
            Err(error @ (SourceError::Dump { .. } | SourceError::Open(_))) => {
                self.note_failure(&error, now);
                self.finish_dump(false, now)
            }
            Err(error) => Err(error),
        }
    }

    fn dump_more(&mut self, now: u64) -> Result<DumpProgress, SourceError> {
        if self.dumps.under_way.is_empty() {
            self.start_dump()?;
        }
        let (source, mut gate) = self.gate(now);
        source.next_chunk(&mut |entry| gate.take(entry))
    }

    /// One zone at a time, so that the failure of one costs no other; all at once where the
    /// kernel would walk and tell the whole table for each.
    fn start_dump(&mut self) -> Result<(), SourceError> {
        let Dumps { under_way, waiting, .. } = &mut self.dumps;
        let at = if self.source.dumps_apart() { waiting.len().saturating_sub(1) } else { 0 };
        *under_way = waiting.split_off(at);
        for &zone in &*under_way {
            if self.intake.zones.tells_clients(zone) {
                self.intake.clients.dump_started();
            } else {
                self.meter.dump_started(zone);
            }
        }
        self.source.start_dump(under_way)
    }

    fn note_failure(&mut self, error: &SourceError, now: u64) {
        self.metrics.dumps_failed.inc();
        self.dumps.failed = true;
        if now >= self.dumps.warn_ns {
            self.dumps.warn_ns = now + nanoseconds(self.poll_interval);
            let retry_in = self.poll_interval;
            tracing::warn!(error = %Chain(error), ?retry_in, "counters are not up to date");
        }
    }

    fn finish_dump(&mut self, complete: bool, now: u64) -> Result<(), SourceError> {
        // Ends that happened during the dump must be known before anything counts as vanished.
        loop {
            let (source, mut gate) = self.gate(now);
            let events = source.events(&mut |entry| gate.take(entry))?;
            if events.overrun {
                self.dump_all();
            }
            if events.drained {
                break;
            }
        }
        for zone in std::mem::take(&mut self.dumps.under_way) {
            if self.intake.zones.tells_clients(zone) {
                self.intake.clients.dump_finished(complete, now);
            } else {
                self.meter.dump_finished(zone, complete);
            }
        }
        if self.dumps.waiting.is_empty() {
            self.dumps.rounds += u64::from(!std::mem::take(&mut self.dumps.failed));
        }
        Ok(())
    }

    /// Makes records of what is due. Returns whether there may be more.
    pub fn due(&mut self, now: u64, mut hand_out: impl FnMut(Vec<FlowRecord>)) -> bool {
        let Self { meter, enricher, intake, records, filter, metrics, .. } = self;
        let make = |due: &Due<'_>| make(enricher, &intake.clients, due, filter, records, metrics);
        let taken = meter.due(now, BATCH, make);
        if !records.is_empty() {
            hand_out(std::mem::replace(records, Vec::with_capacity(BATCH)));
        }
        taken == BATCH
    }

    /// As [`Observer::due`], for everything that has not been told.
    pub fn flush(&mut self, mut hand_out: impl FnMut(Vec<FlowRecord>)) -> bool {
        let Self { meter, enricher, intake, records, filter, metrics, .. } = self;
        let make = |due: &Due<'_>| make(enricher, &intake.clients, due, filter, records, metrics);
        let taken = meter.flush(BATCH, make);
        if !records.is_empty() {
            hand_out(std::mem::take(records));
        }
        taken > 0
    }

    fn is_quiet(&self) -> bool {
        self.dumps.under_way.is_empty() && self.dumps.waiting.is_empty()
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
            self.tell(clock());
        }
        Ok(())
    }

    /// Has everybody see how things are.
    fn tell(&mut self, now: u64) {
        let next = now + nanoseconds(self.poll_interval);
        if self.upkeep.is_due(now, next)
            && let Some(health) = self.source.health()
        {
            self.upkeep.look_at(&health, &self.metrics);
        }
        let stats = self.meter.stats();
        self.upkeep.look_at_resets(&stats);
        self.metrics.observed(&self.source.tally(), &stats);
        self.metrics.source.clients(&self.intake.clients.tally());
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
        self.tell(clock());
    }
}

fn make(
    enricher: &Enricher,
    clients: &Clients,
    due: &Due<'_>,
    filter: &ProtocolFilter,
    records: &mut Vec<FlowRecord>,
    metrics: &Metrics,
) {
    // One that was let in before the filter changed.
    if !filter.allows(due.original.protocol()) {
        metrics.records_filtered.inc();
        return;
    }
    let client = clients.find(due).map(|client| client.connection(due));
    let record = match &client {
        Some((original, reply)) => {
            metrics.source.clients_found.inc();
            enricher.record(&Due { original, reply, ..due.clone() })
        }
        None => enricher.record(due),
    };
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
