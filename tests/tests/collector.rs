//! The aggregator's open port, and what strangers may send to it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exporter::export::Messages;
use flow::{Counters, FlowEndReason, FlowKey, FlowRecord, FlowType, Profile};
use tests::binary::{built, metrics, signal};

const PATIENCE: Duration = Duration::from_secs(10);

/// A running aggregator on loopback.
struct Aggregator {
    process: Child,
    listen: SocketAddr,
    admin: SocketAddr,
    folder: tempfile::TempDir,
}

impl Aggregator {
    fn start() -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it");
        let (listen, admin) = (free(), free());
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = Command::new(built("fyke"))
            .args(["aggregator", "--listen", &listen.to_string(), "--admin", &admin.to_string()])
            .arg("--data")
            .arg(folder.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("log")).expect("a log"))
            .spawn()
            .expect("the aggregator starts");
        let mut ready = [0; 6];
        let stdout = process.stdout.as_mut().expect("a pipe");
        stdout.read_exact(&mut ready).expect("it says something");
        assert_eq!(&ready, b"ready\n");
        Self { process, listen, admin, folder }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.listen).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Waits until a metric has a value, since sessions end in their own time.
    #[track_caller]
    fn wait_for(&self, name: &str, expected: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let all = metrics(Command::new("bash"), self.admin.port());
            let now = all.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            if now == Some(expected) {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is {now:?}, not {expected}:\n{all}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Resident memory in KiB, as the kernel tells it.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Ends it by `name`, and checks that it ends well and soon.
    fn end(&mut self, name: &str) {
        let asked = Instant::now();
        signal(self.process.id(), name);
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "{status}: {}", self.log());
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    }
}

impl Drop for Aggregator {
    fn drop(&mut self) {
        // Already ended where the test went well.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn record(port: u16) -> FlowRecord {
    FlowRecord {
        flow_id: 1,
        key: FlowKey { source_port: port, protocol: 6, ..FlowKey::default() },
        start_ms: 1_700_000_000_000,
        end_ms: 1_700_000_001_000,
        end_reason: FlowEndReason::EndOfFlow,
        flow_type: FlowType::ToExternal,
        source: flow::Endpoint { pod: "web-0".into(), ..Default::default() },
        forward: Counters {
            packets_total: 1,
            octets_total: 100,
            packets_delta: 1,
            octets_delta: 100,
        },
        ..FlowRecord::default()
    }
}

/// A session's messages: templates, then `count` records.
fn messages(count: u16) -> Vec<u8> {
    let mut messages = Messages::new(7, Profile::Fyke, 0).expect("templates");
    let mut bytes = messages.bytes().to_vec();
    let mut records = (1..=count).map(record).collect();
    assert_eq!(messages.encode(&mut records, 0), 0);
    bytes.extend_from_slice(messages.bytes());
    bytes
}

fn stored(data: &Path) -> usize {
    let reader = store::Reader::open(data).expect("a store");
    reader.flows(&store::Query::default()).expect("flows").flows.len()
}

/// Sends `bytes` and waits until the aggregator hangs up.
fn send_until_closed(aggregator: &Aggregator, bytes: &[u8]) {
    let mut stream = aggregator.connect();
    // The aggregator may hang up before everything is written.
    stream.write_all(bytes).ok();
    let closed = stream.read(&mut [0; 16]);
    assert!(
        matches!(closed, Ok(0))
            || closed.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
    );
}

#[test]
fn nonsense_ends_its_own_session_and_nothing_else() {
    let mut aggregator = Aggregator::start();
    let mut good = aggregator.connect();
    let session = messages(3);
    let (first, rest) = session.split_at(session.len() / 2);
    good.write_all(first).expect("it reads");

    send_until_closed(&aggregator, b"GET / HTTP/1.1\r\nHost: fyke\r\n\r\n");
    // Version 10, and a length shorter than the header.
    send_until_closed(&aggregator, &[0, 10, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // A message of the greatest length, whose first set claims to be longer still.
    let mut oversized =
        vec![0, 10, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0xff, 0xff];
    oversized.resize(65_535, 0);
    send_until_closed(&aggregator, &oversized);
    let malformed = "fyke_aggregator_sessions_ended_total{reason=\"malformed\"}";
    aggregator.wait_for(malformed, 3);
    // A peer that goes away in the middle of a message.
    aggregator.connect().write_all(&session[..40]).expect("it reads");
    aggregator.wait_for("fyke_aggregator_sessions_ended_total{reason=\"truncated\"}", 1);
    let log = aggregator.log();
    assert_eq!(log.matches("session closed").count(), 4, "{log}");
    assert!(log.contains("malformed") && log.contains("version is"), "the reason is told: {log}");

    good.write_all(rest).expect("the good session goes on");
    drop(good);
    aggregator.wait_for("fyke_aggregator_records_received_total", 3);
    aggregator.end("TERM");
    assert_eq!(stored(&aggregator.data()), 3);
}

#[test]
fn a_thousand_nonsense_sessions_take_no_memory() {
    let mut aggregator = Aggregator::start();
    let mut noise = vec![0xa5_u8; 65_536];
    noise[..4].copy_from_slice(&[0, 10, 0xff, 0xff]);
    send_until_closed(&aggregator, &noise);
    let before = aggregator.memory();
    for _ in 0..1000 {
        send_until_closed(&aggregator, &noise);
    }
    aggregator.wait_for("fyke_aggregator_sessions_ended_total{reason=\"malformed\"}", 1001);
    let grown = aggregator.memory().saturating_sub(before);
    assert!(grown < 16 * 1024, "memory grew by {grown} KiB");
    aggregator.end("TERM");
}

#[test]
fn a_skip_in_sequence_numbers_is_counted() {
    let mut aggregator = Aggregator::start();
    let mut messages = Messages::new(7, Profile::Fyke, 0).expect("templates");
    let mut session = aggregator.connect();
    session.write_all(messages.bytes()).expect("it reads");
    for (batch, arrives) in [(10, true), (20, false), (30, true)] {
        let mut records = (batch..batch + 5).map(record).collect();
        messages.encode(&mut records, 0);
        if arrives {
            session.write_all(messages.bytes()).expect("it reads");
        }
    }
    drop(session);
    aggregator.wait_for("fyke_aggregator_records_lost_total", 5);
    aggregator.end("TERM");
    assert_eq!(stored(&aggregator.data()), 10);
}

#[test]
fn what_was_received_is_stored_when_the_process_is_asked_to_end() {
    for name in ["INT", "TERM"] {
        let mut aggregator = Aggregator::start();
        let mut session = aggregator.connect();
        session.write_all(&messages(5000)).expect("it reads");
        aggregator.wait_for("fyke_aggregator_sessions", 1);
        // The session stays open, and nothing was waited for.
        aggregator.end(name);
        assert_eq!(stored(&aggregator.data()), 5000, "{name}");
    }
}
