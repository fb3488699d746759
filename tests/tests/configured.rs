//! An exporter that is told everything by files, and told otherwise while it runs.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tests::binary::{built, eventually, signal};

const PATIENCE: Duration = Duration::from_secs(15);

/// A network namespace with a Pod's address, in which connections are tracked and counted.
const POD: &str = "set -e; ip link set lo up; ip address add 10.0.0.2/32 dev lo; \
    nft 'add table ip t; add chain ip t out { type filter hook output priority 0; }; \
    add rule ip t out ct state invalid drop'; \
    echo 1 > /proc/sys/net/netfilter/nf_conntrack_acct; exec \"$@\"";

const CLUSTER: &str = "nodes: [{name: a, podCIDRs: [10.0.0.0/24]}]\n\
    pods: [{name: p, namespace: n, node: a, addresses: [10.0.0.2]}]\n";

/// The exporter, in a network namespace of its own.
struct Exporter {
    folder: TempDir,
    process: Child,
}

impl Exporter {
    fn start(own: &str, agent: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        certificates(folder.path());
        let path = |name: &str| folder.path().join(name);
        fs::write(path("cluster.yaml"), CLUSTER).expect("a file");
        fs::write(path("own.conf"), own).expect("a file");
        fs::write(path("agent.conf"), agent).expect("a file");
        let log = File::create(path("log")).expect("a file");
        let mut command = Command::new("unshare");
        command.args(["--net", "bash", "-c", POD, "bash"]).arg(built("fyke")).arg("exporter");
        command.args(["--config", "own.conf", "--agent-config", "agent.conf"]);
        command.current_dir(folder.path()).env("NODE_NAME", "a");
        command.stdout(Stdio::piped()).stderr(log);
        let mut process = command.spawn().expect("the exporter starts");
        let mut ready = [0; 6];
        let told = process.stdout.as_mut().expect("a pipe").read_exact(&mut ready);
        let exporter = Self { folder, process };
        assert!(told.is_ok() && &ready == b"ready\n", "{}", exporter.log());
        exporter
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).expect("a log")
    }

    #[track_caller]
    fn wait_for(&self, words: &str) {
        assert!(eventually(PATIENCE, || self.log().contains(words)), "{words}: {}", self.log());
    }

    /// What runs where the exporter does.
    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.process.id().to_string(), "--net"]);
        command.current_dir(self.folder.path());
        command
    }

    /// Has the Pod send to one of its own ports.
    fn traffic(&self, port: u16) {
        let script = format!("echo hello > /dev/udp/10.0.0.2/{port}");
        assert!(self.inside().args(["bash", "-c", &script]).status().expect("bash").success());
    }

    /// Tells the exporter of its files.
    fn hang_up(&self) {
        signal(self.process.id(), "HUP");
    }

    fn end(&mut self) {
        signal(self.process.id(), "TERM");
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "{}", self.log());
    }
}

/// A collector where the exporter runs, and what it has received.
struct Collector {
    process: Child,
    records: PathBuf,
}

impl Collector {
    fn start(exporter: &Exporter, address: &str, options: &[&str]) -> Self {
        let records = exporter.path(&format!("records-{address}"));
        let mut command = exporter.inside();
        command.arg(built("fyke")).args(["ipfix", "collect", address, "--json"]).args(options);
        command.stdout(File::create(&records).expect("a file")).stderr(Stdio::piped());
        let mut process = command.spawn().expect("a collector starts");
        let mut line = String::new();
        let told = BufReader::new(process.stderr.as_mut().expect("a pipe")).read_line(&mut line);
        assert!(told.is_ok() && line.starts_with("listening"), "{line}");
        Self { process, records }
    }

    fn has(&self, port: u16) -> bool {
        let records = fs::read_to_string(&self.records).expect("a file");
        records.contains(&format!("\"destinationTransportPort\":{port},"))
    }

    #[track_caller]
    fn wait_for(&self, port: u16, exporter: &Exporter) {
        let received = eventually(PATIENCE, || self.has(port));
        assert!(received, "{port}: {:?} {}", fs::read_to_string(&self.records), exporter.log());
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// An authority, a collector's certificate for `collector.test`, and an exporter's.
fn certificates(folder: &Path) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("a file");
    write("ca.pem", authority.pem());
    for name in ["collector.test", "exporter.test"] {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &authority).expect("a certificate");
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

const OWN: &str = "clusterFile: cluster.yaml\nzones: [0]\n\
    tls: {caFile: ca.pem, certFile: exporter.test.pem, keyFile: exporter.test.key, serverName: collector.test}\n";

fn agent(address: &str) -> String {
    format!(
        "flowExporter: {{flowCollectorAddr: '{address}', flowPollInterval: 1s, \
         activeFlowExportTimeout: 1s, idleFlowExportTimeout: 1s}}\n"
    )
}

#[test]
fn a_collector_that_changes_in_the_agents_file_is_followed_over_udp_and_tls() {
    let mut exporter = Exporter::start(OWN, &agent("127.0.0.1:4739:udp"));
    let udp = Collector::start(&exporter, "127.0.0.1:4739", &["--transport", "udp"]);
    exporter.traffic(5001);
    udp.wait_for(5001, &exporter);

    let identity = ["--cert", "collector.test.pem", "--key", "collector.test.key"];
    let options = [&["--transport", "tls", "--client-ca", "ca.pem"], &identity[..]].concat();
    let tls = Collector::start(&exporter, "127.0.0.1:4740", &options);
    fs::write(exporter.path("agent.conf"), agent("127.0.0.1:4740:tls")).expect("a file");
    exporter.hang_up();
    exporter.wait_for("configuration is taken over");
    exporter.traffic(5002);
    tls.wait_for(5002, &exporter);
    assert!(!udp.has(5002) && !tls.has(5001), "nothing is told twice, and nothing again");

    // What is wrong is told, and changes nothing.
    fs::write(exporter.path("agent.conf"), agent("127.0.0.1:str:tls")).expect("a file");
    exporter.hang_up();
    exporter.wait_for("configuration is refused, and the one before stays in force");
    exporter.wait_for("agent.conf:1:35");
    exporter.traffic(5003);
    tls.wait_for(5003, &exporter);
    exporter.end();
}

#[test]
fn what_the_filter_leaves_out_is_not_sent() {
    let filtered = agent("127.0.0.1:4739:tcp").replace("}\n", ", protocolFilter: [tcp, sctp]}\n");
    let mut exporter = Exporter::start(OWN, &filtered);
    let collector = Collector::start(&exporter, "127.0.0.1:4739", &[]);
    exporter.traffic(5001);
    let fetch =
        "exec 3<>/dev/tcp/127.0.0.1/8087; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    let is_counted = || {
        let output = exporter.inside().args(["bash", "-c", fetch]).output().expect("bash");
        let metrics = String::from_utf8_lossy(&output.stdout).into_owned();
        let name = "fyke_exporter_entries_filtered_total ";
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| value.parse::<u64>().ok()).is_some_and(|entries| entries >= 2)
    };
    assert!(eventually(PATIENCE, is_counted), "{}", exporter.log());
    // Without the filter it would be told in the end.
    exporter.end();
    assert!(!collector.has(5001));
}

