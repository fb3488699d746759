//! Dumps of every zone, from time to time and after a loss.

use daemon::Chain;

use super::{Observer, nanoseconds};
use crate::conntrack::{ConnectionSource, DumpProgress, Events, SourceError};

/// Connections looked up one by one per turn: about 5 µs each.
pub(super) const LOOK_UPS_PER_TURN: usize = 512;

/// So long after the kernel last kept an event back, it may still do so. It tries again ten times
/// a second, and says so each time it fails.
const KEPT_NS: u64 = 2_000_000_000;

/// Turns that a dump which has ended may wait for all events that came before its end. More means
/// that they come faster than they are taken: the next dump must not wait for that.
pub(super) const PATIENT_TURNS: u32 = 64;

/// Which dump is under way and which come next.
#[derive(Debug, Default)]
pub(super) struct Dumps {
    pub(super) under_way: Vec<u16>,
    pub(super) waiting: Vec<u16>,
    /// The one under way has been read to its end, so many turns ago. What it does not show may
    /// have vanished; ends that happened during it must be known before that is believed.
    read: Option<u32>,
    pub(super) next_ns: u64,
    pub(super) rounds: u64,
    /// A dump of this round has failed, so the round shows less than every connection.
    failed: bool,
    /// How long this round has taken so far, in nanoseconds.
    busy_ns: u64,
    /// How often events have been kept back, and until when some may be.
    held_back: u64,
    kept_until_ns: u64,
    /// When the next failure is worth a line in the log.
    pub(super) warn_ns: u64,
}

impl<S: ConnectionSource> Observer<S> {
    /// Every zone is to be dumped, from the last of the list on.
    pub(super) fn dump_all(&mut self) {
        self.dumps.waiting = self.intake.zones.read();
        self.dumps.waiting.reverse();
    }

    /// As [`Observer::observe`], by a clock that also says how long a round of dumps takes.
    pub(super) fn observe_timed(&mut self, clock: &impl Fn() -> u64) -> Result<(), SourceError> {
        let (began, rounds) = (clock(), self.rounds());
        self.observe(began)?;
        let is_over = self.is_quiet();
        if !is_over || self.rounds() > rounds {
            self.dumps.busy_ns += clock().saturating_sub(began);
        }
        if is_over {
            let busy = std::mem::take(&mut self.dumps.busy_ns);
            if self.rounds() > rounds {
                self.metrics.antrea.polled(busy);
            }
        }
        Ok(())
    }

    /// Asks for the last counters of TCP connections that are over, which the kernel keeps for up
    /// to two minutes more.
    ///
    /// Not during a dump: what of it is still unread is older than an answer would be, and would
    /// look as if somebody had zeroed the counters.
    pub(super) fn look_up_finals(&mut self, now: u64) -> Result<(), SourceError> {
        if !self.dumps.under_way.is_empty() && self.dumps.read.is_none() {
            return Ok(());
        }
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
    pub(super) fn dump(&mut self, now: u64) -> Result<(), SourceError> {
        if self.is_quiet() || self.dumps.read.is_some() {
            return Ok(());
        }
        match self.dump_more(now) {
            Ok(DumpProgress::More) => return Ok(()),
            Ok(DumpProgress::Done) => {
                self.dumps.read = Some(0);
                // Mostly that is all there is to take.
                let events = self.take_events(now)?;
                if events.overrun {
                    self.dump_all();
                }
                self.conclude(&events, now);
            }
            Ok(DumpProgress::Interrupted) => {
                self.dumps.waiting.extend_from_slice(&self.dumps.under_way);
                self.finish_dump(false, now);
            }
            // A dump that has no memory or no socket left may have some at the next interval, and
            // until then events tell most of what there is to know.
            Err(error @ (SourceError::Dump { .. } | SourceError::Open(_))) => {
                self.note_failure(&error, now);
                self.finish_dump(false, now);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Believes a dump that has been read, once events were taken that leave none behind; or
    /// nothing of what it does not show, if there is no end of them.
    pub(super) fn conclude(&mut self, taken: &Events, now: u64) {
        let Some(turns) = &mut self.dumps.read else { return };
        *turns += 1;
        if taken.drained {
            self.finish_dump(true, now);
        } else if *turns > PATIENT_TURNS {
            self.metrics.source.dumps_overtaken.inc();
            self.finish_dump(false, now);
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

    pub(super) fn note_failure(&mut self, error: &SourceError, now: u64) {
        self.metrics.dumps_failed.inc();
        self.dumps.failed = true;
        if now >= self.dumps.warn_ns {
            self.dumps.warn_ns = now + nanoseconds(self.poll_interval);
            let retry_in = self.poll_interval;
            tracing::warn!(error = %Chain(error), ?retry_in, "counters are not up to date");
        }
    }

    fn finish_dump(&mut self, complete: bool, now: u64) {
        self.dumps.read = None;
        let complete = complete && !self.are_events_kept(now);
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
    }

    /// Whether the kernel may keep ends of connections that its table has no more: these have not
    /// vanished, and told as such they would be told again when their events come.
    fn are_events_kept(&mut self, now: u64) -> bool {
        let held_back = self.source.tally().held_back;
        if held_back != self.dumps.held_back {
            self.dumps.held_back = held_back;
            self.dumps.kept_until_ns = now + KEPT_NS;
        }
        now < self.dumps.kept_until_ns
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.dumps.under_way.is_empty() && self.dumps.waiting.is_empty()
    }
}
