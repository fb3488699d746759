//! Programs we did not write send to every listener of the aggregator.

#[path = "ipfix_interop/capture.rs"]
#[expect(dead_code, reason = "the tests of the library use the rest")]
mod capture;
#[path = "ipfix_interop/tools.rs"]
#[expect(dead_code, reason = "the tests of the library use the rest")]
mod tools;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregator::collect::{CollectOptions, Collecting, Epoch, Reported, Room, Transport};
use aggregator::metrics::{EndReason, Metrics};
use flow::{FlowRecord, Profile};
use k8s::certificates::{Follower, PairFiles, ServerFiles};
use prometheus_client::registry::Registry;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use tests::records::record;
use tests::wire::Wire;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tools::{PATIENCE, program, python, run};

/// A Collecting Process with one listener for each protocol, certificates included.
struct Collector {
    collecting: Collecting,
    metrics: Arc<Metrics>,
    reported: mpsc::Receiver<Reported>,
    tls: SocketAddr,
    udp: SocketAddr,
    netflow: SocketAddr,
    certificates: Follower<ServerConfig>,
    folder: tempfile::TempDir,
    _stop: watch::Sender<bool>,
}

impl Collector {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_certificates(folder.path());
        let file = |name| folder.path().join(name);
        let pair = PairFiles { certificates: file("server.pem"), key: file("server.key") };
        let files = ServerFiles { pair, clients: Some(file("ca.pem")) };
        let certificates = Follower::server_files(files).await.expect("certificates");
        let (sender, reported) = mpsc::channel(1024);
        let (stop, stopped) = watch::channel(false);
        let metrics = Arc::new(Metrics::default());
        let options = CollectOptions::default();
        let room = Room::new(options.limits.records, sender);
        let epoch = Epoch::new(Instant::now(), 0);
        let collecting = Collecting::new(options, room, Arc::clone(&metrics), None, epoch);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let tls = listener.local_addr().expect("it has one");
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let [of_udp, of_netflow] =
            [(); 2].map(|()| ipfix::transport::bind_udp(here, 1 << 20).expect("a port"));
        let [udp, netflow] =
            [&of_udp, &of_netflow].map(|socket| socket.local_addr().expect("it has one"));
        let (it, source, stop_it) = (collecting.clone(), certificates.server(), stopped.clone());
        tokio::spawn(async move { it.tls(listener, source, stop_it).await });
        let (it, stop_it) = (collecting.clone(), stopped.clone());
        tokio::spawn(async move { it.udp(of_udp, stop_it).await });
        let it = collecting.clone();
        tokio::spawn(async move { it.netflow(of_netflow, stopped).await });
        Self { collecting, metrics, reported, tls, udp, netflow, certificates, folder, _stop: stop }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn records(&mut self, count: usize) -> Vec<FlowRecord> {
        let mut records = Vec::new();
        while records.len() < count {
            let next = timeout(PATIENCE, self.reported.recv()).await;
            let Ok(reported) = next else { panic!("{} of {count} came", records.len()) };
            records.extend(reported.expect("it goes on").records);
        }
        assert_eq!(records.len(), count, "{records:?}");
        records
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let seen = async {
            while !is_so() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = timeout(PATIENCE, seen).await;
        assert!(in_time.is_ok(), "waited in vain for {what}");
    }

    /// How many sessions have ended for this reason.
    fn ended(&self, reason: EndReason) -> u64 {
        let mut registry = Registry::default();
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("metrics");
        let label = reason.label();
        let name = format!("fyke_aggregator_sessions_ended_total{{reason=\"{label}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().expect("a number"))
    }
}

/// A new authority, with a pair for a collector called `localhost` and one for its exporters.
fn write_certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // One whose name is that of what it signs is taken for no authority.
    params.distinguished_name.push(DnType::CommonName, "authority");
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("a file");
    write("ca.pem", authority.pem());
    for name in ["server", "client"] {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

/// `openssl s_client` with the files of `folder`, as an exporter that sends what `input` has and
/// then waits.
fn s_client(to: SocketAddr, folder: &Path, version: &str, pair: Option<&str>) -> Command {
    let mut command = Command::new(program("openssl", "openssl"));
    command.args(["s_client", "-quiet", "-verify_return_error", "-servername", "localhost"]);
    command.args(["-connect", &to.to_string(), version]);
    command.arg("-CAfile").arg(folder.join("ca.pem"));
    if let Some(pair) = pair {
        command.arg("-cert").arg(folder.join(format!("{pair}.pem")));
        command.arg("-key").arg(folder.join(format!("{pair}.key")));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A process that ends with the test.
struct Sender(Child);

impl Drop for Sender {
    fn drop(&mut self) {
        // Already ended where it was refused.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn send(command: &mut Command, input: &Path) -> Sender {
    let stdin = File::open(input).expect("a file");
    Sender(command.stdin(stdin).spawn().expect("openssl starts"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_gets_in_with_a_certificate_and_not_without() {
    let mut collector = Collector::start().await;
    let (mut wire, input) = (Wire::new(7, Profile::Antrea), collector.file("messages"));
    let mut messages = wire.templates(0).expect("templates");
    messages.extend(wire.records(&[record("10.10.0.2", "10.10.1.2")], 0).expect("they fit"));
    fs::write(&input, &messages).expect("a file");
    for (round, version) in (1..).zip(["-tls1_2", "-tls1_3"]) {
        let folder = collector.folder.path();
        let accepted = send(&mut s_client(collector.tls, folder, version, Some("client")), &input);
        let [told] = collector.records(1).await.try_into().expect("one");
        assert_eq!(told.key.source, "10.10.0.2".parse::<std::net::IpAddr>().expect("an address"));
        let refused =
            send(&mut s_client(collector.tls, collector.folder.path(), version, None), &input);
        let is_refused = || collector.ended(EndReason::Broken) == round;
        collector.until("a refusal", is_refused).await;
        let (sessions, _) = collector.collecting.connected().sessions(9);
        assert_eq!(sessions.last().map(|it| it.transport), Some(Transport::Tls));
        drop((accepted, refused));
        collector.until("the end", || collector.collecting.connected().sessions(1).1 == 0).await;
    }
    assert_eq!(collector.metrics.records_received.get(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_between_two_handshakes() {
    let mut collector = Collector::start().await;
    let (mut wire, input) = (Wire::new(7, Profile::Antrea), collector.file("messages"));
    let templates = wire.templates(0).expect("templates");
    let first = wire.records(&[record("10.10.0.2", "10.10.1.2")], 0).expect("they fit");
    let second = wire.records(&[record("10.10.0.3", "10.10.1.2")], 0).expect("they fit");
    let before = tempfile::tempdir().expect("a folder");
    for name in ["ca.pem", "client.pem", "client.key"] {
        fs::copy(collector.file(name), before.path().join(name)).expect("a copy");
    }
    let mut session = s_client(collector.tls, before.path(), "-tls1_3", Some("client"))
        .spawn()
        .map(Sender)
        .expect("openssl starts");
    let mut pipe = session.0.stdin.take().expect("a pipe");
    let mut write = |bytes: &[u8]| {
        use std::io::Write;
        pipe.write_all(bytes).expect("it reads");
        pipe.flush().expect("it reads");
    };
    write(&[templates.as_slice(), &first].concat());
    collector.records(1).await;

    write_certificates(collector.folder.path());
    collector.certificates.check().await.expect("new certificates");
    // Whoever is in stays in; the old certificate opens no door any more, and the new one does.
    write(&second);
    collector.records(1).await;
    fs::write(&input, [templates.as_slice(), &first].concat()).expect("a file");
    let old = send(&mut s_client(collector.tls, before.path(), "-tls1_3", Some("client")), &input);
    collector.until("a refusal", || collector.ended(EndReason::Broken) == 1).await;
    let folder = collector.folder.path();
    let new = send(&mut s_client(collector.tls, folder, "-tls1_3", Some("client")), &input);
    collector.records(1).await;
    drop((old, new));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pypi_ipfix_is_understood_over_tls() {
    let mut collector = Collector::start().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ipfix_interop/foreign_exporter.py");
    let files = ["ca.pem", "client.pem", "client.key"].map(|name| collector.file(name));
    let port = collector.tls.port().to_string();
    let sending = tokio::task::spawn_blocking(move || {
        run(Command::new(python()).args([script, &port]).args(files))
    });
    let [first, second] = collector.records(2).await.try_into().expect("two");
    sending.await.expect("it sends");
    let told = |record: &FlowRecord| {
        let (from, port) = (record.key.source.to_string(), record.key.source_port);
        (from, port, record.forward.octets_delta, record.reverse.octets_delta)
    };
    let octets = 1_u64 << 40;
    assert_eq!(told(&first), ("10.10.0.1".to_owned(), 40_001, 1_000, octets + 1));
    assert_eq!(told(&second), ("10.10.0.2".to_owned(), 40_002, 2_000, octets + 2));
    assert_eq!((first.start_ms, first.origin.domain), (1_700_000_000_123, 42));
    let names = [first.source.pod.as_str(), second.source.pod.as_str()];
    assert_eq!(names, ["web-0", &"ä".repeat(150)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn softflowd_is_understood_in_all_its_versions() {
    let (client, server) = (([10, 10, 0, 2], 40_000), ([10, 10, 1, 2], 80));
    let (syn, ack, fin) = (0x02, 0x10, 0x11);
    let packets = [
        capture::tcp(client, server, syn, 0),
        capture::tcp(server, client, syn | ack, 0),
        capture::tcp(client, server, ack, 100),
        capture::tcp(server, client, ack, 1000),
        capture::tcp(client, server, fin, 0),
        capture::tcp(server, client, fin, 0),
    ];
    for version in ["5", "9", "10"] {
        let mut collector = Collector::start().await;
        let file = collector.file("traffic.pcap");
        capture::write(&file, &packets);
        let to = if version == "10" { collector.udp } else { collector.netflow };
        let folder = collector.folder.path().to_owned();
        let sending = tokio::task::spawn_blocking(move || {
            let mut softflowd = Command::new(program("softflowd", "softflowd"));
            softflowd.arg("-r").arg(file).args(["-n", &to.to_string(), "-v", version, "-d"]);
            if version == "10" {
                softflowd.args(["-A", "milli"]);
            }
            run(softflowd.current_dir(folder))
        });
        let records = collector.records(2).await;
        sending.await.expect("it sends");
        for (from, to, packets, octets) in
            [(client, server, 3, 3 * 40 + 100), (server, client, 3, 3 * 40 + 1000)]
        {
            let found = records.iter().find(|record| record.key.source_port == from.1);
            let record = found.unwrap_or_else(|| panic!("{version}: {records:?}"));
            let key = record.key;
            assert_eq!((key.source, key.destination), (from.0.into(), to.0.into()), "{version}");
            assert_eq!((key.destination_port, key.protocol), (to.1, 6), "{version}");
            let told = (record.forward.packets_delta, record.forward.octets_delta);
            assert_eq!(told, (packets, octets), "{version}");
            // Six packets, a second apart; both directions are told to begin and end together.
            assert_eq!(record.end_ms - record.start_ms, 5_000, "{version}");
        }
    }
}
