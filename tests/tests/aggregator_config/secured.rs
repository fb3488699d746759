use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use k8s::certificates::{
    AUTHORITY_SECRET, BUNDLE_CONFIG_MAP, BUNDLE_KEY, CLIENT_SECRET, Keeper, KeyKind, Options,
};
use kube::{Client, Config};
use serde_json::Value;
use tests::api_server::StandIn;
use tests::authority::certificates_for;
use tests::binary::{built, eventually, metrics, signal, value};
use tests::ports::free_port;
use tokio::runtime::Runtime;

use crate::running::{PATIENCE, Sender};

const NAMESPACE: &str = "visibility";
const SERVICE: &str = "flow-aggregator.visibility.svc";

/// An entry of an object that the aggregator keeps.
fn entry(server: &StandIn, kind: &str, name: &str, key: &str) -> Vec<u8> {
    let object = server.get("v1", kind, NAMESPACE, name).expect("it is there");
    let text = object["data"][key].as_str().expect("it has the key").to_owned();
    if kind == "Secret" { decoded(&text) } else { text.into_bytes() }
}

/// Base64, by a program.
fn decoded(text: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("text");
    fs::write(&file, text).expect("a file");
    Command::new("base64").arg("-d").arg(file).output().expect("it runs").stdout
}

fn start(folder: &Path, file: &str) -> Child {
    fs::write(folder.join("f"), file).expect("a file");
    let log = File::create(folder.join("log")).expect("a file");
    let mut command = Command::new(built("fyke"));
    command.args(["aggregator", "--config", "f"]).current_dir(folder);
    command.env("POD_NAMESPACE", NAMESPACE).stdout(Stdio::piped()).stderr(log);
    let mut process = command.spawn().expect("the aggregator starts");
    let mut ready = [0; 6];
    let told = process.stdout.as_mut().expect("a pipe").read_exact(&mut ready);
    let log = || fs::read_to_string(folder.join("log")).expect("a log");
    assert!(told.is_ok() && &ready == b"ready\n", "{}", log());
    process
}

/// Sends what a Node once recorded, and returns whether that went well.
fn sends(folder: &Path, port: u16, name: &str, identity: &[&str]) -> bool {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/recorded/node-a.ipfix");
    let mut command = Command::new(built("fyke"));
    command.args(["ipfix", "send"]).arg(recorded).arg(format!("127.0.0.1:{port}"));
    command.args(["--transport", "tls", "--ca", "ca.crt", "--server-name", name]).args(identity);
    let output = command.current_dir(folder).output().expect("it runs");
    output.status.success()
}

