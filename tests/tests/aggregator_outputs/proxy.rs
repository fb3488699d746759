//! A running aggregator in mode `Proxy`: what two exporters tell leaves record by record, with who
//! told it.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flow::{Contents, FlowRecord, FlowType, Mode};
use serde_json::{Map, Value};
use tests::binary::{built, eventually, metrics, signal, value};
use tests::ports::free_port;
use tests::records::{counters, record};
use tests::wire::Wire;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::elements::{template, wanted};
use super::reading::{Collector, pypi};
use super::{V4, V6};

const PATIENCE: Duration = Duration::from_secs(20);
/// Antrea's, with names and no UIDs.
const ELEMENTS: usize = 50;
const CONTENTS: Contents = Contents { names: true, uids: false, mode: Mode::Proxy };

/// Flows of each kind.
const FLOWS: u16 = 100;
/// flowDirection as Antrea sends it; IANA has the first two.
const INGRESS: u64 = 0;
const EGRESS: u64 = 1;
const UNSPECIFIED: u64 = 255;

struct Aggregator(Child);

impl Aggregator {
    fn start(folder: &Path, listen: u16, admin: u16, collector: &str) -> Self {
        let configuration = format!(
            "mode: Proxy\naggregatorTransportProtocol: tcp\n\
             listen: {{ipfix: '127.0.0.1:{listen}', grpc: off}}\nkubernetes: off\n\
             adminAddress: 127.0.0.1:{admin}\napiServer: {{apiPort: 0}}\n\
             flowCollector: {{enable: true, address: '{collector}'}}\n"
        );
        fs::write(folder.join("f"), configuration).expect("a file");
        let mut command = Command::new(built("fyke"));
        command.args(["aggregator", "--config", "f"]).current_dir(folder).stdout(Stdio::piped());
        command.stderr(File::create(folder.join("log")).expect("a file"));
        let mut aggregator = Self(command.spawn().expect("it starts"));
        let mut ready = [0; 6];
        let told = aggregator.0.stdout.as_mut().expect("a pipe").read_exact(&mut ready);
        assert!(told.is_ok(), "{:?}", fs::read_to_string(folder.join("log")));
        aggregator
    }

    fn end(&mut self) {
        signal(self.0.id(), "TERM");
        assert!(self.0.wait().expect("it ends").success());
    }
}

impl Drop for Aggregator {
    fn drop(&mut self) {
        // Already ended where the test went well.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// An exporter, and what is known of its records when they leave.
struct Exporter {
    address: Ipv4Addr,
    domain: u32,
    /// Whether its Node has the source or the destination of flows between Nodes.
    has_source: bool,
}

const EXPORTERS: [Exporter; 2] = [
    Exporter { address: Ipv4Addr::new(127, 0, 0, 2), domain: 7001, has_source: true },
    Exporter { address: Ipv4Addr::new(127, 0, 0, 3), domain: 7002, has_source: false },
];

/// What tells records of an exporter apart, and what each has to be: the source's port, whether it
/// is of IPv6, the exporter's address and domain, the direction, and the octets told.
type Told = (u64, bool, String, u64, u64, u64);

impl Exporter {
    /// Flows between the Nodes, which the other exporter tells as well, in both families; and some
    /// that stay on this Node.
    fn records(&self) -> Vec<(FlowRecord, u64)> {
        let between = if self.has_source { EGRESS } else { INGRESS };
        let kinds = [
            (V4, FlowType::InterNode, between),
            (V6, FlowType::InterNode, between),
            (V4, FlowType::IntraNode, UNSPECIFIED),
        ];
        let one = |index: u16, [source, destination, _]: [&str; 3], flow_type, direction| {
            let mut record = FlowRecord { flow_type, ..record(source, destination) };
            // Flows of another kind are others.
            record.key.source_port += index + if direction == UNSPECIFIED { 5000 } else { 0 };
            record.forward = counters(u64::from(self.domain) * 1000 + u64::from(index));
            let here = record.source.clone();
            if flow_type == FlowType::IntraNode {
                record.destination = here;
            } else if !self.has_source {
                record.destination = here;
                record.source = <_>::default();
            }
            (record, direction)
        };
        let all = kinds.into_iter().flat_map(|(ends, flow_type, direction)| {
            (0..FLOWS).map(move |index| one(index, ends, flow_type, direction))
        });
        all.collect()
    }

    async fn send(&self, port: u16) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((self.address, 0).into()).expect("it is loopback");
        let mut stream =
            socket.connect(([127, 0, 0, 1], port).into()).await.expect("the aggregator listens");
        let records: Vec<_> = self.records().into_iter().map(|(record, _)| record).collect();
        let mut wire = Wire::new(self.domain, flow::Profile::Antrea);
        stream.write_all(&wire.templates(0).expect("templates")).await.expect("it is read");
        stream.write_all(&wire.records(&records, 0).expect("they fit")).await.expect("it is read");
        stream
    }

    fn expected(&self) -> impl Iterator<Item = Told> {
        self.records().into_iter().map(|(record, direction)| {
            (
                record.key.source_port.into(),
                record.key.source.is_ipv6(),
                self.address.to_string(),
                self.domain.into(),
                direction,
                record.forward.octets_total,
            )
        })
    }
}

/// The same of a record that PyPI's `ipfix` has read.
fn told(record: &Map<String, Value>) -> Told {
    let number = |name: &str| record[name].as_u64().expect("a number");
    assert_eq!(record["originalExporterIPv6Address"], "::");
    (
        number("sourceTransportPort"),
        record.contains_key("sourceIPv6Address"),
        record["originalExporterIPv4Address"].as_str().expect("an address").to_owned(),
        number("originalObservationDomainId"),
        number("flowDirection"),
        number("octetTotalCount"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn in_mode_proxy_each_record_leaves_once_with_who_told_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let collector = Collector::listen().await;
    let (listen, admin) = (free_port(), free_port());
    let mut aggregator = Aggregator::start(folder.path(), listen, admin, &collector.address);
    let reading = tokio::spawn(collector.read());

    // Both sessions are open at once.
    let sessions = [EXPORTERS[0].send(listen).await, EXPORTERS[1].send(listen).await];
    let mut expected: Vec<Told> = EXPORTERS.iter().flat_map(Exporter::expected).collect();
    let received = || {
        let all = metrics(Command::new("bash"), admin);
        value(&all, "fyke_aggregator_records_received_total") == expected.len() as u64
    };
    assert!(eventually(PATIENCE, received), "{:?}", fs::read_to_string(folder.path().join("log")));
    drop(sessions);
    aggregator.end();

    let bytes = reading.await.expect("it reads");
    for (id, version) in [(256, '4'), (257, '6')] {
        let template = template(id, CONTENTS, version);
        assert_eq!(wanted(CONTENTS, version).len(), ELEMENTS);
        assert!(bytes.windows(template.len()).any(|part| part == template), "{version}");
    }
    let records = pypi(&bytes);
    assert!(records.iter().all(|record| record.len() == ELEMENTS));
    let mut left: Vec<Told> = records.iter().map(told).collect();
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
}
