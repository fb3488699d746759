//! The aggregator's open port, and what strangers may send to it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use flow::{FlowKey, FlowRecord, Profile};
use tests::binary::{built, metrics, signal, value};
use tests::numbered::once;
use tests::ports::free_port;
use tests::wire::Wire;

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
        Self::start_with(&[])
    }

    fn start_with(args: &[&str]) -> Self {
        let free = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (listen, admin) = (free(), free());
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = Command::new(built("fyke"))
            .args(["aggregator", "--listen", &listen.to_string(), "--admin", &admin.to_string()])
            .arg("--data")
            .arg(folder.path().join("data"))
            .args(args)
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
        let status = self.end_soon(name);
        assert!(status.success(), "{status}: {}", self.log());
        assert!(self.log().contains("everything is flushed"), "{}", self.log());
    }

    /// Ends it by `name`, and checks that it ends soon.
    fn end_soon(&mut self, name: &str) -> ExitStatus {
        let asked = Instant::now();
        signal(self.process.id(), name);
        let status = self.process.wait().expect("it ends");
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}: {}", self.log());
        status
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
    once(FlowKey { source_port: port, protocol: 6, ..FlowKey::default() })
}

/// A session that has begun, and the templates it begins with.
fn session() -> (Wire, Vec<u8>) {
    let mut wire = Wire::new(7, Profile::Fyke);
    let templates = wire.templates(0).expect("templates");
    (wire, templates)
}

/// A session's messages: templates, then `count` records.
fn messages(count: u16) -> Vec<u8> {
    let (mut wire, mut bytes) = session();
    let records: Vec<_> = (1..=count).map(record).collect();
    bytes.extend(wire.records(&records, 0).expect("they fit"));
    bytes
}

