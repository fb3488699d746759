//! What it costs to send flows to ClickHouse, of both ends' time on the CPU, and how much of what
//! the server could take they get.
//!
//! `cargo bench -p benches --bench clickhouse` prints it; the engine is the one of the tests, in a
//! process of its own. `cargo bench -p benches --bench clickhouse -- blocks` needs none.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to say")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::Secret;
use flow::{
    Batch, Counters, Endpoint, FlowKey, FlowRecord, FlowType, Joined, Name, PolicyRule, Service,
    Shared, Side,
};
use sinks::click_house::{self, ClickHouseSink};
use sinks::{DeliverOptions, Queue, deliver};
use store::clickhouse::{Block, Client, Columns, Insert, Options, Trust};
use tests::clickhouse::{ANTREA_COLUMNS, Engine, PASSWORD, USER, antrea_table};
use tokio::sync::watch;

const ROWS: usize = 1_000_000;
/// Records of a batch, as the correlator hands them out.
const BATCH: usize = 1024;
/// Rows of a block whose cost for the server is taken as the least there is.
const LARGE: usize = 500_000;

fn main() {
    let batches = batches();
    blocks(&batches);
    if std::env::args().any(|argument| argument == "blocks") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let least = runtime.block_on(least(&batches));
    for compress in [false, true] {
        runtime.block_on(pipeline(&batches, compress, least));
    }
}

/// Rows to blocks alone.
fn blocks(batches: &[Batch]) {
    let columns = columns();
    let begun = cpu();
    let (mut rows, mut bytes) = (0, 0);
    let mut block = Block::new(&columns, UUID);
    for batch in batches {
        block.push(batch);
        if block.rows() >= 100_000 {
            (rows, bytes) = (rows + block.rows(), bytes + block.bytes());
            block = Block::new(&columns, UUID);
        }
    }
    (rows, bytes) = (rows + block.rows(), bytes + block.bytes());
    let each = cpu().saturating_sub(begun).as_nanos() as f64 / rows as f64;
    println!("to blocks: {each:.0} ns a row of {} B", bytes / rows);
}

/// What the engine takes to read a large block from a file; returns its wall time for a row, ns.
async fn least(batches: &[Batch]) -> f64 {
    let engine = Engine::start();
    engine.ask(&antrea_table("flows"));
    let client = client(&engine, false);
    let columns = Columns::read(&client, "flows").await.unwrap();
    let mut block = Block::new(&columns, UUID);
    for batch in batches.iter().take(LARGE.div_ceil(BATCH)) {
        block.push(batch);
    }
    // The engine writes the file itself, in its own way.
    let insert = Insert { table: "flows".into(), settings: Vec::new() };
    let block = Arc::new(block);
    client.insert(insert, &block, 0..block.rows()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("block");
    let names = columns.names().collect::<Vec<_>>().join(", ");
    engine.ask(&format!(
        "SELECT {names} FROM flows INTO OUTFILE '{}' FORMAT Native SETTINGS max_block_size = {LARGE}, \
         preferred_block_size_bytes = 0",
        path.display()
    ));
    let mut best = f64::MAX;
    for _ in 0..3 {
        engine.ask("TRUNCATE TABLE flows");
        let (begun, used) = (Instant::now(), cpu_of(engine.process_id()));
        engine.ask(&format!(
            "INSERT INTO flows ({names}) FROM INFILE '{}' \
             SETTINGS max_threads = 1, max_insert_threads = 1 FORMAT Native",
            path.display()
        ));
        let wall = begun.elapsed().as_nanos() as f64 / block.rows() as f64;
        let used = cpu_of(engine.process_id()).saturating_sub(used).as_nanos() as f64;
        println!("engine alone: {wall:.0} ns a row, {:.0} ns of CPU", used / block.rows() as f64);
        best = best.min(wall);
    }
    best
}

/// All rows through a sink, as fast as they are taken.
async fn pipeline(batches: &[Batch], compress: bool, least: f64) {
    let engine = Engine::start();
    engine.ask(&antrea_table("flows"));
    let sink = ClickHouseSink::new(click_house::Options {
        address: engine.url().parse().unwrap(),
        database: "default".into(),
        username: Secret::new(USER.into()),
        password: Secret::new(PASSWORD.into()),
        compress,
        interval: Duration::from_secs(8),
        trust: Trust::Anybody,
        cluster_uuid: UUID.into(),
        note: None,
    });
    let (inlet, queue) = Queue::new("bench", 65_536, Arc::default());
    let counters = Arc::clone(inlet.counters());
    let (_stop, stopped) = watch::channel(false);
    let options = DeliverOptions { close_within: Duration::from_mins(1), ..Default::default() };
    let begun = Instant::now();
    let (ours, theirs) = (cpu(), cpu_of(engine.process_id()));
    let clock = move || u64::try_from(begun.elapsed().as_millis()).unwrap();
    let delivering = tokio::spawn(deliver(sink, queue, options, stopped, clock));
    for batch in batches {
        inlet.room().await;
        inlet.send(batch);
    }
    drop(inlet);
    delivering.await.unwrap();
    let wall = begun.elapsed().as_nanos() as f64;
    let each = |time: Duration| time.as_nanos() as f64 / ROWS as f64;
    let ours = cpu().saturating_sub(ours);
    let theirs = cpu_of(engine.process_id()).saturating_sub(theirs);
    assert_eq!(counters.lost(), 0);
    assert_eq!(engine.number("SELECT count() FROM flows"), ROWS as u64);
    let inserts = engine.stats().inserts;
    let bytes: u64 = inserts.iter().map(|seen| seen.bytes).sum();
    println!(
        "{}: {:.0} rows/s, {:.0} ns of our CPU a row ({:.0} rows/s a core), {:.0} ns of the \
         engine's; {} B a row on the wire, {} inserts; {:.0} % of the engine alone",
        if compress { "LZ4" } else { "plain" },
        ROWS as f64 / wall * 1e9,
        each(ours),
        1e9 / each(ours),
        each(theirs),
        bytes / ROWS as u64,
        inserts.len(),
        least / (wall / ROWS as f64) * 100.0
    );
}

fn client(engine: &Engine, compress: bool) -> Client {
    Client::new(Options {
        address: engine.url().parse().unwrap(),
        database: "default".into(),
        username: Secret::new(USER.into()),
        password: Secret::new(PASSWORD.into()),
        compress,
        trust: Trust::Anybody,
        patience: Duration::from_mins(2),
    })
}

const UUID: &str = "0f6b3c9e-75ad-4d1c-8f02-00a1b2c3d4e5";

fn columns() -> Columns {
    let has: Vec<_> = ANTREA_COLUMNS
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()))
        .collect();
    Columns::of(has.iter().map(|(name, kind)| (name, kind)))
}

