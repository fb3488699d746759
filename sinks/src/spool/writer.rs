//! The thread that writes. It alone touches files of the log but to read them, so that neither a
//! slow disk nor a slow sink is anything that correlation waits for.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use flow::{Batch, FlowRecord};
use tokio::sync::{Notify, oneshot};

use super::block::{BLOCK_RECORDS, BLOCK_SIZE, HEADER, Header};
use super::codec;
use super::log::Log;
use super::place::Published;
use super::sync::Syncing;
use super::threads::Threads;

/// Records that wait to be written at most.
const QUEUED: usize = 262_144;
/// How often cursors are noted and segments removed.
const TIDY: Duration = Duration::from_millis(200);
/// How long the end of a process may take here.
const END: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Order {
    Append(Batch),
    Remove(&'static str),
    Close,
    Finish(oneshot::Sender<()>),
}

/// What the thread is told. Its clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    sender: Sender<Order>,
    waiting: Arc<Waiting>,
    threads: Threads,
}

#[derive(Debug, Default)]
struct Waiting {
    records: AtomicUsize,
    fewer: Notify,
    /// There was no room for longer than anybody waits, and nothing was written since.
    stuck: AtomicBool,
}

impl Orders {
    /// Returns whether there was room.
    pub(super) fn append(&self, batch: &Batch) -> bool {
        let records = batch.len();
        let waiting = self.waiting.records.fetch_add(records, Ordering::AcqRel);
        let taken = waiting + records <= QUEUED
            && self.sender.send(Order::Append(Batch::clone(batch))).is_ok();
        if !taken {
            self.waiting.records.fetch_sub(records, Ordering::AcqRel);
        }
        taken
    }

    pub(super) async fn room(&self) {
        loop {
            let fewer = self.waiting.fewer.notified();
            if self.waiting.records.load(Ordering::Acquire) <= QUEUED / 2 {
                return;
            }
            fewer.await;
        }
    }

    /// As [`Self::room`], but once it was in vain, no longer than until something is written.
    pub(super) async fn room_unless_stuck(&self, patience: Duration) {
        if !self.waiting.stuck.load(Ordering::Acquire)
            && tokio::time::timeout(patience, self.room()).await.is_err()
        {
            self.waiting.stuck.store(true, Ordering::Release);
        }
    }

    pub(super) async fn any_panic(&self) -> &'static str {
        self.threads.any_panic().await
    }

    // A thread that is no more has closed everything already.
    pub(super) fn remove(&self, name: &'static str) {
        self.sender.send(Order::Remove(name)).unwrap_or_default();
    }

    pub(super) fn close(&self) {
        self.sender.send(Order::Close).unwrap_or_default();
    }

    pub(super) async fn finish(&self) {
        let (done, finished) = oneshot::channel();
        if self.sender.send(Order::Finish(done)).is_ok()
            && !matches!(tokio::time::timeout(END, finished).await, Ok(Ok(())))
        {
            tracing::warn!(within = ?END, "the spool could not be made durable");
        }
    }
}

/// Starts the thread; it ends when nobody can tell it anything any more.
pub(super) fn start(log: Arc<Log>, durable_within: Option<Duration>) -> io::Result<Orders> {
    let threads = Threads::default();
    let syncing = |within| Syncing::start(Arc::clone(&log), within, &threads);
    let syncing = durable_within.map(syncing).transpose()?;
    let (sender, received) = mpsc::channel();
    let waiting = Arc::<Waiting>::default();
    let writer = Writer {
        next: log.end(),
        log,
        orders: received,
        waiting: Arc::clone(&waiting),
        syncing,
        codec: codec::Writer::new(),
        segment: None,
        block: Vec::new(),
        records: 0,
        batches: Vec::new(),
        failing: false,
    };
    threads.start("spool", move || writer.run())?;
    Ok(Orders { sender, waiting, threads })
}

#[derive(Debug)]
struct Writer {
    log: Arc<Log>,
    orders: Receiver<Order>,
    waiting: Arc<Waiting>,
    syncing: Option<Syncing>,
    codec: codec::Writer,
    segment: Option<Segment>,
    /// The number of the next record.
    next: u64,
    /// The block being made: room for its header, and its content.
    block: Vec<u8>,
    /// How many records are in it.
    records: u32,
    /// What the sinks get once it is written.
    batches: Vec<(u64, Batch)>,
    failing: bool,
}

#[derive(Debug)]
struct Segment {
    file: Arc<File>,
    length: u64,
}