fn stored(data: &Path) -> usize {
    let reader = store::Reader::open(data).expect("a store");
    reader.flows().expect("flows").0.len()
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
    let (mut wire, templates) = session();
    let mut stream = aggregator.connect();
    stream.write_all(&templates).expect("it reads");
    for (batch, arrives) in [(10, true), (20, false), (30, true)] {
        let records: Vec<_> = (batch..batch + 5).map(record).collect();
        let messages = wire.records(&records, 0).expect("they fit");
        if arrives {
            stream.write_all(&messages).expect("it reads");
        }
    }
    drop(stream);
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

/// Starts a peer that opens with `first` and then sends `again` until the aggregator hangs up.
fn keep_sending(aggregator: &Aggregator, first: &[u8], again: &[u8], pause: Duration) -> Peer {
    let (mut stream, again) = (aggregator.connect(), again.to_vec());
    stream.write_all(first).expect("it reads");
    std::thread::spawn(move || {
        while stream.write_all(&again).is_ok() {
            std::thread::sleep(pause);
        }
    })
}

type Peer = std::thread::JoinHandle<()>;

#[test]
fn peers_that_never_stop_sending_do_not_keep_it_from_ending() {
    let mut aggregator = Aggregator::start();
    let bytes = messages(100);
    let templates = session().1.len();
    let (first, again) = bytes.split_at(templates);
    // One is never silent for long enough, the other never at all.
    let pauses = [Duration::from_millis(20), Duration::ZERO];
    let peers = pauses.map(|pause| keep_sending(&aggregator, first, again, pause));
    aggregator.wait_for("fyke_aggregator_sessions", 2);
    aggregator.end("TERM");
    assert!(TcpStream::connect(aggregator.listen).is_err());
    for peer in peers {
        peer.join().expect("it notices");
    }
    assert!(stored(&aggregator.data()) >= 100);
}

/// A message with one template of `fields`, each an element and its length, and one of 8 KiB with
/// records of it. Longer ones would rather test how slow a debug build is.
fn flood(fields: &[(u16, u16)]) -> [Vec<u8>; 2] {
    let record: usize = fields.iter().map(|(_, length)| usize::from(*length)).sum();
    let id = ipfix::template::TemplateId::MIN;
    let specifier = |&(id, length)| ipfix::template::FieldSpecifier { pen: 0, id, length };
    let fields = fields.iter().map(specifier).collect();
    let template = ipfix::template::Template { id, fields, scope_count: 0 };
    let mut encoder = ipfix::encode::Encoder::new(7, u16::MAX, ipfix::encode::Packing::Full);
    let (mut first, mut again) = (Vec::new(), Vec::new());
    encoder.template(0, &template, &mut first).expect("it fits");
    for _ in 0..8_000 / record {
        encoder.record(0, id, &mut again, |w| w.bytes(&vec![10; record])).expect("it fits");
    }
    encoder.finish(&mut again);
    [first, again]
}

/// A number of the aggregator's, now.
fn now(aggregator: &Aggregator, name: &str) -> u64 {
    value(&metrics(Command::new("bash"), aggregator.admin.port()), name)
}

#[test]
fn small_records_take_no_more_memory_than_their_number_may() {
    let unusable = "fyke_aggregator_records_unusable_total{reason=\"no_addresses\"}";
    let received = "fyke_aggregator_records_received_total";
    // Protocol alone, and the two addresses.
    for (fields, counter) in [(&[(4, 1)][..], unusable), (&[(8, 4), (12, 4)][..], received)] {
        let mut aggregator = Aggregator::start();
        let [first, again] = flood(fields);
        let before = aggregator.memory();
        let send = |_| keep_sending(&aggregator, &first, &again, Duration::ZERO);
        let peers: Vec<_> = (0..40).map(send).collect();
        let (mut most, mut last) = (0, 0);
        for _ in 0..30 {
            std::thread::sleep(Duration::from_millis(100));
            most = most.max(aggregator.memory());
            // It answers, and goes on reading.
            last = now(&aggregator, received).max(last);
        }
        assert!(last > 65_536 * 2 && now(&aggregator, counter) > 0, "{last} of {counter}");
        let grown = most.saturating_sub(before);
        assert!(grown < 300 * 1024, "memory grew by {grown} KiB");
        aggregator.end("TERM");
        for peer in peers {
            peer.join().expect("it notices");
        }
    }
}

#[test]
fn what_came_before_a_malformed_set_is_stored() {
    let mut aggregator = Aggregator::start();
    let mut bytes = messages(3);
    let templates = session().1.len();
    // A set that is longer than its message.
    bytes.extend([1, 0, 0xff, 0xff]);
    let length = u16::try_from(bytes.len() - templates).expect("one message");
    bytes[templates + 2..templates + 4].copy_from_slice(&length.to_be_bytes());
    send_until_closed(&aggregator, &bytes);
    aggregator.wait_for("fyke_aggregator_sessions_ended_total{reason=\"malformed\"}", 1);
    aggregator.wait_for("fyke_aggregator_records_received_total", 3);
    aggregator.end("TERM");
    assert_eq!(stored(&aggregator.data()), 3);
}

#[test]
fn names_that_are_too_long_are_cut_and_counted() {
    let mut aggregator = Aggregator::start();
    let (mut wire, mut bytes) = session();
    let mut long = record(1);
    long.source.pod = "x".repeat(60_000).as_str().into();
    bytes.extend(wire.records(&[long], 0).expect("it fits"));
    aggregator.connect().write_all(&bytes).expect("it reads");
    aggregator.wait_for("fyke_aggregator_names_cut_total", 1);
    aggregator.end("TERM");
    let reader = store::Reader::open(&aggregator.data()).expect("a store");
    let told = reader.flows().expect("flows").0;
    assert_eq!(told.iter().map(|flow| flow.record.source.pod.len()).collect::<Vec<_>>(), [512]);
}

#[test]
fn a_sink_that_fails_is_no_reason_to_stay_or_to_call_it_flushed() {
    let mut aggregator = Aggregator::start_with(&["--log", "/dev/full", "--no-spool"]);
    let mut session = aggregator.connect();
    session.write_all(&messages(50)).expect("it reads");
    aggregator.wait_for("fyke_aggregator_records_received_total", 50);
    let status = aggregator.end_soon("TERM");
    let log = aggregator.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(!log.contains("everything is flushed"), "{log}");
    assert!(log.contains("50 records could not be delivered"), "{log}");
    assert_eq!(stored(&aggregator.data()), 50, "the other sink is well");
}

#[test]
fn a_clock_skew_that_would_keep_it_busy_is_refused() {
    let clock_skew = ["aggregator", "--clock-skew", "1us"];
    let output = Command::new(built("fyke")).args(clock_skew).output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("at least 1s"), "{told}");
}
