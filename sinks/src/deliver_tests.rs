use std::io;
use std::sync::{Arc, Mutex};

use flow::FlowRecord;

use super::*;
use crate::Inlet;

/// A far end whose next answers are written down beforehand; when they are used up, it takes all.
#[derive(Debug, Default)]
struct FarEnd {
    begins: Vec<Result<(), Fault>>,
    writes: Vec<Result<(), Fault>>,
    flushes: Vec<Result<(), Fault>>,
    /// What became durable, as flow ids.
    durable: Arc<Mutex<Vec<u64>>>,
    held: Vec<u64>,
    /// More than this is not held.
    room: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Away,
    Refuses,
}

fn queue() -> (Inlet, Queue, Arc<DeliveryCounters>) {
    let counters = Arc::<DeliveryCounters>::default();
    let (inlet, queue) = Queue::new("test", 8, Arc::clone(&counters));
    (inlet, queue, counters)
}

/// Delivers until the queue is closed.
async fn run(sink: impl Sink, queue: Queue, options: DeliverOptions) {
    let (_never, stop) = watch::channel(false);
    let left = deliver(sink, queue, options, stop, || 0).await;
    assert!(left.is_none(), "nobody asked for the queue");
}

/// Delivers one record until the queue is closed after so long; returns when that was.
async fn run_until(
    end: Duration,
    sink: impl Sink,
    options: DeliverOptions,
) -> (Instant, Arc<DeliveryCounters>) {
    let (inlet, queue, counters) = queue();
    let close = async {
        inlet.send(&Batch::from([FlowRecord::default()]));
        tokio::time::sleep(end).await;
        drop(inlet);
        Instant::now()
    };
    let ((), closed) = tokio::join!(run(sink, queue, options), close);
    (closed, counters)
}

/// How long a process may take to end, less what it takes before its sinks are told.
const END: Duration = Duration::from_millis(1500);

impl Fault {
    fn error(self) -> SinkError {
        let source = || Box::new(io::Error::other("made up"));
        match self {
            Self::Away => SinkError::Unavailable(source()),
            Self::Refuses => SinkError::Refused { records: 0, source: source() },
        }
    }
}

fn next(answers: &mut Vec<Result<(), Fault>>) -> Result<(), SinkError> {
    if answers.is_empty() { Ok(()) } else { answers.remove(0).map_err(Fault::error) }
}

impl Sink for FarEnd {
    async fn begin(&mut self) -> Result<(), SinkError> {
        next(&mut self.begins)
    }

    async fn write(&mut self, batch: &Batch, _now_ms: u64) -> Result<(), SinkError> {
        next(&mut self.writes)?;
        if self.room.is_some_and(|room| self.held.len() + batch.len() > room) {
            return Err(Fault::Away.error());
        }
        self.held.extend(batch.iter().map(|record| record.flow_id));
        Ok(())
    }

    fn due(&self, _now_ms: u64) -> bool {
        true
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let answer = next(&mut self.flushes);
        let held = match &answer {
            Err(SinkError::Unavailable(_)) => return answer,
            _ => std::mem::take(&mut self.held),
        };
        if answer.is_ok() {
            self.durable.lock().unwrap().extend(held);
        }
        answer
    }
}

/// Delivers five batches of one record each and compares what became of them.
async fn check(sink: FarEnd, durable: &[u64], refused: u64, abandoned: u64, retries: u64) {
    let seen = Arc::clone(&sink.durable);
    let (inlet, queue, counters) = queue();
    for flow_id in 1..=5 {
        inlet.send(&Batch::from([FlowRecord { flow_id, ..FlowRecord::default() }]));
    }
    drop(inlet);
    run(sink, queue, DeliverOptions::default()).await;
    assert_eq!(*seen.lock().unwrap(), durable);
    let DeliveryCounters { delivered, held, refused: r, abandoned: a, retries: t, .. } = &*counters;
    let got = [delivered, held, r, a, t].map(|counter| counter.load(Ordering::Relaxed));
    assert_eq!(got, [durable.len() as u64, 0, refused, abandoned, retries]);
    assert_eq!((counters.waiting(), counters.lost()), (0, refused + abandoned));
}

