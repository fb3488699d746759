//! What it costs to store a record, to merge what was stored and to sum it up, and what a record
//! takes on disk, also as others write it: time of this thread on the CPU.
//!
//! `cargo bench --workspace --bench store_write -- --check` prints it, and holds it to the goals; the directory is made in `TMPDIR`, and
//! takes about 45 bytes for each of `FYKE_BENCH_ROWS` (10 million) records.
//!
//! Records are as in a cluster of 5,000 Pods in 60 namespaces, some of which talk far more than
//! others: 39 attributes are set, and the counters of each Node are not.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to say")]
#![expect(clippy::cast_possible_truncation, reason = "numbers are made up")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use benches::{Goals, cpu_time};
use flow::{
    Counters, Endpoint, FlowEndReason, FlowRecord, FlowType, Joined, Name, PolicyRule, Shared,
};
use store::{MaintenanceOptions, Tier, Writer};

const HOUR_MS: u64 = 3_600_000;
const START_MS: u64 = 1_795_219_200_000;
const PODS: u64 = 5000;
const NAMESPACES: u64 = 60;
const BATCH: u64 = 1024;

/// Of the time in which pyarrow writes the same rows: a million records a second on one core where
/// it takes 1,430 ns for each. Bytes of a record on disk; MB.
const OF_PYARROW: f64 = 0.7;
const BYTES: f64 = 45.0;
const MEMORY: f64 = 200.0;

