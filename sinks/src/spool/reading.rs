//! A sink's queue: from memory while it keeps up, else from the log.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flow::Batch;
use store::Mark;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use super::log::Log;
use super::place::{Place, Published};
use super::reader::{Read, Reader};
use crate::DeliveryCounters;

/// Blocks, of a mebibyte in the log, that wait for a sink in memory. Sinks share them.
const BLOCKS: usize = 32;
/// The wait after a failure to open a file.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Reading {
    log: Arc<Log>,
    place: Arc<Place>,
    blocks: Receiver<Arc<Published>>,
    /// Taken from `blocks` or from the log, in order.
    ready: VecDeque<(u64, Batch)>,
    /// Away while `looking`.
    reader: Option<Reader>,
    looking: Option<JoinHandle<(Reader, u64, io::Result<Read>)>>,
    /// The number after that of the last record handed out.
    handed_out: u64,
    /// Those below were taken by the sink.
    taken: u64,
    /// Those below are in the log: they came from memory, perhaps before the log told its end.
    written: u64,
}

impl Reading {
    pub(super) fn new(log: Arc<Log>, name: &'static str, counters: Arc<DeliveryCounters>) -> Self {
        let (sender, blocks) = channel(BLOCKS);
        let place = log.add(name, |cursor, oldest, end| {
            // Who was never here begins now.
            let next = cursor.unwrap_or(end).min(end);
            Place::new(name, counters, sender, [next, oldest, end])
        });
        // Killed now, it is known to have been here.
        log.note(&place);
        let (reader, next) = (Reader::new(Arc::clone(&log)), place.next());
        Self {
            log,
            place,
            blocks,
            ready: VecDeque::new(),
            reader: Some(reader),
            looking: None,
            handed_out: next,
            taken: next,
            written: 0,
        }
    }

    /// # Cancel safety
    ///
    /// No batch is lost by dropping the future.
    pub(crate) async fn recv(&mut self) -> Option<Batch> {
        loop {
            if let Some(batch) = self.next_ready() {
                return Some(batch);
            }
            // Before looking into memory: what is published meanwhile is found there, not here.
            let end = self.log.end().max(self.written);
            if self.ready.is_empty() {
                match self.blocks.try_recv() {
                    Ok(block) => {
                        self.ready.extend(block.batches.iter().cloned());
                        continue;
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
                }
            }
            let next = self.place.next();
            let until = self.ready.front().map_or(end, |(first, _)| *first);
            let until = until.min(self.place.closed_at());
            if self.looking.is_some() || next < until {
                self.look(next, until).await;
            } else if next >= self.place.closed_at() {
                return None;
            } else if let Some(block) = self.blocks.recv().await {
                self.ready.extend(block.batches.iter().cloned());
            } else {
                return None;
            }
        }
    }

    /// The first batch of those that are ready, if nothing is missing before it.
    fn next_ready(&mut self) -> Option<Batch> {
        while let Some((first, batch)) = self.ready.pop_front() {
            let records = batch.len() as u64;
            match self.place.hand_out(first, records) {
                Ok(known) if known >= records => {}
                Ok(known) => {
                    self.handed_out = first + records;
                    let known = usize::try_from(known).unwrap_or(usize::MAX);
                    let rest = batch.get(known..).unwrap_or_default();
                    return Some(if known == 0 { batch } else { rest.to_vec().into() });
                }
                Err(_missing) => {
                    self.ready.push_front((first, batch));
                    return None;
                }
            }
        }
        None
    }

    /// Reads the log, on a thread that may block.
    async fn look(&mut self, next: u64, until: u64) {
        if self.looking.is_none() {
            let reader = self.reader.take();
            let mut reader = reader.unwrap_or_else(|| Reader::new(Arc::clone(&self.log)));
            self.looking = Some(spawn_blocking(move || {
                let read = reader.read(next, until);
                (reader, next, read)
            }));
        }
        let Some(looking) = &mut self.looking else { return };
        let found = looking.await;
        self.looking = None;
        // A reader that panicked is made anew, and fails again or does not.
        let Ok((reader, first, read)) = found else { return };
        self.reader = Some(reader);
        match read {
            Ok(Read::Records(records)) => {
                let counter = &self.place.counters.replayed;
                counter.fetch_add(records.len() as u64, Ordering::Relaxed);
                self.ready.push_front((first, records.into()));
            }
            Ok(Read::Gap { to }) => {
                let lost = self.place.pass_over(to);
                self.place.counters.unreadable.fetch_add(lost, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!(sink = self.place.name, %error, "spool cannot be read now");
                sleep(PAUSE).await;
            }
        }
    }

    pub(crate) fn counters(&self) -> &Arc<DeliveryCounters> {
        &self.place.counters
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.place.closed_at() != u64::MAX
    }

    /// The sink has the batch that was handed out last, or has refused it for good.
    pub(crate) fn took(&mut self) {
        self.taken = self.handed_out;
    }

    /// What the sink took is durable.
    pub(crate) fn acknowledge(&self) {
        self.place.acknowledge(self.taken);
    }

    /// What was handed out up to `mark` is durable.
    pub(crate) fn acknowledge_to(&self, mark: Mark) {
        if mark.log == self.log.id {
            self.place.acknowledge(mark.record.min(self.handed_out));
        }
    }

    /// Hands out again what was not acknowledged.
    pub(crate) fn rewind(&mut self) {
        self.written = self.written.max(self.handed_out);
        self.place.rewind();
        let next = self.place.next();
        (self.handed_out, self.taken) = (next, next);
        // What is being looked for comes later.
        self.looking = None;
        self.reader.iter_mut().for_each(Reader::rewind);
    }

    /// Where the log stands behind the batch that was handed out last.
    pub(crate) fn mark(&self) -> Mark {
        Mark { log: self.log.id, record: self.handed_out }
    }

    /// Numbers up to `mark` are those of records that were there, whether or not they still are.
    pub(crate) fn reserve(&mut self, mark: Mark) {
        if mark.log == self.log.id {
            self.log.extend_to(mark.record);
        }
    }

    /// The sink knows itself how far it has come.
    pub(crate) fn resume_at(&mut self, mark: Mark) {
        if mark.log == self.log.id {
            self.log.extend_to(mark.record);
            self.place.resume_at(mark.record);
        }
        let next = self.place.next();
        (self.handed_out, self.taken) = (next, next);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.place.leave();
    }
}