#[test]
fn an_exporter_that_follows_an_agent_with_its_exporter_off_rests() {
    let gate = "featureGates: {FlowExporter: true}\n";
    let own = "enable: followAgent\nclusterFile: nowhere.yaml\n";
    let mut exporter = Exporter::start(own, &format!("{gate}{}", agent("no:such:address")));
    exporter.wait_for("nothing is exported");
    exporter.end();
}

/// An aggregator where the exporter runs.
fn aggregator(exporter: &Exporter) -> Child {
    let mut command = exporter.inside();
    command.arg(built("fyke")).args(["aggregator", "--listen", "127.0.0.1:0"]);
    command.args(["--grpc-listen", "127.0.0.1:14739", "--tls-client-ca", "ca.pem"]);
    command.args(["--tls-certificate", "collector.test.pem", "--tls-key", "collector.test.key"]);
    command.args(["--admin", "127.0.0.1:0", "--active-timeout", "1s", "--data", "store"]);
    command.args(["--log", "flows.json"]);
    command.stdout(Stdio::piped()).stderr(File::create(exporter.path("errors")).expect("a file"));
    let mut process = command.spawn().expect("an aggregator starts");
    let mut ready = [0; 6];
    let told = process.stdout.as_mut().expect("a pipe").read_exact(&mut ready);
    let errors = || fs::read_to_string(exporter.path("errors"));
    assert!(told.is_ok() && &ready == b"ready\n", "{:?}", errors());
    process
}

#[test]
fn over_grpc_and_mutual_tls_the_store_has_what_the_kernel_counted() {
    let own = format!("profile: fyke\n{OWN}");
    let mut exporter = Exporter::start(&own, &agent("127.0.0.1:14739:grpc"));
    let mut aggregator = aggregator(&exporter);
    for (port, datagrams) in [(5001, 1_usize), (5002, 30), (5003, 7)] {
        let script = format!(
            "exec 3<>/dev/udp/10.0.0.2/{port}; for i in $(seq {datagrams}); do \
             printf %0$((i * 3))d 0 >&3 || true; done"
        );
        assert!(exporter.inside().args(["bash", "-c", &script]).status().expect("bash").success());
    }
    let kernel =
        exporter.inside().args(["conntrack", "-L", "-p", "udp"]).output().expect("it runs");
    let kernel = String::from_utf8_lossy(&kernel.stdout).into_owned();
    let counted = |port: u16, name: &str| -> u64 {
        let flow = kernel.lines().find(|line| line.contains(&format!("dport={port} ")));
        let flow = flow.unwrap_or_else(|| panic!("{port} is not in {kernel}"));
        let value = flow.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.expect("a counter").parse().expect("a number")
    };
    assert!(counted(5002, "packets") > 1, "{kernel}");
    exporter.end();
    signal(aggregator.id(), "TERM");
    let status = aggregator.wait().expect("it ends");
    let errors = fs::read_to_string(exporter.path("errors")).expect("a log");
    assert!(status.success() && errors.contains("everything is flushed"), "{errors}");
    let log = fs::read_to_string(exporter.path("flows.json")).expect("a log");
    for port in [5001, 5002, 5003] {
        let flow = |line: &&str| line.contains(&format!("\"destinationTransportPort\":{port},"));
        let told = |name: &str| -> u64 {
            let value = |line: &str| -> u64 {
                let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                line[name].as_u64().expect("a number")
            };
            log.lines().filter(flow).map(value).sum()
        };
        assert_eq!(told("octetDeltaCount"), counted(port, "bytes"), "{port}: {log}");
        assert_eq!(told("packetDeltaCount"), counted(port, "packets"), "{port}: {log}");
    }
    // Certificates were asked for, and shown.
    assert!(!errors.contains("gRPC is taken from anybody"), "{errors}");
    let store = fs::read_dir(exporter.path("store")).expect("a store").count();
    assert!(store > 0, "the store has files");
}