fn main() -> ExitCode {
    let rows = std::env::var("FYKE_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok());
    let rows: u64 = rows.unwrap_or(10_000_000);
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let cluster = Cluster::new();
    let (mut appending, mut flushing) = (Duration::ZERO, Duration::ZERO);
    let (mut written, mut files) = (0, 0);
    // Ten hours, whatever the number of rows.
    let step = 10 * HOUR_MS * BATCH / rows;
    for batch in 0..rows / BATCH {
        let now = START_MS + batch * step;
        let records: Vec<_> = (0..BATCH).map(|n| cluster.record(batch * BATCH + n, now)).collect();
        let begun = cpu_time();
        writer.append(&records, now).unwrap();
        appending += cpu_time().saturating_sub(begun);
        // As often as when a second brings so many: files of 131,072 rows.
        if writer.rows() >= 131_072 {
            let begun = cpu_time();
            let flushed = writer.flush().unwrap();
            flushing += cpu_time().saturating_sub(begun);
            written += flushed.bytes;
            files += flushed.files;
        }
    }
    let flushed = writer.flush().unwrap();
    (written, files) = (written + flushed.bytes, files + flushed.files);
    let per_row = |time: Duration| time.as_nanos() as f64 / rows as f64;
    println!("{rows} records of {} columns, {files} files", store::schema().fields().len());
    println!("  as columns   {:7.0} ns a record", per_row(appending));
    println!("  to files     {:7.0} ns a record", per_row(flushing));
    let mut goals = Goals::default();
    let together = per_row(appending + flushing);
    println!(
        "  together     {together:7.0} ns a record: {:.2} million a second",
        1000.0 / together
    );
    goals.result("on disk, bytes a record", written as f64 / rows as f64, BYTES);
    println!("  peak memory  {:7} MB", benches::peak_memory());
    let pyarrow = others(&dir.path().join("flows"));
    goals.result("together, share of pyarrow's writing", together / pyarrow, OF_PYARROW);

    let options = MaintenanceOptions { limit: None, ..MaintenanceOptions::default() };
    let mut maintenance = writer.maintenance(options).unwrap();
    let begun = cpu_time();
    maintenance.pass(START_MS + 48 * HOUR_MS, &AtomicBool::new(false)).unwrap();
    println!(
        "  merging and summing up {:.0} ns a record",
        per_row(cpu_time().saturating_sub(begun))
    );
    goals.result("peak memory with merging, MB", benches::peak_memory() as f64, MEMORY);
    for (tier, usage) in Tier::ALL.into_iter().zip(maintenance.counters().usage()) {
        let bytes = usage.bytes as f64 / rows as f64;
        println!(
            "  {:4} {:3} files {:9} rows {bytes:6.2} bytes a record",
            tier.name(),
            usage.files,
            usage.rows
        );
    }
    goals.verdict()
}

/// Prints what the same rows take as files of pyarrow and DuckDB; returns pyarrow's nanoseconds a
/// record, which begin with ready columns and end before anything is durable.
fn others(files: &Path) -> f64 {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new(here.join("../target/test-venv/bin/python"));
    let script = here.join("benches/store_write/others.py");
    let output = python.arg(script).arg(files).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let (told, times) = text.trim_end().rsplit_once('\n').unwrap();
    println!("{told}");
    let times: serde_json::Value = serde_json::from_str(times).unwrap();
    times["pyarrow, zstd 1"].as_f64().unwrap()
}

/// What records share.
struct Cluster {
    ends: Vec<Shared<Endpoint>>,
    services: Vec<Name>,
    rules: Vec<Shared<PolicyRule>>,
    tcp: [Name; 3],
}

impl Cluster {
    fn new() -> Self {
        let name = |text: String| Name::from(text.as_str());
        let hash = |pod: u64| mixed(pod) % 0xffff_ffff;
        let end = |pod: u64| {
            let app = pod / 5;
            let end = Endpoint {
                pod: name(format!("app-{app}-{:08x}-{pod:05x}", hash(app))),
                namespace: name(format!("team-{}", app % NAMESPACES)),
                node: name(format!("worker-{}.cluster.internal", pod % 100)),
                labels: name(format!(
                    r#"{{"app":"app-{app}","pod-template-hash":"{:08x}","tier":"backend"}}"#,
                    hash(app)
                )),
                ..Endpoint::default()
            };
            Shared::from(end)
        };
        let rule = |app: u64| {
            let rule = PolicyRule {
                name: name(format!("allow-app-{}", app % 120)),
                namespace: name(format!("team-{}", app % NAMESPACES)),
                policy_type: 2,
                rule: name(format!("allow-app-{}", app / 10 % 120)),
                action: PolicyRule::ALLOW,
            };
            Shared::from(rule)
        };
        Self {
            ends: (0..PODS).map(end).collect(),
            services: (0..PODS / 5)
                .map(|app| name(format!("team-{}/app-{app}:http", app % NAMESPACES)))
                .collect(),
            rules: (0..PODS / 5).map(rule).collect(),
            tcp: ["ESTABLISHED", "TIME_WAIT", "CLOSE"].map(Name::from),
        }
    }

    fn record(&self, number: u64, now_ms: u64) -> FlowRecord {
        let random = mixed(number);
        let part = |shift: u32, below: u64| (random >> shift) % below;
        // A tenth of the Pods is at one end of nine tenths of the flows.
        let skewed = |shift: u32| {
            let pod = part(shift, PODS);
            if part(shift + 3, 10) > 0 { pod / 10 } else { pod }
        };
        let (from, to) = (skewed(0), skewed(20));
        let (packets, octets) = (1 + part(11, 60), 60 + part(7, 90_000));
        let end_ms = now_ms - part(33, 1000);
        let mut record = FlowRecord {
            flow_id: random,
            start_ms: end_ms - part(13, 60_000),
            end_ms,
            end_reason: [FlowEndReason::ActiveTimeout, FlowEndReason::EndOfFlow]
                [part(50, 2) as usize],
            flow_type: [FlowType::IntraNode, FlowType::InterNode][part(51, 2) as usize],
            tcp_state: self.tcp[part(52, 3) as usize].clone(),
            source: self.ends[from as usize].clone(),
            destination: self.ends[to as usize].clone(),
            ingress: self.rules[(to / 5) as usize].clone(),
            ..FlowRecord::default()
        };
        let counted = |factor: u64| Counters {
            packets_total: packets * (1 + part(15, 20)),
            octets_total: octets * factor * (1 + part(15, 20)),
            packets_delta: packets,
            octets_delta: octets * factor,
        };
        (record.forward, record.reverse) = (counted(1), counted(3));
        record.joined = Shared::from(Joined {
            throughput: octets * 8 / 60,
            reverse_throughput: octets * 2 / 60,
            ..Joined::default()
        });
        record.key.source = address(10, from);
        record.key.destination = address(10, to);
        record.key.source_port = 32_768 + part(17, 28_000) as u16;
        record.key.destination_port = 8080;
        record.key.protocol = 6;
        record.service.ip = Some(address(172, to / 5));
        record.service.port = 80;
        record.service.name = self.services[(to / 5) as usize].clone();
        record
    }
}

fn address(first: u8, number: u64) -> IpAddr {
    Ipv4Addr::new(first, 10, (number >> 8) as u8, number as u8).into()
}

/// The finaliser of `SplitMix64`.
fn mixed(number: u64) -> u64 {
    let mut value = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
