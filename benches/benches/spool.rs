//! What it costs to keep a record on disk before a sink gets it: the whole process' time on the
//! CPU, beside that of a queue in memory.
//!
//! `cargo bench -p benches --bench spool` prints it; the directory is made in `TMPDIR`.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to say")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flow::{Batch, Counters, FlowRecord, Name, Side};
use sinks::{DeliveryCounters, Queue, Spool, SpoolOptions};

const BATCHES: usize = 1500;
/// Records of a batch: as many as the correlator hands out at once, and few.
const SIZES: [u64; 2] = [1024, 16];

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for size in SIZES {
        let batches: Vec<Batch> = (0..64).map(|first| batch(first * size, size)).collect();
        let records = BATCHES as u64 * size;
        let memory = runtime.block_on(memory(&batches));
        let (spool, bytes) = runtime.block_on(spool(&batches));
        let each = |time: Duration| time.as_nanos() as f64 / records as f64;
        println!("batches of {size}: {records} records, {} B each on disk", bytes / records);
        println!("  queue in memory {:8.1} ns a record", each(memory));
        println!("  spool           {:8.1} ns a record", each(spool));
    }
}

async fn memory(batches: &[Batch]) -> Duration {
    let (inlet, mut queue) = Queue::new("memory", 65_536, Arc::default());
    let begun = cpu();
    for batch in batches.iter().cycle().take(BATCHES) {
        inlet.send(batch);
        queue.recv().await.unwrap();
    }
    cpu().saturating_sub(begun)
}

/// Returns the time, and how many bytes were written.
async fn spool(batches: &[Batch]) -> (Duration, u64) {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(&SpoolOptions::new(dir.path())).unwrap();
    let counters = Arc::<DeliveryCounters>::default();
    let mut queue = spool.queue("bench", Arc::clone(&counters));
    let begun = cpu();
    let taking = tokio::spawn(async move { while queue.recv().await.is_some() {} });
    for batch in batches.iter().cycle().take(BATCHES) {
        spool.keep_pace().await;
        spool.append(batch);
    }
    spool.close();
    taking.await.unwrap();
    let took = cpu().saturating_sub(begun);
    assert_eq!(counters.lost(), 0);
    let replayed = counters.replayed.load(Ordering::Relaxed);
    println!("  ({replayed} records were read back)");
    (took, spool.counters().bytes.load(Ordering::Relaxed))
}

/// A flow between Nodes, with both Nodes' counters.
fn batch(first: u64, size: u64) -> Batch {
    let name = |text: &str, number: u64| Name::from(format!("{text}-{}", number % 500).as_str());
    let told = Side { domain: 7, flow_id: 1, start_ms: 1, end_ms: 2, ..Side::default() };
    let record = |number: u64| {
        let mut record = FlowRecord { flow_id: number, ..FlowRecord::default() };
        record.source.pod = name("frontend-7d4b9c6f5d", number);
        record.source.namespace = name("shop", number % 20);
        record.source.node = name("node", number % 100);
        record.destination.pod = name("backend-5f7c9d8b4", number / 3);
        record.destination.namespace = name("shop", number % 17);
        record.destination.node = name("node", number % 97);
        record.service.name = name("shop/backend:http", number % 50);
        record.tcp_state = "ESTABLISHED".into();
        record.forward = Counters { packets_total: number, octets_total: number, ..record.forward };
        record.joined.from_source = told;
        record.joined.from_destination = told;
        record
    };
    (first..first + size).map(record).collect()
}

/// Of the whole process, user's and kernel's, as the scheduler counts it.
fn cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let of = |path: std::path::PathBuf| fs::read_to_string(path.join("schedstat")).ok();
    let times = tasks.filter_map(|task| of(task.ok()?.path()));
    let time = |text: String| text.split(' ').next().and_then(|it| it.parse::<u64>().ok());
    Duration::from_nanos(times.filter_map(time).sum())
}
