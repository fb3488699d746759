//! What it costs to send flows to ClickHouse, of both ends' time on the CPU, and how much of what
//! the server could take they get.
//!
//! `cargo bench -p benches --bench clickhouse` prints it; the engine is the one of the tests, in a
//! process of its own, and its ceiling what it takes of blocks that are ready, over the same
//! connection. With `-- --check` it fails if a goal is missed that does not depend on the machine.
//! `cargo bench -p benches --bench clickhouse -- blocks` needs no engine.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to say")]

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Goals, process_time, time_of};
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
const ROUNDS: usize = 3;
/// Rows of a block, as the sink has them.
const BLOCK: usize = 100_000;

fn main() -> ExitCode {
    let batches = batches();
    blocks(&batches);
    if std::env::args().any(|argument| argument == "blocks") {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut goals = Goals::default();
    for compress in [false, true] {
        // In turns, of which the best count: whatever else runs disturbs one or the other.
        let (mut ready_each, mut sent_each, mut share) = (f64::MAX, f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            ready_each = ready_each.min(runtime.block_on(ready(&batches, compress)));
            let (each, cpu) = runtime.block_on(pipeline(&batches, compress));
            (sent_each, share) = (sent_each.min(each), share.min(cpu));
        }
        let name = name(compress);
        let what = format!("{name}: time, by that of blocks that are ready");
        // 80 % of what the engine could take.
        goals.result(&what, sent_each / ready_each, 1.25);
        goals.result(&format!("{name}: our CPU, by the engine's"), share, 1.0);
    }
    goals.verdict()
}

/// Rows to blocks alone, in the memory of the block before as the sink does. The first round finds
/// the memory new.
fn blocks(batches: &[Batch]) {
    let columns = columns();
    let mut block = Block::default();
    for _ in 0..4 {
        let begun = process_time();
        for batches in batches.chunks(BLOCK / BATCH) {
            block = Block::new(&columns, UUID).reusing(block);
            for batch in batches {
                block.push(batch);
            }
        }
        let each = process_time().saturating_sub(begun).as_nanos() as f64 / ROWS as f64;
        println!("to blocks: {each:.0} ns a row (goal 250)");
    }
}

/// Has the engine insert blocks that are ready; returns its wall time for a row, ns.
async fn ready(batches: &[Batch], compress: bool) -> f64 {
    let engine = Engine::start();
    engine.ask(&antrea_table("flows"));
    let client = client(&engine, compress);
    let columns = Columns::read(&client, "flows").await.unwrap();
    let blocks: Vec<_> = batches
        .chunks(BLOCK / BATCH)
        .map(|batches| {
            let mut block = Block::new(&columns, UUID);
            for batch in batches {
                block.push(batch);
            }
            Arc::new(block)
        })
        .collect();
    let (begun, used) = (Instant::now(), time_of(engine.process_id()));
    for block in &blocks {
        let settings = vec![("async_insert".to_owned(), "0".to_owned())];
        let insert = Insert { table: "flows".into(), settings };
        client.insert(insert, block, 0..block.rows()).await.unwrap();
    }
    let wall = begun.elapsed().as_nanos() as f64 / ROWS as f64;
    let used = time_of(engine.process_id()).saturating_sub(used).as_nanos() as f64 / ROWS as f64;
    println!("{}, ready: {wall:.0} ns a row, {used:.0} ns of the engine's CPU", name(compress));
    wall
}

fn name(compress: bool) -> &'static str {
    if compress { "LZ4" } else { "plain" }
}

/// All rows through a sink, as fast as they are taken; returns its wall time for a row, ns, and our
/// CPU by the engine's.
async fn pipeline(batches: &[Batch], compress: bool) -> (f64, f64) {
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
    let (ours, theirs) = (process_time(), time_of(engine.process_id()));
    let clock = move || u64::try_from(begun.elapsed().as_millis()).unwrap();
    let delivering = tokio::spawn(deliver(sink, queue, options, stopped, clock));
    for batch in batches {
        inlet.room().await;
        inlet.send(batch);
    }
    drop(inlet);
    delivering.await.unwrap();
    let each = |time: Duration| time.as_nanos() as f64 / ROWS as f64;
    let wall = each(begun.elapsed());
    let ours = each(process_time().saturating_sub(ours));
    let theirs = each(time_of(engine.process_id()).saturating_sub(theirs));
    assert_eq!(counters.lost(), 0);
    assert_eq!(engine.number("SELECT count() FROM flows"), ROWS as u64);
    let inserts = engine.stats().inserts;
    let bytes: u64 = inserts.iter().map(|seen| seen.bytes).sum();
    println!(
        "{}: {:.0} rows/s, {wall:.0} ns a row, {ours:.0} ns of our CPU ({:.0} rows/s a core), \
         {theirs:.0} ns of the engine's; {} B a row on the wire, {} inserts",
        name(compress),
        1e9 / wall,
        1e9 / ours,
        bytes / ROWS as u64,
        inserts.len(),
    );
    (wall, ours / theirs)
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
    services: Vec<Service>,
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
            services: names(300, |number| format!("team-{}/backend-{number}:http", number % 60))
                .into_iter()
                .zip(0x0a60_0001..)
                .map(|(name, ip)| Service {
                    ip: Some(Ipv4Addr::from_bits(ip).into()),
                    port: 80,
                    name,
                })
                .collect(),
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
            service: one(&self.services, mixed / 5),
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