#[tokio::test(start_paused = true)]
async fn everything_arrives_in_order() {
    check(FarEnd::default(), &[1, 2, 3, 4, 5], 0, 0, 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_retries_and_no_records() {
    let writes = vec![Ok(()), Err(Fault::Away), Err(Fault::Away), Err(Fault::Away)];
    check(FarEnd { writes, ..FarEnd::default() }, &[1, 2, 3, 4, 5], 0, 0, 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_far_end_that_is_away_at_first_costs_no_records() {
    for fault in [Fault::Away, Fault::Refuses] {
        let sink = FarEnd { begins: vec![Err(fault)], ..FarEnd::default() };
        check(sink, &[1, 2, 3, 4, 5], 0, 0, 1).await;
    }
}

/// Takes everything, at its leisure.
#[derive(Default)]
struct Slow {
    begin: Duration,
    write: Duration,
}

impl Sink for Slow {
    async fn begin(&mut self) -> Result<(), SinkError> {
        tokio::time::sleep(self.begin).await;
        Ok(())
    }

    async fn write(&mut self, _batch: &Batch, _now_ms: u64) -> Result<(), SinkError> {
        tokio::time::sleep(self.write).await;
        Ok(())
    }

    fn due(&self, _now_ms: u64) -> bool {
        true
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_asks_at_first_keeps_nothing_from_ending() {
    let options = DeliverOptions::default();
    let mute = || Slow { begin: Duration::MAX, ..Slow::default() };
    let (closed, counters) = run_until(Duration::from_mins(2), mute(), options).await;
    assert!(closed.elapsed() <= options.tick, "{:?}", closed.elapsed());
    assert_eq!(counters.delivered.load(Ordering::Relaxed), 1);
    let (_inlet, queue, _) = queue();
    let (stop, stopped) = watch::channel(false);
    let delivery = deliver(mute(), queue, options, stopped, || 0);
    let (left, stopped) = tokio::join!(delivery, async {
        stop.send(true).unwrap();
        Instant::now()
    });
    assert!(left.is_some() && stopped.elapsed() <= options.tick, "for the sink that comes next");
}

#[tokio::test(start_paused = true)]
async fn a_failed_flush_is_repeated() {
    let flushes = vec![Err(Fault::Away), Err(Fault::Away)];
    check(FarEnd { flushes, ..FarEnd::default() }, &[1, 2, 3, 4, 5], 0, 0, 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_sink_without_room_is_flushed_before_it_is_given_more() {
    let sink = FarEnd { flushes: vec![Err(Fault::Away)], room: Some(1), ..FarEnd::default() };
    // The first flush fails, the second batch finds no room, the second flush succeeds.
    check(sink, &[1, 2, 3, 4, 5], 0, 0, 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_dropped_and_counted() {
    let writes = vec![Ok(()), Err(Fault::Refuses)];
    check(FarEnd { writes, ..FarEnd::default() }, &[1, 3, 4, 5], 1, 0, 0).await;
    let flushes = vec![Err(Fault::Refuses)];
    check(FarEnd { flushes, ..FarEnd::default() }, &[2, 3, 4, 5], 1, 0, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_far_end_that_stays_away_does_not_keep_the_process_from_ending() {
    let started = Instant::now();
    let (inlet, queue, counters) = queue();
    for _ in 0..5 {
        inlet.send(&Batch::from([FlowRecord::default()]));
    }
    drop(inlet);
    let sink = FarEnd { writes: vec![Err(Fault::Away); 1000], ..FarEnd::default() };
    let options = DeliverOptions::default();
    run(sink, queue, options).await;
    assert_eq!(counters.abandoned.load(Ordering::Relaxed), 5);
    assert!(started.elapsed() < options.close_within + options.tick);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_closes_during_an_outage_is_noticed() {
    let sink = FarEnd { writes: vec![Err(Fault::Away); 1000], ..FarEnd::default() };
    let options = DeliverOptions::default();
    let (closed, counters) = run_until(Duration::from_mins(2), sink, options).await;
    assert!(closed.elapsed() <= options.close_within + options.tick, "{:?}", closed.elapsed());
    assert_eq!(counters.abandoned.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_default_leaves_a_process_time_to_end_within_three_seconds() {
    let options = DeliverOptions::default();
    assert!(options.close_within + options.tick <= END);
}

#[tokio::test(start_paused = true)]
async fn a_slow_far_end_does_not_keep_the_process_from_ending() {
    let started = Instant::now();
    let (inlet, queue, counters) = queue();
    for _ in 0..8 {
        inlet.send(&Batch::from([FlowRecord::default()]));
    }
    drop(inlet);
    let options = DeliverOptions { close_within: Duration::from_secs(1), ..Default::default() };
    let sink = Slow { write: Duration::from_millis(400), ..Slow::default() };
    run(sink, queue, options).await;
    // Two are done within the second; the third is cut off, the others are not even tried.
    let DeliveryCounters { delivered, abandoned, .. } = &*counters;
    assert_eq!([delivered, abandoned].map(|c| c.load(Ordering::Relaxed)), [2, 6]);
    assert!(started.elapsed() <= options.close_within + options.tick);
}

/// Is asked to store a record at the end only, and takes its time for it.
struct Leisurely {
    fails_first: bool,
}

impl Sink for Leisurely {
    async fn write(&mut self, _batch: &Batch, _now_ms: u64) -> Result<(), SinkError> {
        if std::mem::take(&mut self.fails_first) { Err(Fault::Away.error()) } else { Ok(()) }
    }

    fn due(&self, _now_ms: u64) -> bool {
        false
    }

    fn linger(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_far_end_that_was_there_may_linger() {
    for (fails_first, delivered, abandoned) in [(false, 1, 0), (true, 0, 1)] {
        // It is to end while it waits for its next attempt.
        let first_retry = Duration::from_secs(10);
        let options = DeliverOptions { first_retry, ..DeliverOptions::default() };
        let end = Duration::from_secs(1);
        let (closed, counters) = run_until(end, Leisurely { fails_first }, options).await;
        let got = [&counters.delivered, &counters.abandoned].map(|it| it.load(Ordering::Relaxed));
        assert_eq!(got, [delivered, abandoned]);
        let lingers = closed.elapsed() > options.close_within + options.tick;
        assert_eq!(lingers, !fails_first, "{:?}", closed.elapsed());
    }
}

/// Takes a batch and does not come back from it, though it would store it when asked to.
#[derive(Debug, Default)]
struct Stuck {
    held: u64,
    durable: Arc<AtomicU64>,
}

impl Sink for Stuck {
    async fn write(&mut self, batch: &Batch, _now_ms: u64) -> Result<(), SinkError> {
        self.held += batch.len() as u64;
        if self.held > 1 {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    fn due(&self, _now_ms: u64) -> bool {
        false
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.durable.fetch_add(std::mem::take(&mut self.held), Ordering::Relaxed);
        Ok(())
    }
}

/// Whoever comes next is given the batch again.
#[tokio::test(start_paused = true)]
async fn a_sink_that_was_cut_off_stores_nothing_more() {
    let (inlet, queue, counters) = queue();
    for _ in 0..2 {
        inlet.send(&Batch::from([FlowRecord::default()]));
    }
    drop(inlet);
    let sink = Stuck::default();
    let durable = Arc::clone(&sink.durable);
    run(sink, queue, DeliverOptions::default()).await;
    let got = [&counters.delivered, &counters.abandoned, &durable];
    assert_eq!(got.map(|it| it.load(Ordering::Relaxed)), [0, 2, 0]);
}

/// Stores each second batch at once, and the rest when it is asked to.
#[derive(Debug, Default)]
struct Early {
    held: u64,
    stored: u64,
    batches: u64,
}

impl Sink for Early {
    async fn write(&mut self, batch: &Batch, _now_ms: u64) -> Result<(), SinkError> {
        self.batches += 1;
        self.held += batch.len() as u64;
        if self.batches.is_multiple_of(2) {
            self.stored += std::mem::take(&mut self.held);
        }
        Ok(())
    }

    fn due(&self, _now_ms: u64) -> bool {
        false
    }

    fn stored(&mut self) -> Stored {
        Stored { records: std::mem::take(&mut self.stored), mark: None }
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        // Away until the end of time, for what is still held.
        Err(Fault::Away.error())
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_early_is_delivered_and_only_the_rest_is_abandoned() {
    let (inlet, queue, counters) = queue();
    for _ in 0..3 {
        inlet.send(&Arc::from([FlowRecord::default(), FlowRecord::default()]));
    }
    drop(inlet);
    run(Early::default(), queue, DeliverOptions::default()).await;
    assert_eq!(counters.delivered.load(Ordering::Relaxed), 4);
    assert_eq!(counters.abandoned.load(Ordering::Relaxed), 2);
    assert_eq!(counters.waiting(), 0);
}