/// Flows between Pods of two Nodes, with Services and policies.
fn batches() -> Vec<Batch> {
    let names = Names::default();
    let records: Vec<_> = (0..ROWS).map(|number| names.record(number)).collect();
    records.chunks(BATCH).map(Batch::from).collect()
}

/// Shared as whoever decodes and correlates flows has them.
struct Names {
    pods: Vec<Shared<Endpoint>>,
    services: Vec<Name>,
    rules: Vec<Shared<PolicyRule>>,
    state: Name,
}

fn one<T: Clone>(of: &[T], mixed: usize) -> T {
    of[mixed % of.len()].clone()
}

impl Default for Names {
    fn default() -> Self {
        let names = |count, of: fn(usize) -> String| -> Vec<Name> {
            (0..count).map(|number| Name::from(of(number).as_str())).collect()
        };
        let namespaces = names(60, |number| format!("team-{number}"));
        let nodes = names(200, |number| format!("ip-10-0-{number}-17.ec2.internal"));
        let pods = names(5000, |number| format!("frontend-7d4b9c6f5d-{number:05}"));
        let policies = names(100, |number| format!("allow-frontend-{number}"));
        let end = |(number, pod)| Endpoint {
            pod,
            namespace: one(&namespaces, number),
            node: one(&nodes, number),
            ..Endpoint::default()
        };
        let rule = |(number, name)| PolicyRule {
            name,
            namespace: one(&namespaces, number),
            policy_type: 1,
            rule: Name::default(),
            action: PolicyRule::ALLOW,
        };
        Self {
            pods: pods.into_iter().enumerate().map(|pod| end(pod).into()).collect(),
            services: names(300, |number| format!("team-{}/backend-{number}:http", number % 60)),
            rules: policies.into_iter().enumerate().map(|policy| rule(policy).into()).collect(),
            state: "ESTABLISHED".into(),
        }
    }
}

impl Names {
    fn record(&self, number: usize) -> FlowRecord {
        // Neighbours in a batch have little in common.
        let mixed = number.wrapping_mul(0x9e37_79b9) >> 3;
        let count = number as u64;
        let forward = Counters {
            packets_total: count % 10_000,
            octets_total: count * 711 % 10_000_000,
            packets_delta: count % 1000,
            octets_delta: count * 711 % 1_000_000,
        };
        let end_ms = 1_700_000_000_000 + count;
        let side = Side { end_ms, forward, reverse: forward, throughput: count, ..Side::default() };
        let joined = Joined {
            from_source: side,
            from_destination: side,
            throughput: count,
            reverse_throughput: count,
        };
        let address = |by: usize| {
            let low = u32::try_from(mixed / by % 0xffff).unwrap();
            IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 | low))
        };
        FlowRecord {
            flow_id: count,
            key: FlowKey {
                source: address(1),
                destination: address(7),
                source_port: u16::try_from(32_768 + mixed % 28_000).unwrap(),
                destination_port: 8080,
                protocol: 6,
                icmp_type_code: 0,
            },
            start_ms: end_ms - 60_000,
            end_ms,
            forward,
            reverse: forward,
            source: one(&self.pods, mixed),
            destination: one(&self.pods, mixed / 3),
            service: Service {
                ip: Some(address(11)),
                port: 80,
                name: one(&self.services, mixed / 5),
            },
            ingress: one(&self.rules, mixed / 13),
            egress: if number.is_multiple_of(2) {
                one(&self.rules, mixed / 17)
            } else {
                Shared::default()
            },
            tcp_state: self.state.clone(),
            flow_type: FlowType::InterNode,
            joined: joined.into(),
            ..FlowRecord::default()
        }
    }
}

/// Of the whole process, user's and kernel's, as the scheduler counts it.
fn cpu() -> Duration {
    cpu_of(std::process::id())
}

fn cpu_of(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |path: std::path::PathBuf| fs::read_to_string(path.join("schedstat")).ok();
    let times = tasks.filter_map(|task| of(task.ok()?.path()));
    let time = |text: String| text.split(' ').next().and_then(|it| it.parse::<u64>().ok());
    Duration::from_nanos(times.filter_map(time).sum())
}