#[test]
fn certificates_are_kept_in_the_cluster_and_asked_of_whoever_sends() {
    let server = StandIn::start();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let kubeconfig = server.kubeconfig(folder, None);
    let others = certificates_for(&["node"]);
    let others = |name| others.path().join(name).display().to_string();
    let [ipfix, plain, grpc, admin] = [(); 4].map(|()| free_port());
    let file = format!(
        "kubeconfig: '{}'\nflowAggregatorAddress: aggregator.test\nrecordLog: flows.json\n\
         listen: {{ipfix: '127.0.0.1:{ipfix}', grpc: '127.0.0.1:{grpc}', \
         more: ['127.0.0.1:{plain}:udp']}}\ntls: {{keyType: ecdsa, clientCAFile: '{}'}}\n\
         apiServer: {{apiPort: 0}}\nadminAddress: 127.0.0.1:{admin}\n",
        kubeconfig.display(),
        others("ca.pem"),
    );
    let mut process = start(folder, &file);
    let log = || fs::read_to_string(folder.join("log")).expect("a log");
    hold(folder, &server);
    assert!(server.get("v1", "Secret", NAMESPACE, AUTHORITY_SECRET).is_some());

    assert!(!sends(folder, ipfix, "elsewhere.test", &PAIR), "it is not called that");
    let pair = ["--cert", &others("node.pem"), "--key", &others("node.key")];
    assert!(sends(folder, ipfix, SERVICE, &pair), "{}", log());
    let received = "fyke_aggregator_records_received_total";
    let has_come = || value(&metrics(Command::new("bash"), admin), received) > 0;
    assert!(eventually(PATIENCE, has_come), "of the file's authority: {}", log());
    for name in [SERVICE, "aggregator.test"] {
        assert!(sends(folder, ipfix, name, &PAIR), "{name}: {}", log());
    }
    // A client learns that it was refused only when it reads.
    let before = fs::read_to_string(folder.join("flows.json")).unwrap_or_default();
    sends(folder, ipfix, SERVICE, &[]);
    assert!(eventually(PATIENCE, || log().contains("session refused")), "{}", log());

    counts(admin);
    signal(process.id(), "TERM");
    let status = process.wait().expect("it ends");
    let log = log();
    assert!(status.success() && log.contains("everything is flushed"), "{log}");
    let told = fs::read_to_string(folder.join("flows.json")).expect("a log");
    assert!(told.len() >= before.len() && !told.is_empty(), "{log}");
    let line: Value = serde_json::from_str(told.lines().next().expect("a line")).expect("JSON");
    assert!(line["octetTotalCount"].as_u64().is_some_and(|octets| octets > 0), "{line}");
    // Without Antrea there is nobody to tell which cluster this is.
    assert!(log.contains("antrea-cluster-identity does not exist"), "{log}");
    let udp = format!("IPFIX is taken from anybody listener=127.0.0.1:{plain}:udp");
    assert!(log.contains(&udp) && log.matches("from anybody").count() == 1, "{log}");
}

/// As when 280 days have passed: the CA in the cluster is due, and the clock of handshakes is real.
/// The process that has been serving all along makes the next one, and serves what is of it.
#[test]
fn what_is_due_is_renewed_and_served_by_the_process_that_runs() {
    let server = StandIn::start();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let kubeconfig = server.kubeconfig(folder, None);
    let [ipfix, admin] = [(); 2].map(|()| free_port());
    let file = format!(
        "kubeconfig: '{}'\nrecordLog: flows.json\n\
         listen: {{ipfix: '127.0.0.1:{ipfix}', grpc: off}}\n\
         tls: {{keyType: ecdsa, checkInterval: 1s}}\n\
         apiServer: {{apiPort: 0}}\nadminAddress: 127.0.0.1:{admin}\n",
        kubeconfig.display()
    );
    let mut process = start(folder, &file);
    let log = || fs::read_to_string(folder.join("log")).expect("a log");
    let of = |name: &str| {
        let name = format!("fyke_aggregator_certificates_{name}_total");
        value(&metrics(Command::new("bash"), admin), &name)
    };
    let [first, due, next] = ["first", "due", "next"].map(|name| {
        let folder = folder.join(name);
        fs::create_dir(&folder).expect("a folder");
        folder
    });
    hold(&first, &server);
    assert!(sends(&first, ipfix, SERVICE, &PAIR), "{}", log());
    assert_eq!((of("authorities_written"), of("configurations")), (1, 1));

    // Somebody puts a CA there that has 85 days left, with all that is of it.
    let earlier = aged();
    hold(&due, &earlier);
    let authority = earlier.get("v1", "Secret", NAMESPACE, AUTHORITY_SECRET);
    server.put(authority.expect("it is there"));
    assert!(eventually(PATIENCE, || of("configurations") >= 2), "{}", log());
    assert_eq!(of("authorities_written"), 2, "{}", log());
    hold(&next, &server);
    let bundle = |folder: &Path| fs::read_to_string(folder.join("ca.crt")).expect("a file");
    assert!(bundle(&next).ends_with(&bundle(&due)) && bundle(&next) != bundle(&due));
    for (exporter, who) in [(&due, "holds what was due"), (&next, "holds what is new")] {
        assert!(sends(exporter, ipfix, SERVICE, &PAIR), "who {who}: {}", log());
    }
    assert!(!sends(&first, ipfix, SERVICE, &PAIR), "what was served at first still is");
    assert!(process.try_wait().expect("it is ours").is_none(), "{}", log());
    signal(process.id(), "TERM");
    assert!(process.wait().expect("it ends").success(), "{}", log());
}

