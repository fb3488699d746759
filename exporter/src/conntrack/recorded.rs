//! Connections that somebody wrote down.
//!
//! For scenarios and replays: the pipeline behind the source runs as it does behind the kernel,
//! and the player decides what happens when.

use std::{
    collections::VecDeque,
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use super::{
    ConnectionSource, DumpProgress, Entry, Events, Health, Kind, SourceError, SourceTally, Tuple,
    Visit,
};

/// Entries per chunk: about what fits into one of the kernel's.
const CHUNK: usize = 100;

/// Something that happens to the table.
#[derive(Debug, Clone)]
pub enum Step {
    /// One event; its kind says which.
    Event(Entry),
    /// Events have been lost.
    Overrun,
    /// Events are kept, and come later.
    HoldBack,
    /// What dumps started from now on find, in all zones. Kinds do not matter.
    Table(Vec<Entry>),
    /// The dump started next ends as interrupted.
    InterruptDump,
    /// The dump started next fails.
    FailDump,
    /// Events can no longer be received.
    FailEvents,
}

/// The far end of a [`Recorded`] source.
#[derive(Debug, Clone)]
pub struct Player(Sender<Step>);

impl Player {
    /// Makes `step` happen when the source is next asked. Without a source it is lost.
    pub fn play(&self, step: Step) {
        self.0.send(step).ok();
    }
}

/// Replays what its [`Player`] plays.
#[derive(Debug)]
pub struct Recorded {
    steps: Receiver<Step>,
    /// Taken from `steps` but not yet told.
    next: VecDeque<Step>,
    table: Vec<Entry>,
    /// What the dump under way has still to tell.
    dump: Option<VecDeque<Entry>>,
    interrupt: bool,
    fail: bool,
    tally: SourceTally,
}

impl Recorded {
    pub fn new() -> (Player, Self) {
        let (player, steps) = channel();
        let source = Self {
            steps,
            next: VecDeque::new(),
            table: Vec::new(),
            dump: None,
            interrupt: false,
            fail: false,
            tally: SourceTally::default(),
        };
        (Player(player), source)
    }

    /// Replays `steps` and nothing else.
    pub fn replay(steps: impl IntoIterator<Item = Step>) -> Self {
        let (player, source) = Self::new();
        steps.into_iter().for_each(|step| player.play(step));
        source
    }

    fn next_step(&mut self) -> Option<Step> {
        self.next.pop_front().or_else(|| self.steps.try_recv().ok())
    }
}

impl ConnectionSource for Recorded {
    fn wait(&mut self, timeout: Duration) -> Result<(), SourceError> {
        if !self.next.is_empty() {
            return Ok(());
        }
        match self.steps.recv_timeout(timeout) {
            Ok(step) => self.next.push_back(step),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(timeout),
        }
        Ok(())
    }

    fn events(&mut self, visit: &mut Visit<'_>) -> Result<Events, SourceError> {
        let mut taken = Events { drained: true, ..Events::default() };
        while let Some(step) = self.next_step() {
            match step {
                Step::Event(entry) => {
                    visit(&entry);
                    taken.count += 1;
                    self.tally.events += 1;
                }
                Step::Overrun => {
                    taken.overrun = true;
                    self.tally.overruns += 1;
                }
                Step::HoldBack => self.tally.held_back += 1,
                Step::Table(table) => self.table = table,
                Step::InterruptDump => self.interrupt = true,
                Step::FailDump => self.fail = true,
                Step::FailEvents => return Err(SourceError::Events(on_purpose())),
            }
        }
        Ok(taken)
    }

    fn dumps_apart(&self) -> bool {
        true
    }

    fn start_dump(&mut self, zones: &[u16]) -> Result<(), SourceError> {
        self.dump = None;
        if std::mem::take(&mut self.fail) {
            return Err(SourceError::Dump { zones: zones.to_vec(), source: on_purpose() });
        }
        let in_zone = self.table.iter().filter(|entry| zones.contains(&entry.zone));
        self.dump = Some(in_zone.map(|entry| Entry { kind: Kind::Dump, ..*entry }).collect());
        self.tally.dumps += 1;
        Ok(())
    }

    fn next_chunk(&mut self, visit: &mut Visit<'_>) -> Result<DumpProgress, SourceError> {
        let mut left = self.dump.take().ok_or(SourceError::NoDump)?;
        for entry in left.drain(..CHUNK.min(left.len())) {
            visit(&entry);
            self.tally.dump_entries += 1;
        }
        if !left.is_empty() {
            self.dump = Some(left);
            return Ok(DumpProgress::More);
        }
        if std::mem::take(&mut self.interrupt) {
            self.tally.dumps_interrupted += 1;
            return Ok(DumpProgress::Interrupted);
        }
        Ok(DumpProgress::Done)
    }

    fn look_up(
        &mut self,
        zone: u16,
        original: &Tuple,
        visit: &mut Visit<'_>,
    ) -> Result<bool, SourceError> {
        let is_meant = |entry: &&Entry| (entry.zone, &entry.original) == (zone, original);
        self.tally.look_ups += 1;
        let found = self.table.iter().find(is_meant);
        match found {
            Some(entry) => visit(&Entry { kind: Kind::Update, ..*entry }),
            None => self.tally.look_ups_missed += 1,
        }
        Ok(found.is_some())
    }

    fn health(&self) -> Option<Health> {
        None
    }

    fn tally(&self) -> SourceTally {
        self.tally
    }
}

fn on_purpose() -> io::Error {
    io::Error::other("the player wants it so")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::Tuple;

    fn entry(id: u32, zone: u16) -> Entry {
        let end = ([10, 0, 0, 1].into(), 1);
        let tuple = Tuple::new(end, end, 17);
        Entry { zone, id, ..Entry::new(Kind::New, tuple, tuple) }
    }

    #[test]
    fn events_come_in_the_order_played() {
        let steps = [Step::Event(entry(1, 0)), Step::Overrun, Step::Event(entry(2, 0))];
        let mut source = Recorded::replay(steps);
        let mut ids = Vec::new();
        source.wait(Duration::from_mins(1)).unwrap();
        let events = source.events(&mut |entry| ids.push(entry.id)).unwrap();
        assert_eq!(events, Events { count: 2, overrun: true, drained: true });
        assert_eq!(ids, [1, 2]);
    }

    #[test]
    fn a_dump_shows_one_zone_in_chunks() {
        let table = (0..250).map(|id| entry(id, 5)).chain([entry(999, 6)]).collect();
        let (player, mut source) = Recorded::new();
        player.play(Step::Table(table));
        player.play(Step::InterruptDump);
        source.events(&mut |_| {}).unwrap();
        for end in [DumpProgress::Interrupted, DumpProgress::Done] {
            source.start_dump(&[5]).unwrap();
            let (mut ids, mut progress) = (Vec::new(), Vec::new());
            while progress.last().is_none_or(|&last| last == DumpProgress::More) {
                progress.push(source.next_chunk(&mut |entry| ids.push(entry.id)).unwrap());
            }
            assert_eq!(progress, [DumpProgress::More, DumpProgress::More, end]);
            assert_eq!(ids, (0..250).collect::<Vec<_>>());
        }
        assert!(matches!(source.next_chunk(&mut |_| {}), Err(SourceError::NoDump)));
    }
}
