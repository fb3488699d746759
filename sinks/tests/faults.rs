//! Far ends that fail: what was lost is counted, what was not is there exactly once.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flow::{Batch, FlowRecord};
use sinks::{
    DeliverOptions, DeliveryCounters, Inlet, LogSink, Queue, Sink, Spool, SpoolOptions, StoreSink,
    deliver,
};
use store::{Reader, Writer, WriterOptions};
use tempfile::{TempDir, tempdir};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Quick enough for a test.
const OPTIONS: DeliverOptions = DeliverOptions {
    first_retry: Duration::from_millis(5),
    last_retry: Duration::from_millis(20),
    tick: Duration::from_millis(5),
    close_within: Duration::from_millis(200),
    keep_within: Duration::from_secs(20),
};

/// A running delivery, with its queue and a clock that stands still until it is moved.
struct Delivery {
    queue: Inlet,
    counters: Arc<DeliveryCounters>,
    clock: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Delivery {
    fn start(sink: impl Sink + 'static) -> Self {
        let counters = Arc::<DeliveryCounters>::default();
        let (inlet, queue) = Queue::new("test", 128, Arc::clone(&counters));
        let clock = Arc::new(AtomicU64::new(1_795_251_599_000));
        let now = Arc::clone(&clock);
        let task = tokio::spawn(async move {
            let (_never, stop) = watch::channel(false);
            let clock = || now.load(Ordering::Relaxed);
            deliver(sink, queue, OPTIONS, stop, clock).await;
        });
        Self { queue: inlet, counters, clock, task }
    }

    /// Queues two records, in a batch.
    fn send(&self, first: u64) {
        let record = |flow_id| FlowRecord { flow_id, ..FlowRecord::default() };
        self.queue.send(&Batch::from([record(first), record(first + 1)]));
    }

    fn count(&self, of: impl Fn(&DeliveryCounters) -> &AtomicU64) -> u64 {
        of(&self.counters).load(Ordering::Relaxed)
    }

    async fn until(&self, holds: impl Fn(&DeliveryCounters) -> bool) {
        let wait = async {
            while !holds(&self.counters) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.unwrap_or_else(|_| panic!("never happened; now {:?}", self.counters));
    }

    async fn until_delivered(&self, records: u64) {
        self.until(|counters| counters.delivered.load(Ordering::Relaxed) == records).await;
    }

    async fn until_retried(&self) {
        let before = self.count(|counters| &counters.retries);
        self.until(|counters| counters.retries.load(Ordering::Relaxed) > before).await;
    }

    /// Closes the queue; returns what was delivered, refused, abandoned and is still held.
    async fn close(self) -> [u64; 4] {
        drop(self.queue);
        self.task.await.unwrap();
        let DeliveryCounters { delivered, refused, abandoned, held, .. } = &*self.counters;
        [delivered, refused, abandoned, held].map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// The flow ids in a log, line by line.
fn logged(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap();
    let id = |line| {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        object["flowId"].as_u64().unwrap()
    };
    text.lines().map(id).collect()
}

fn log_in_a_directory() -> (TempDir, PathBuf, Delivery) {
    let parent = tempdir().unwrap();
    let path = parent.path().join("logs/flows.log");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let delivery = Delivery::start(LogSink::open(&path).unwrap());
    (parent, path, delivery)
}

#[tokio::test]
async fn a_log_has_one_line_per_record_for_its_owner_only() {
    let (_parent, path, delivery) = log_in_a_directory();
    delivery.send(1);
    delivery.send(3);
    assert_eq!(delivery.close().await, [4, 0, 0, 0]);
    assert_eq!(logged(&path), [1, 2, 3, 4]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_log_whose_directory_was_removed_waits_for_it() {
    let (_parent, path, delivery) = log_in_a_directory();
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    delivery.send(1);
    delivery.send(3);
    delivery.until_retried().await;
    assert_eq!(delivery.count(|counters| &counters.delivered), 0);
    fs::create_dir(path.parent().unwrap()).unwrap();
    delivery.until_delivered(4).await;
    assert_eq!(logged(&path), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_log_that_was_renamed_goes_on_under_its_name() {
    let (_parent, path, delivery) = log_in_a_directory();
    delivery.send(1);
    delivery.until_delivered(2).await;
    let rotated = path.with_extension("1");
    fs::rename(&path, &rotated).unwrap();
    delivery.send(3);
    delivery.until_delivered(4).await;
    assert_eq!((logged(&rotated), logged(&path)), (vec![1, 2], vec![3, 4]));
}

#[tokio::test]
async fn a_full_disk_under_a_log_is_retried_and_then_counted() {
    let delivery = Delivery::start(LogSink::open(Path::new("/dev/full")).unwrap());
    delivery.send(1);
    delivery.until_retried().await;
    delivery.until_retried().await;
    assert_eq!(delivery.close().await, [0, 0, 2, 0]);
}

fn store_sink(dir: &Path, max_rows: usize) -> StoreSink {
    let options = WriterOptions { max_rows, ..WriterOptions::default() };
    StoreSink::new(Writer::with_options(dir, options).unwrap())
}

fn stored(dir: &Path) -> Vec<u64> {
    let mut stored = Vec::new();
    Reader::open(dir).unwrap().rows(|row| stored.push(row.record.flow_id)).unwrap();
    stored
}

#[tokio::test]
async fn a_store_is_flushed_when_its_rows_are_a_second_old() {
    let dir = tempdir().unwrap();
    let delivery = Delivery::start(store_sink(dir.path(), 1000));
    delivery.send(1);
    delivery.until(|counters| counters.held.load(Ordering::Relaxed) == 2).await;
    delivery.clock.fetch_add(999, Ordering::Relaxed);
    tokio::time::sleep(OPTIONS.tick * 4).await;
    assert_eq!((delivery.count(|counters| &counters.delivered), stored(dir.path())), (0, vec![]));
    delivery.clock.fetch_add(1, Ordering::Relaxed);
    delivery.until_delivered(2).await;
    assert_eq!(stored(dir.path()), [1, 2]);
}

#[tokio::test]
async fn a_store_is_flushed_when_the_queue_closes() {
    let dir = tempdir().unwrap();
    let delivery = Delivery::start(store_sink(dir.path(), 1000));
    delivery.send(1);
    assert_eq!(delivery.close().await, [2, 0, 0, 0]);
    assert_eq!(stored(dir.path()), [1, 2]);
}

#[tokio::test]
async fn a_store_whose_directory_is_away_loses_nothing_while_there_is_room() {
    let parent = tempdir().unwrap();
    let (dir, away) = (parent.path().join("data"), parent.path().join("away"));
    // Room for two batches; the others wait in the queue.
    let delivery = Delivery::start(store_sink(&dir, 4));
    fs::rename(&dir, &away).unwrap();
    for first in [1, 3, 5, 7, 9] {
        delivery.send(first);
        delivery.clock.fetch_add(1000, Ordering::Relaxed);
    }
    delivery.until_retried().await;
    delivery.until_retried().await;
    assert_eq!(delivery.count(|counters| &counters.delivered), 0);
    fs::rename(&away, &dir).unwrap();
    delivery.until_delivered(8).await;
    assert_eq!(delivery.close().await, [10, 0, 0, 0]);
    assert_eq!(stored(&dir), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn a_store_that_stays_away_costs_what_it_was_given() {
    let parent = tempdir().unwrap();
    let (dir, away) = (parent.path().join("data"), parent.path().join("away"));
    let delivery = Delivery::start(store_sink(&dir, 1000));
    fs::rename(&dir, &away).unwrap();
    delivery.send(1);
    assert_eq!(delivery.close().await, [0, 0, 2, 0]);
}

#[tokio::test]
async fn a_batch_that_no_store_has_room_for_is_refused() {
    let dir = tempdir().unwrap();
    let delivery = Delivery::start(store_sink(dir.path(), 1));
    delivery.send(1);
    assert_eq!(delivery.close().await, [0, 2, 0, 0]);
}

/// Copies a directory with all that is in it, as a process leaves it that is killed now.
fn killed(dir: &Path) -> TempDir {
    let copy = tempdir().unwrap();
    let mut command = std::process::Command::new("cp");
    let copied = command.arg("-r").arg(dir.join(".")).arg(copy.path()).status();
    assert!(copied.unwrap().success());
    copy
}

/// What a store at `dir` has after it was given what the spool there has.
async fn stored_from_spool(dir: &Path, more: std::ops::Range<u64>) -> Vec<u64> {
    let options = SpoolOptions { durable_within: None, ..SpoolOptions::new(dir.join("spool")) };
    let spool = Spool::open(&options).unwrap();
    let queue = spool.queue("store", Arc::default());
    let record = |flow_id| FlowRecord { flow_id, ..FlowRecord::default() };
    spool.append(&more.map(record).collect());
    spool.close();
    let (_never, stop) = watch::channel(false);
    deliver(store_sink(&dir.join("store"), 1000), queue, OPTIONS, stop, || 1).await;
    stored(&dir.join("store"))
}

#[tokio::test]
async fn a_store_gets_nothing_twice_though_no_cursor_was_noted() {
    let dir = tempdir().unwrap();
    assert_eq!(stored_from_spool(dir.path(), 0..5).await, [0, 1, 2, 3, 4]);
    let copy = killed(dir.path());
    // Without a cursor that can be read, a sink begins with the oldest record there is.
    fs::write(copy.path().join("spool/store.cursor"), "damaged").unwrap();
    assert_eq!(stored_from_spool(copy.path(), 5..7).await, [0, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_store_whose_last_file_was_not_named_gets_it_again() {
    let dir = tempdir().unwrap();
    assert_eq!(stored_from_spool(dir.path(), 0..5).await, [0, 1, 2, 3, 4]);
    let copy = killed(dir.path());
    fs::write(copy.path().join("spool/store.cursor"), format!("{:020} {:08x}", 0, 0x0)).unwrap();
    let files = std::process::Command::new("find")
        .arg(copy.path())
        .args(["-name", "*.parquet", "-delete"])
        .status();
    assert!(files.unwrap().success());
    assert_eq!(stored_from_spool(copy.path(), 5..7).await, [0, 1, 2, 3, 4, 5, 6]);
}
