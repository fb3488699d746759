//! Our exporter sends to collectors of others.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc;

use flow::FlowRecord;
use grpc::export::{Export, ExportingProcess};
use grpc::{Head, encode};
use ipfix::transport::{ClientTls, Destination, Transport};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tests::ports::free_port;
use tests::records::record;

use tests::authority::{certificates, python};

use super::{PATIENCE, Running};

const NOW_NS: u64 = 1_700_000_010_123_456_789;

/// A collector that is not ours, and what it says.
struct Server {
    _process: Running,
    /// Read as it is said, since a full pipe would stop it.
    lines: mpsc::Receiver<String>,
    port: u16,
}

impl Server {
    fn start(folder: &Path, limit: i32) -> Self {
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
    first.exit.ip = "192.0.2.1".into();
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
    let told = exporting.flush(NOW_NS).await.expect_err("it is enough").to_string();
    assert_eq!(server.says(), json!({"opened": ["exporter.test"]}));
    assert!(told.contains("RESOURCE_EXHAUSTED: that is enough – for today"), "{told}");
    assert_eq!(exporting.counters().sessions_lost, 1);
    assert_eq!(exporting.pending(), 0, "what was handed over is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_server_without_the_service_swallows_nothing() {
    let folder = certificates();
    let server = Server::start(folder.path(), -1);
    let mut exporting = exporting(folder.path(), server.port);
    for attempt in 1..=5 {
        exporting.push(record("10.10.0.2", "10.10.1.2"));
        let told = exporting.flush(NOW_NS).await.expect_err("nobody takes it").to_string();
        assert!(told.contains("UNIMPLEMENTED"), "{told}");
        let counters = exporting.counters();
        assert_eq!((counters.records, counters.sessions_lost), (0, attempt as u64));
        assert_eq!(exporting.pending(), attempt);
    }
}
