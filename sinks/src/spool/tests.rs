use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use flow::FlowRecord;
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use super::*;

mod disk; // what is found on disk

fn options(dir: &Path) -> SpoolOptions {
    SpoolOptions { durable_within: None, ..SpoolOptions::new(dir) }
}

/// Opens a spool that a moment ago was open elsewhere in this process, whose threads need that
/// moment to end.
fn open(options: &SpoolOptions) -> Spool {
    loop {
        match Spool::open(options) {
            Ok(spool) => return spool,
            Err(SpoolError::Locked { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Records with these ids.
fn batch(ids: std::ops::Range<u64>) -> Batch {
    let record = |flow_id| FlowRecord {
        flow_id,
        source: flow::Endpoint { pod: "web-0".into(), ..Default::default() }.into(),
        ..FlowRecord::default()
    };
    ids.map(record).collect()
}

/// Appends a block of its own for each batch of `size` records.
async fn fill(spool: &Spool, ids: std::ops::Range<u64>, size: u64) {
    let mut next = ids.start;
    while next < ids.end {
        let end = (next + size).min(ids.end);
        spool.append(&batch(next..end));
        spool.finish().await;
        next = end;
    }
}

/// Reads until the queue ends; returns the ids.
async fn drain(queue: &mut Queue) -> Vec<u64> {
    let mut ids = Vec::new();
    while let Some(batch) = queue.recv().await {
        ids.extend(batch.iter().map(|record| record.flow_id));
        queue.took();
        queue.acknowledge();
    }
    ids
}

/// Counts as a sink does that takes everything at once.
fn queue(spool: &Spool, name: &'static str) -> (Queue, Arc<DeliveryCounters>) {
    let counters = Arc::<DeliveryCounters>::default();
    (spool.queue(name, Arc::clone(&counters)), counters)
}

fn read(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Copies the directory as a process leaves it that is killed now.
fn killed(dir: &Path) -> TempDir {
    let copy = tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "segment")).collect();
    paths.sort();
    paths
}

fn ids(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[tokio::test]
async fn a_sink_that_keeps_up_gets_everything_from_memory() {
    let dir = tempdir().unwrap();
    let spool = open(&options(dir.path()));
    let (mut queue, counters) = queue(&spool, "quick");
    for first in 0..100 {
        spool.append(&batch(first * 10..first * 10 + 10));
        let taken = queue.recv().await.unwrap();
        assert_eq!(taken.first().unwrap().flow_id, first * 10);
    }
    spool.close();
    assert!(queue.recv().await.is_none());
    assert_eq!((read(&counters.given), read(&counters.replayed)), (1000, 0));
}

#[tokio::test]
async fn a_sink_that_falls_behind_reads_what_it_missed() {
    let dir = tempdir().unwrap();
    let spool = open(&options(dir.path()));
    let (mut queue, counters) = queue(&spool, "slow");
    // More blocks than are kept in memory.
    fill(&spool, 0..1000, 10).await;
    spool.close();
    assert_eq!(drain(&mut queue).await, ids(0..1000));
    assert!(read(&counters.replayed) >= 500, "{counters:?}");
    assert_eq!((read(&counters.given), counters.lost()), (1000, 0));
}

#[tokio::test]
async fn a_sink_goes_on_where_it_stopped() {
    let dir = tempdir().unwrap();
    let spool = open(&options(dir.path()));
    let (mut queue, _) = self::queue(&spool, "far");
    let (mut other, _) = self::queue(&spool, "near");
    fill(&spool, 0..300, 100).await;
    for _ in 0..2 {
        queue.recv().await.unwrap();
        queue.took();
    }
    queue.acknowledge();
    // Handed out, and nobody knows what became of it.
    queue.recv().await.unwrap();
    spool.close();
    assert_eq!(drain(&mut other).await, ids(0..300));
    spool.finish().await;
    drop((queue, other, spool));

    let spool = open(&options(dir.path()));
    let (mut queue, counters) = self::queue(&spool, "far");
    let (mut other, _) = self::queue(&spool, "near");
    assert_eq!(read(&counters.given), 100, "what is left is given anew");
    spool.append(&batch(300..310));
    spool.close();
    assert_eq!(drain(&mut queue).await, ids(200..310));
    assert_eq!(drain(&mut other).await, ids(300..310));
}

#[tokio::test]
async fn a_sink_that_was_replaced_leaves_what_is_not_acknowledged() {
    let dir = tempdir().unwrap();
    let spool = open(&options(dir.path()));
    let (mut queue, counters) = queue(&spool, "far");
    fill(&spool, 0..600, 10).await;
    for _ in 0..20 {
        queue.recv().await.unwrap();
        queue.took();
    }
    queue.acknowledge();
    for _ in 0..5 {
        queue.recv().await.unwrap();
    }
    queue.put_back(None);
    spool.close();
    assert_eq!(drain(&mut queue).await, ids(200..600));
    assert_eq!(counters.lost(), 0);
}

#[tokio::test]
async fn segments_go_when_all_sinks_are_done_with_them() {
    let dir = tempdir().unwrap();
    // The smallest segments: one block each.
    let spool = open(&SpoolOptions { limit: 1 << 30, ..options(dir.path()) });
    let small = SpoolOptions { limit: 160 << 10, ..options(dir.path()) };
    drop(spool);
    let spool = open(&small);
    let (mut quick, _) = queue(&spool, "quick");
    let (mut slow, _) = queue(&spool, "slow");
    fill(&spool, 0..200, 20).await;
    let all = segments(dir.path());
    assert!(all.len() > 3, "{all:?}");
    spool.close();
    assert_eq!(drain(&mut quick).await, ids(0..200));
    spool.finish().await;
    assert_eq!(segments(dir.path()), all, "the other sink has not come so far");
    assert_eq!(drain(&mut slow).await, ids(0..200));
    spool.finish().await;
    assert_eq!(segments(dir.path()), all[all.len() - 1..]);
}

#[tokio::test]
async fn the_oldest_is_dropped_first_and_counted() {
    let dir = tempdir().unwrap();
    let limit = 1 << 20;
    let spool = open(&SpoolOptions { limit, ..options(dir.path()) });
    let (mut stuck, counters) = queue(&spool, "stuck");
    let (mut quick, fine) = queue(&spool, "quick");
    // Handed out, but not acknowledged.
    spool.append(&batch(0..10));
    assert_eq!(stuck.recv().await.unwrap().len(), 10);
    assert_eq!(quick.recv().await.unwrap().len(), 10);
    fill(&spool, 10..10_000, 50).await;
    assert!(spool.bytes() <= limit, "{}", spool.bytes());
    let dropped = read(&counters.spool_full);
    assert!(dropped > 1000, "{counters:?}");
    assert_eq!(dropped, read(&fine.spool_full));
    spool.close();
    // What was counted as dropped is not delivered though memory may have it.
    assert_eq!(drain(&mut stuck).await, ids(10 + dropped..10_000));
    assert_eq!(read(&counters.spool_full), dropped);
    assert_eq!(drain(&mut quick).await.len() as u64, 9_990 - dropped);
    spool.finish().await;
    assert!(read(&spool.counters().segments_dropped) > 0);
}

#[tokio::test]
async fn what_a_sink_was_handed_and_lost_is_counted_when_the_log_has_dropped_it() {
    let dir = tempdir().unwrap();
    let spool = open(&SpoolOptions { limit: 1 << 20, ..options(dir.path()) });
    let (mut stuck, counters) = queue(&spool, "stuck");
    spool.append(&batch(0..10));
    assert_eq!(stuck.recv().await.unwrap().len(), 10);
    fill(&spool, 10..10_000, 50).await;
    stuck.put_back(None);
    spool.close();
    let rest = drain(&mut stuck).await;
    assert_eq!(read(&counters.spool_full) + rest.len() as u64, 10_000);
    assert_eq!(rest.last(), Some(&9_999));
}

#[tokio::test]
async fn a_sink_that_is_not_configured_any_more_holds_nothing_back() {
    let dir = tempdir().unwrap();
    let spool = open(&options(dir.path()));
    let (queue, _) = queue(&spool, "gone");
    fill(&spool, 0..10, 10).await;
    drop((queue, spool));
    let spool = open(&options(dir.path()));
    spool.forget_others();
    spool.finish().await;
    let (mut queue, counters) = self::queue(&spool, "gone");
    spool.append(&batch(10..20));
    spool.close();
    assert_eq!(drain(&mut queue).await, ids(10..20), "it begins anew");
    assert_eq!(read(&counters.given), 10);
}

#[tokio::test]
async fn a_sink_that_is_removed_gets_what_waits_and_is_forgotten() {
    let dir = tempdir().unwrap();
    let spool = open(&options(dir.path()));
    let (mut queue, counters) = queue(&spool, "gone");
    fill(&spool, 0..10, 10).await;
    spool.remove("gone");
    spool.append(&batch(10..20));
    assert_eq!(queue.recv().await.unwrap().len(), 10);
    assert!(queue.recv().await.is_none());
    drop(queue);
    spool.finish().await;
    assert_eq!((read(&counters.given), read(&counters.abandoned)), (10, 10));
    assert!(!dir.path().join("gone.cursor").exists());
}

#[tokio::test]
async fn everything_is_for_its_owner_only_and_for_one_process() {
    let parent = tempdir().unwrap();
    let dir = parent.path().join("spool");
    let spool = open(&options(&dir));
    let (_queue, _) = queue(&spool, "log");
    fill(&spool, 0..10, 10).await;
    assert!(matches!(Spool::open(&options(&dir)), Err(SpoolError::Locked { .. })));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let files = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn what_was_told_can_be_visited() {
    let dir = tempdir().unwrap();
    let spool = open(&options(dir.path()));
    let (_queue, _) = queue(&spool, "log");
    fill(&spool, 0..100, 30).await;
    let copy = killed(dir.path());
    let mut seen = Vec::new();
    open(&options(copy.path())).visit(|record| seen.push(record.flow_id)).unwrap();
    assert_eq!(seen, ids(0..100));
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_sinks_do_each_gets_everything_in_order(
        steps in prop::collection::vec((0..8_u8, 1..40_u64), 1..60),
    ) {
        let dir = tempdir().unwrap();
        block_on(any_steps(dir.path(), &steps));
    }
}

/// Two sinks take, acknowledge, start anew, and the process is restarted. The model is a number:
/// what each has acknowledged. It may get again what it has not acknowledged, but never misses
/// anything.
async fn any_steps(dir: &Path, steps: &[(u8, u64)]) {
    const NAMES: [&str; 2] = ["one", "two"];
    let small = SpoolOptions { limit: 4 << 20, ..options(dir) };
    let mut spool = open(&small);
    let mut queues = NAMES.map(|name| queue(&spool, name).0);
    let (mut end, mut next, mut acknowledged) = (0, [0; 2], [0; 2]);
    for &(step, records) in steps {
        let it = usize::from(step % 2);
        match step {
            0..=1 => {
                spool.append(&batch(end..end + records));
                end += records;
            }
            2..=3 if next[it] < end => {
                let batch = queues[it].recv().await.unwrap();
                assert_eq!(batch[0].flow_id, next[it]);
                next[it] += batch.len() as u64;
                queues[it].took();
            }
            4..=5 if step == 4 => {
                queues[it].acknowledge();
                acknowledged[it] = next[it];
            }
            5 => {
                queues[it].put_back(None);
                next[it] = acknowledged[it];
            }
            6 => {
                spool.finish().await;
                let last = queues.into_iter();
                last.for_each(drop);
                drop(spool);
                spool = open(&small);
                queues = NAMES.map(|name| queue(&spool, name).0);
                next = acknowledged;
            }
            _ => {}
        }
    }
    spool.close();
    for (queue, next) in queues.iter_mut().zip(next) {
        assert_eq!(drain(queue).await, ids(next..end));
    }
}

#[tokio::test]
async fn a_part_of_what_was_taken_is_acknowledged_and_the_rest_comes_again() {
    let folder = tempdir().unwrap();
    let spool = open(&options(folder.path()));
    let (mut one, counters) = queue(&spool, "one");
    fill(&spool, 0..10, 10).await;
    let taken = one.recv().await.unwrap();
    assert_eq!(taken.len(), 10);
    one.took();
    let mark = one.mark().unwrap();
    one.acknowledge_to(store::Mark { record: mark.record - 4, ..mark });
    // Neither another log's place nor one that was not taken yet counts.
    one.acknowledge_to(store::Mark { log: !mark.log, ..mark });
    spool.finish().await;
    drop((one, spool));
    let spool = open(&options(folder.path()));
    let mut again = spool.queue("one", Arc::clone(&counters));
    spool.close();
    assert_eq!(drain(&mut again).await, (6..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_number_that_a_far_end_may_know_is_not_given_twice() {
    let dir = tempdir().unwrap();
    let spool = open(&options(dir.path()));
    let (mut queue, _) = self::queue(&spool, "store");
    fill(&spool, 0..20, 10).await;
    while queue.mark().unwrap().record < 20 {
        queue.recv().await.unwrap();
    }
    let named = queue.mark().unwrap();
    let from = store::Mark { record: 0, ..named };
    // A power failure: the second block is gone, which the far end may have.
    let copy = killed(dir.path());
    drop((queue, spool));
    let segment = &segments(copy.path())[0];
    let bytes = fs::read(segment).unwrap();
    fs::write(segment, &bytes[..bytes.len() - 1]).unwrap();

    let spool = open(&options(copy.path()));
    let (mut queue, counters) = self::queue(&spool, "store");
    queue.reserve(named);
    queue.resume_at(from);
    spool.append(&batch(20..25));
    spool.close();
    let mut marks = Vec::new();
    while let Some(batch) = queue.recv().await {
        marks.push((batch[0].flow_id, queue.mark().unwrap().record));
    }
    assert_eq!(marks, [(0, 10), (20, 25)], "what comes next has numbers behind");
    assert_eq!((read(&counters.given), read(&counters.unreadable)), (25, 10));
}