impl Writer {
    fn run(mut self) {
        let mut tidied = Instant::now();
        loop {
            match self.orders.recv_timeout(TIDY.saturating_sub(tidied.elapsed())) {
                Ok(Order::Append(batch)) => self.append_all(batch),
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if tidied.elapsed() >= TIDY {
                self.log.tidy();
                tidied = Instant::now();
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Append(batch) => self.append_all(batch),
            Order::Remove(name) => {
                let places = self.log.places();
                for place in places.iter().filter(|place| place.name == name) {
                    place.close(self.next, true);
                }
            }
            Order::Close => {
                for place in self.log.places().iter() {
                    place.close(self.next, false);
                }
            }
            Order::Finish(done) => {
                self.log.tidy();
                if let (Some(_), Some(segment)) = (&self.syncing, &self.segment) {
                    super::sync::synchronise(&self.log, &segment.file);
                }
                // Whoever asked may have lost patience.
                done.send(()).unwrap_or_default();
            }
        }
    }

    /// Writes `batch`, and in one block with it what else waits.
    fn append_all(&mut self, batch: Batch) {
        #[cfg(feature = "faults")]
        crate::faults::panic_if("spool-writer-panics");
        let mut order = Some(Order::Append(batch));
        self.next = self.next.max(self.log.end());
        let begin = self.next;
        let later = loop {
            match order {
                Some(Order::Append(batch)) => self.append(batch),
                later => break later,
            }
            let full = self.records == 0 || self.next - begin >= u64::from(BLOCK_RECORDS);
            order = if full { None } else { self.orders.try_recv().ok() };
        };
        self.write();
        self.publish(begin);
        if let Some(order) = later {
            self.obey(order);
        }
    }

    fn append(&mut self, batch: Batch) {
        let first = self.next;
        for record in batch.iter() {
            if self.encode(record) {
                self.records += 1;
                self.next += 1;
            } else {
                // Numbers in a block have no gaps.
                self.write();
                self.next += 1;
                self.log.counters.records_unwritten.fetch_add(1, Ordering::Relaxed);
            }
            if self.block.len() >= BLOCK_SIZE || self.records >= BLOCK_RECORDS {
                self.write();
            }
        }
        self.waiting.records.fetch_sub(batch.len(), Ordering::AcqRel);
        self.batches.push((first, batch));
    }

    /// Returns whether the record could be expressed.
    fn encode(&mut self, record: &FlowRecord) -> bool {
        if self.block.is_empty() {
            self.block.resize(HEADER, 0);
            if self.codec.begin(&mut self.block).is_err() {
                return false;
            }
        }
        self.codec.record(record, &mut self.block).is_ok()
    }

    /// Writes the block, if there are records in it.
    fn write(&mut self) {
        self.codec.finish(&mut self.block);
        let records = std::mem::take(&mut self.records);
        if records > 0 {
            let first = self.next - u64::from(records);
            if let Some((header, content)) = self.block.split_first_chunk_mut::<HEADER>() {
                *header = Header::new(first, records, content).encode();
            }
            match self.write_block(first) {
                Ok(()) => self.written(records),
                Err(error) => self.failed(records, &error),
            }
        }
        self.block.clear();
        self.block.shrink_to(2 * BLOCK_SIZE);
    }

    fn write_block(&mut self, first: u64) -> io::Result<()> {
        let length = self.block.len() as u64;
        let mut segment = match self.segment.take() {
            Some(segment) if segment.length + length <= self.log.segment_size() => segment,
            _ => self.begin_segment(first)?,
        };
        if let Err(error) = (&*segment.file).write_all(&self.block) {
            // Half a block would have to be searched for the next one. Where it cannot be cut
            // off, it is: a new segment begins with the next block.
            if segment.file.set_len(segment.length).is_ok() {
                self.segment = Some(segment);
            }
            return Err(error);
        }
        segment.length += length;
        if let Some(syncing) = &self.syncing {
            syncing.written(&segment.file);
        }
        self.segment = Some(segment);
        self.log.grown(length);
        Ok(())
    }

    fn begin_segment(&self, first: u64) -> io::Result<Segment> {
        let file = Arc::new(self.log.begin(first)?);
        if let Some(syncing) = &self.syncing {
            syncing.created();
        }
        Ok(Segment { file, length: 0 })
    }

    fn written(&mut self, records: u32) {
        let counters = &self.log.counters;
        counters.records.fetch_add(records.into(), Ordering::Relaxed);
        counters.bytes.fetch_add(self.block.len() as u64, Ordering::Relaxed);
        if std::mem::take(&mut self.failing) {
            tracing::info!(dir = %self.log.dir.display(), "the spool can be written to again");
        }
    }

    fn failed(&mut self, records: u32, error: &io::Error) {
        let counters = &self.log.counters;
        counters.records_unwritten.fetch_add(records.into(), Ordering::Relaxed);
        counters.write_failures.fetch_add(1, Ordering::Relaxed);
        // Once per outage: the counter tells the rest.
        if !std::mem::replace(&mut self.failing, true) {
            let dir = self.log.dir.display();
            tracing::error!(%dir, %error, "records go to sinks without being kept on disk");
        }
    }

    fn publish(&mut self, begin: u64) {
        self.waiting.stuck.store(false, Ordering::Release);
        self.waiting.fewer.notify_waiters();
        let (batches, end) = (std::mem::take(&mut self.batches), self.next);
        self.log.publish(&Arc::new(Published { batches, end, records: end - begin }));
    }
}
