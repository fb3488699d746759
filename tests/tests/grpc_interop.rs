//! The gRPC project's own implementation reads our messages, and we read its.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use flow::FlowRecord;
use grpc::export::{Export, ExportingProcess};
use grpc::{Head, encode};
use ipfix::transport::{ClientTls, Destination, Transport};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tests::authority::{certificates, python};
use tests::binary::{built, eventually, metrics, signal, sum, value};
use tests::ports::free_port;
use tests::records::record;

const PATIENCE: Duration = Duration::from_secs(20);
const NOW_NS: u64 = 1_700_000_010_123_456_789;

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A collector that is not ours, and what it says.
struct Server {
    _process: Running,
    /// Read as it is said, since a full pipe would stop it.
    lines: mpsc::Receiver<String>,
    port: u16,
}

impl Server {
    fn start(folder: &Path, limit: u32) -> Self {
        let port = free_port();
        let mut command = python("grpc_interop/server.py");
        command.arg(port.to_string()).arg(folder).arg(limit.to_string());
        let mut process = Running(command.spawn().expect("it starts"));
        let output = process.0.stdout.take().expect("a pipe");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|it| sender.send(it))
        });
        let server = Self { _process: process, lines, port };
        assert_eq!(server.says(), json!({"listening": true}));
        server
    }

    fn says(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("it says something");
        serde_json::from_str(&line).expect("JSON")
    }
}

struct Flows;

impl Export for Flows {
    type Record = FlowRecord;

    fn encode(&self, record: &FlowRecord, export_time_ns: u64, domain: u32, out: &mut Vec<u8>) {
        encode(record, &Head { export_time_ns, domain, with_ids: true }, out);
    }
}

fn exporting(folder: &Path, port: u16) -> ExportingProcess<Flows> {
    let path = |name: &str| folder.join(name);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(path("ca.pem")).expect("a PEM file")).expect("a CA");
    let certificate = CertificateDer::from_pem_file(path("exporter.test.pem")).expect("a PEM file");
    let key = PrivateKeyDer::from_pem_file(path("exporter.test.key")).expect("a PEM file");
    let config = rustls::ClientConfig::builder().with_root_certificates(roots);
    let config = config.with_client_auth_cert(vec![certificate], key).expect("a pair");
    let config = std::sync::Arc::new(config);
    let name = ServerName::try_from("collector.test").expect("a name");
    let tls = ClientTls::new(name, move || std::sync::Arc::clone(&config));
    let destination = Destination::new(format!("127.0.0.1:{port}"), Transport::Tls(tls));
    ExportingProcess::new(destination, 7, Flows)
}

