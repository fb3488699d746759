//! The aggregator from the socket on: collected, decoded, correlated, named, handed to nobody.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
    net::TcpStream,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use aggregator::{
    collect::{CollectOptions, Collecting, Epoch, Room},
    enrich::{Enricher, Wanted},
    fan_out::FanOut,
    metrics::Metrics,
    shards::Shards,
};
use arc_swap::ArcSwap;
use benches::{
    Goals, cpu_time, median,
    workload::{self, Messages, Packed, RECORDS, Record},
};
use k8s::Cluster;
use tokio::{net::TcpListener, sync::mpsc, sync::watch};

use crate::{
    TIMEOUTS,
    naive::Naive,
    replay::{Decoder, NOW_MS},
    row,
    yardstick::Yardstick,
};

const ROUNDS: usize = 5;
/// 800 ns where the yardstick takes 310.
const MOST: f64 = 2.58;
/// How often each record is told, with counters that grow.
const PASSES: u32 = 6;

pub(crate) fn whole(goals: &mut Goals) {
    let records = workload::records(RECORDS);
    let cluster = Arc::new(ArcSwap::from_pointee(cluster(&records)));
    for (packed, name) in
        [(Packed::Stream, "64 KiB messages"), (Packed::Single, "one record per message")]
    {
        let passes = passes(&records, packed);
        let (mut ours, mut decoded, mut naive) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(collected(&passes, &cluster));
            decoded.push(from_memory(&passes));
            naive.push(naively(&passes));
        }
        let [ours, decoded, naive] = [ours, decoded, naive].map(median);
        println!("whole process, TCP, {name}");
        row("collect, decode, correlate, name", ours);
        row("our decoder from memory, and a hash map", decoded);
        row("the yardstick: decode, intern, one map, in one function", naive);
        goals.result(
            "whole process / the yardstick",
            ours.as_secs_f64() / naive.as_secs_f64(),
            MOST,
        );
    }
}

/// The messages of each time the records are told.
fn passes(records: &[Record], packed: Packed) -> Vec<Messages> {
    let mut records = records.to_vec();
    let mut more = || {
        for record in &mut records {
            record.end += 5;
            for counters in [&mut record.forward, &mut record.reverse] {
                counters.packets_total += counters.packets_delta;
                counters.octets_total += counters.octets_delta;
            }
        }
        Messages::of(&records, packed)
    };
    (0..PASSES).map(|_| more()).collect()
}

/// The Pods that records name, where they are.
fn cluster(records: &[Record]) -> Cluster {
    let mut pods = BTreeMap::new();
    for record in records {
        for (pod, address) in [
            (&record.source, record.source_address),
            (&record.destination, record.destination_address),
        ] {
            if !pod.name.is_empty() {
                pods.insert(address, pod);
            }
        }
    }
    let nodes: BTreeSet<_> = pods.values().map(|pod| &pod.node).collect();
    let mut text = String::from("nodes:\n");
    for node in nodes {
        writeln!(text, "- {{name: {node}}}").expect("a String takes it");
    }
    text.push_str("pods:\n");
    for (address, pod) in pods {
        let (name, namespace, node) = (&pod.name, &pod.namespace, &pod.node);
        writeln!(
            text,
            "- {{name: {name}, namespace: {namespace}, node: {node}, addresses: [{address}], \
             labels: {{app: {name}, tier: backend}}}}"
        )
        .expect("a String takes it");
    }
    Cluster::from_yaml(&text).expect("a cluster")
}

fn per_record(spent: Duration) -> Duration {
    spent / PASSES / u32::try_from(RECORDS).expect("not as many")
}

fn from_memory(passes: &[Messages]) -> Duration {
    let (mut decoder, mut flows) = (Decoder::new(), Yardstick::default());
    let begun = cpu_time();
    for messages in passes {
        for message in messages.iter() {
            decoder.decode(message, |record| flows.receive(&record));
        }
    }
    per_record(cpu_time().saturating_sub(begun))
}

fn naively(passes: &[Messages]) -> Duration {
    let mut naive = Naive::default();
    let begun = cpu_time();
    for messages in passes {
        for message in messages.iter() {
            naive.receive(message);
        }
    }
    per_record(cpu_time().saturating_sub(begun))
}

/// Everything on this thread but the sender.
fn collected(passes: &[Messages], cluster: &Arc<ArcSwap<Cluster>>) -> Duration {
    let wanted = Arc::new(ArcSwap::from_pointee(Wanted { pod_labels: true, uids: true }));
    let enricher = Enricher::new(Arc::clone(cluster), wanted);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let streams = one_session(passes);
    runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it has one");
        let (reported, queue) = mpsc::channel(1024);
        let options = CollectOptions::default();
        let metrics = Arc::new(Metrics::default());
        let room = Room::new(options.limits.records, reported);
        let (stop, stopped) = watch::channel(false);
        let started = Instant::now();
        let clock = move || NOW_MS + u64::try_from(started.elapsed().as_millis()).unwrap_or(0);
        let shards = Shards::new(TIMEOUTS, 5_000_000, 1);
        let handle = shards.handle();
        let shards =
            shards.run(queue, Some(enricher), FanOut::default(), Arc::clone(&metrics), clock);
        let begun = cpu_time();
        let sender = thread::spawn(move || {
            let mut stream = TcpStream::connect(address).expect("it accepts");
            for part in streams.chunks(256 * 1024) {
                stream.write_all(part).expect("it reads");
            }
        });
        let counted = Arc::clone(&metrics);
        let told = Some(Arc::clone(cluster));
        let collecting =
            Collecting::new(options, room, counted, told, Epoch::new(Instant::now(), NOW_MS));
        let collecting = async move { collecting.tcp(listener, stopped).await };
        let stopping = async {
            while metrics.records_received.get() < u64::from(PASSES) * RECORDS as u64 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.send_replace(true);
        };
        tokio::join!(collecting, shards, stopping);
        let spent = cpu_time().saturating_sub(begun);
        sender.join().expect("it sends");
        let stats = handle.totals().stats;
        assert_eq!(stats.received, u64::from(PASSES) * RECORDS as u64);
        assert_eq!(stats.folded, 0);
        per_record(spent)
    })
}

/// All passes as one session: its Template once, and sequence numbers that go on.
fn one_session(passes: &[Messages]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut sent = 0;
    for (pass, messages) in passes.iter().enumerate() {
        for message in messages.iter().skip(usize::from(pass > 0)) {
            let at = stream.len();
            stream.extend_from_slice(message);
            let number = &mut stream[at + 8..at + 12];
            let first = u32::from_be_bytes([number[0], number[1], number[2], number[3]]);
            number.copy_from_slice(&first.wrapping_add(sent).to_be_bytes());
        }
        sent += u32::try_from(RECORDS).expect("not as many");
    }
    stream
}