/// What an exporter shows.
const PAIR: [&str; 4] = ["--cert", "tls.crt", "--key", "tls.key"];

/// Writes down what an exporter reads.
fn hold(folder: &Path, server: &StandIn) {
    for (name, kind, object, key) in [
        ("ca.crt", "ConfigMap", BUNDLE_CONFIG_MAP, BUNDLE_KEY),
        ("tls.crt", "Secret", CLIENT_SECRET, "tls.crt"),
        ("tls.key", "Secret", CLIENT_SECRET, "tls.key"),
    ] {
        fs::write(folder.join(name), entry(server, kind, object, key)).expect("a file");
    }
}

/// A cluster whose certificates were made 280 days ago, of 365.
fn aged() -> StandIn {
    let server = StandIn::start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let options = Options::new(NAMESPACE).expect("a name").keys(KeyKind::EcdsaP256);
    let url = format!("http://{}", server.address()).parse().expect("an address");
    Runtime::new().expect("a runtime").block_on(async {
        let client = Client::try_from(Config::new(url)).expect("a client");
        let begun = now.as_secs() - 280 * 24 * 3600;
        Keeper::start(&client, options, begun).await.expect("they are made");
    });
    server
}

/// What was written to an API server that had nothing, and how it is watched.
fn counts(admin: u16) {
    let of = |name: &str| {
        value(&metrics(Command::new("bash"), admin), &format!("fyke_aggregator_{name}"))
    };
    for (name, expected) in [
        ("certificates_authorities_written_total", 1),
        ("certificates_clients_written_total", 1),
        ("certificates_bundles_written_total", 1),
        ("certificates_configurations_total", 1),
        ("certificates_checks_failed_total", 0),
    ] {
        assert_eq!(of(name), expected, "{name}");
    }
    assert!(of("certificates_checks_total") > 0);
    assert!(of("certificates_authority_ends_seconds") > 1_700_000_000);
    for kind in ["Pod", "Service", "Node"] {
        let follows = || of(&format!("watch_following{{kind=\"{kind}\"}}")) == 1;
        assert!(eventually(PATIENCE, follows), "{kind}");
        assert!(of(&format!("watch_lists_total{{kind=\"{kind}\"}}")) > 0, "{kind}");
    }
}

/// The expected number is FNV-1 of the UUID, by another program.
#[test]
fn the_observation_domain_is_the_clusters() {
    let server = StandIn::start();
    server.put(serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "kube-system", "name": "antrea-cluster-identity"},
        "data": {"uuid": "123e4567-e89b-12d3-a456-426614174000"},
    }));
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = server.kubeconfig(folder.path(), None);
    let collector = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let to = collector.local_addr().expect("an address");
    let [ipfix, admin] = [(); 2].map(|()| free_port());
    let file = format!(
        "kubeconfig: '{}'\naggregatorTransportProtocol: tcp\n\
         listen: {{ipfix: '127.0.0.1:{ipfix}', grpc: off}}\n\
         flowCollector: {{enable: true, address: '{to}'}}\n\
         apiServer: {{apiPort: 0}}\nadminAddress: 127.0.0.1:{admin}\n",
        kubeconfig.display()
    );
    let mut process = start(folder.path(), &file);
    let mut sender = Sender::new(ipfix);
    assert!(sender.send());
    let (mut stream, _) = collector.accept().expect("it connects");
    let mut header = [0; 16];
    stream.read_exact(&mut header).expect("a message");
    assert_eq!(header[..2], 10_u16.to_be_bytes());
    assert_eq!(header[12..], 528_865_862_u32.to_be_bytes());
    thread::spawn(move || stream.read_to_end(&mut Vec::new()));
    signal(process.id(), "TERM");
    assert!(process.wait().expect("it ends").success());
}