/// What grpcio prints of the first record.
fn printed() -> Value {
    let stats = |base: u64| {
        json!({"packet_total_count": base.to_string(), "octet_total_count": (base + 1).to_string(),
               "packet_delta_count": (base + 2).to_string(), "octet_delta_count": (base + 3).to_string()})
    };
    json!({
        "id": "42",
        "ipfix": {"export_time": "2023-11-14T22:13:30.123456789Z", "observation_domain_id": 7},
        "start_ts": "2023-11-14T22:13:20.123Z",
        "end_ts": "2023-11-14T22:13:29.456Z",
        "end_reason": "FLOW_END_REASON_END_OF_FLOW",
        "ip": {"version": "IP_VERSION_4", "source": "CgoAAg==", "destination": "CgoBAg=="},
        "transport": {"protocol_number": 6, "source_port": 40000, "destination_port": 8080,
                      "TCP": {"state_name": "TIME_WAIT"}},
        "k8s": {"source_pod_namespace": "shop", "source_pod_name": "web-0",
                "source_node_name": "node-a", "egress_ip": "wAACAQ==",
                "destination_cluster_ip": "CmAAAQ==", "destination_service_ip": "CmAAAQ=="},
        "stats": stats(1000),
        "reverse_stats": stats(1 << 33),
        "proxy_snat_ip": "CgoAAQ==",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_collector_reads_every_value() {
    let folder = certificates();
    let server = Server::start(folder.path(), 0);
    let mut exporting = exporting(folder.path(), server.port);
    exporting.open().await.expect("it is there");
    let mut first = record("10.10.0.2", "10.10.1.2");
    first.flow_id = 42;
    first.egress_ip = "192.0.2.1".into();
    first.service.ip = Some([10, 96, 0, 1].into());
    first.proxy_snat_ip = Some([10, 10, 0, 1].into());
    exporting.push(first);
    exporting.push(record("fd00:10::2", "fd00:10:1::2"));
    exporting.flush(NOW_NS).await.expect("it takes them");
    assert_eq!(server.says(), json!({"opened": ["exporter.test"]}));
    let said = server.says();
    let flows = said["flows"].as_array().expect("flows");
    assert_eq!(flows.len(), 2, "in one request");
    assert_eq!(flows[0], printed());
    assert_eq!(flows[1]["ip"]["version"], "IP_VERSION_6");
    assert_eq!(flows[1]["ip"]["source"], "/QAAEAAAAAAAAAAAAAAAAg==");

    // More than its window: as many as fit share a request.
    for _ in 0..2000 {
        exporting.push(record("10.10.0.2", "10.10.1.2"));
    }
    exporting.flush(NOW_NS).await.expect("it takes them");
    exporting.close().await.expect("it confirms that it has them all");
    let (mut received, mut requests) = (0, 0);
    loop {
        let said = server.says();
        let Some(flows) = said["flows"].as_array() else {
            break assert_eq!(said, json!({"closed": true}));
        };
        assert!(said["bytes"].as_u64().expect("a number") <= 32 * 1024);
        received += flows.len();
        requests += 1;
    }
    assert_eq!(received, 2000);
    assert!(requests < 2000 / 64, "{requests}");
    let counters = exporting.counters();
    assert_eq!((counters.records, counters.messages), (2002, requests + 1));
    assert_eq!((counters.sessions, counters.sessions_lost), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_foreign_collector_says_against_it_is_told() {
    let folder = certificates();
    let server = Server::start(folder.path(), 1);
    let mut exporting = exporting(folder.path(), server.port);
    exporting.push(record("10.10.0.2", "10.10.1.2"));
    exporting.flush(NOW_NS).await.expect("it is handed over");
    assert_eq!(server.says(), json!({"opened": ["exporter.test"]}));
    let ended = tokio::time::timeout(PATIENCE, exporting.closed()).await.expect("it ends");
    let told = ended.to_string();
    assert!(told.contains("RESOURCE_EXHAUSTED: that is enough – for today"), "{told}");
    assert_eq!(exporting.counters().sessions_lost, 1);
    assert_eq!(exporting.pending(), 0, "what was handed over is not sent again");
}

/// An aggregator that takes gRPC over mutual TLS.
fn aggregator(folder: &Path, port: u16, admin: u16) -> Running {
    let path = |name: &str| folder.join(name);
    let errors = File::create(path("errors")).expect("a file");
    let mut command = Command::new(built("fyke"));
    command.args(["aggregator", "--listen", "127.0.0.1:0", "--active-timeout", "1s"]);
    command.arg("--admin").arg(format!("127.0.0.1:{admin}"));
    command
        .arg("--grpc-listen")
        .arg(format!("127.0.0.1:{port}"))
        .arg("--log")
        .arg(path("flows.json"));
    command.arg("--tls-certificate").arg(path("collector.test.pem"));
    command.arg("--tls-key").arg(path("collector.test.key"));
    command.arg("--tls-client-ca").arg(path("ca.pem"));
    let mut aggregator =
        Running(command.stdout(Stdio::piped()).stderr(errors).spawn().expect("it"));
    let mut ready = String::new();
    let output = aggregator.0.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut ready).expect("it says something");
    assert_eq!(ready, "ready\n", "{}", fs::read_to_string(path("errors")).expect("a file"));

    aggregator
}

/// Has grpcio send what it can think of. Returns what became of each.
fn sent(folder: &Path, port: u16) -> (Running, Vec<(String, String)>) {
    let mut command = python("grpc_interop/client.py");
    let mut client = Running(command.arg(port.to_string()).arg(folder).spawn().expect("it"));
    let output = client.0.stdout.take().expect("a pipe");
    let mut told = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.expect("text");
        let (what, status): (String, String) = serde_json::from_str(&line).expect("a pair");
        if what == "end" {
            break;
        }
        told.push((what, status));
    }
    (client, told)
}

/// What is sent, and what is answered.
const ANSWERS: [(&str, &str); 20] = [
    ("good", "OK"),
    ("without ipfix", "OK"),
    ("without ip", "OK"),
    ("without transport", "OK"),
    ("without k8s", "OK"),
    ("without stats", "OK"),
    ("without reverse_stats", "OK"),
    ("without start_ts", "OK"),
    ("without end_ts", "OK"),
    ("nothing at all", "OK"),
    ("no address", "OK"),
    ("a long flow between good ones", "OK"),
    ("a huge message", "OK"),
    ("another method", "UNIMPLEMENTED"),
    ("group", "INVALID_ARGUMENT"),
    ("cut", "INVALID_ARGUMENT"),
    ("overlong", "INVALID_ARGUMENT"),
    ("a stranger", "UNAVAILABLE"),
    ("garbage", "survived"),
    ("beside a thousand idle streams", "OK"),
];

fn check_the_good_one(good: &Value) {
    for (name, expected) in [
        ("sourceIP", json!("10.0.0.1")),
        ("destinationIP", json!("10.0.0.2")),
        ("destinationTransportPort", json!(443)),
        ("protocolIdentifier", json!(6)),
        ("tcpState", json!("TIME_WAIT")),
        ("sourcePodName", json!("web")),
        ("destinationPodNamespace", json!("shop")),
        ("egressIP", json!("192.0.2.1")),
        ("destinationServiceIP", json!("10.96.0.1")),
        ("octetTotalCount", json!(400)),
        ("octetDeltaCount", json!(400)),
        ("reversePacketTotalCount", json!(3)),
        ("flowEndReason", json!(3)),
        ("observationDomainIdFromSourceNode", json!(7)),
    ] {
        assert_eq!(good[name], expected, "{name} in {good}");
    }
}

#[test]
fn a_foreign_exporter_is_understood_whatever_it_sends() {
    let folder = certificates();
    let path = |name: &str| folder.path().join(name);
    let (port, admin) = (free_port(), free_port());
    let log: PathBuf = path("flows.json");
    let mut aggregator = aggregator(folder.path(), port, admin);
    let (mut client, told) = sent(folder.path(), port);
    let errors = || fs::read_to_string(path("errors")).expect("a file");
    let told: Vec<_> = told.iter().map(|(what, status)| (what.as_str(), status.as_str())).collect();
    assert_eq!(told, ANSWERS, "{}", errors());

    let said = || metrics(Command::new("bash"), admin);
    let counted = said();
    let count = |name: &str| value(&counted, &format!("fyke_aggregator_{name}"));
    assert_eq!(count("records_unusable_total{reason=\"no_addresses\"}"), 3);
    assert_eq!(count("records_unusable_total{reason=\"too_long\"}"), 1);
    // Three streams, and three connections that do not begin as HTTP/2 does.
    assert_eq!(count("sessions_ended_total{reason=\"malformed\"}"), 6);
    assert_eq!(count("sessions"), 1000, "those that are idle");
    assert!(sum(&counted, "fyke_aggregator_sessions_ended_total") > 20);
    assert!(!counted.contains("panicked"), "{counted}");
    let memory = fs::read_to_string(format!("/proc/{}/status", aggregator.0.id())).expect("procfs");
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 400 * 1024, "{peak} KiB");
    client.0.stdin.take().expect("a pipe").write_all(b"\n").expect("it reads");
    assert!(client.0.wait().expect("it ends").success());

    signal(aggregator.0.id(), "TERM");
    assert!(eventually(PATIENCE, || aggregator.0.try_wait().expect("ours").is_some()));
    let log = fs::read_to_string(log).expect("a log");
    let records: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |port: u64| records.iter().find(move |it| it["sourceTransportPort"] == port);
    let good = of(1).unwrap_or_else(|| panic!("{log}"));
    check_the_good_one(good);
    assert!(of(5).is_some() && of(6).is_some() && of(10).is_some() && of(4).is_none());
    assert!(of(1008).is_some(), "without names, a flow is still one");
    assert!(records.len() > 20_000, "{}", records.len());
}
