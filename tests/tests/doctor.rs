//! `fyke doctor exporter` where one thing after the other is wrong.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::agent::StandInAgent;
use tests::api_server::StandIn;
use tests::binary::built;

const CLUSTER: &str = "nodes: [{name: a, podCIDRs: [10.0.0.0/24]}]\n\
    pods: [{name: p, namespace: n, node: a, addresses: [10.0.0.2]}]\n";

/// Begins with what is true of every test: accounting is on.
const COUNTED: &str = "ip link set lo up; cd /proc/sys/net/netfilter; \
    echo 1 > nf_conntrack_acct; echo 1 > nf_conntrack_timestamp; cd \"$OLDPWD\"; ";
/// Connections are tracked.
const TRACKED: &str = "nft 'add table ip t; add chain ip t out { type filter hook output \
    priority 0; }; add rule ip t out ct state invalid drop'; ";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("cluster.yaml"), CLUSTER).expect("a file");
    folder
}

fn doctor(command: &mut Command, folder: &Path, options: &[&str]) -> (i32, Value) {
    command.arg(built("fyke")).args(["doctor", "exporter", "--json"]).args(options);
    command.current_dir(folder).env_remove("NODE_NAME").env_remove("KUBERNETES_SERVICE_HOST");
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&stdout);
    let json = serde_json::from_str(&said);
    let json = json.unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&stderr)));
    (status.code().expect("an exit code"), json)
}

/// In a network namespace of its own, which `script` prepares.
fn alone(script: &str, folder: &Path, options: &[&str]) -> (i32, Value) {
    let mut command = Command::new("unshare");
    command.args(["--net", "bash", "-c", &format!("set -e; {script}exec \"$@\""), "bash"]);
    doctor(&mut command, folder, options)
}

/// Here.
fn here(folder: &Path, options: &[&str]) -> (i32, Value) {
    doctor(&mut Command::new("env"), folder, options)
}

/// The findings of a step: verdict, what was found, what to do.
fn step(report: &Value, name: &str) -> Vec<[String; 3]> {
    let steps = report["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["step"] == name).expect("the step");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = step["findings"].as_array().expect("findings").iter();
    findings.map(|it| [text(&it["verdict"]), text(&it["found"]), text(&it["remedy"])]).collect()
}

#[track_caller]
fn says(report: &Value, name: &str, verdict: &str, found: &str, remedy: &str) {
    let findings = step(report, name);
    let is_it =
        |it: &[String; 3]| it[0] == verdict && it[1].contains(found) && it[2].contains(remedy);
    assert!(findings.iter().any(is_it), "{verdict} {found} -> {remedy}: {findings:#?}");
}

const LOCAL: [&str; 4] = ["--node", "a", "--cluster", "cluster.yaml"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    LOCAL.iter().chain(more).copied().collect()
}

#[test]
fn a_configuration_with_mistakes_comes_first() {
    let folder = folder();
    let (code, report) = alone(COUNTED, folder.path(), &["--collector", "here:1:tcp"]);
    assert_eq!((code, &report["firstFailure"]), (1, &json!("configuration")));
    says(
        &report,
        "configuration",
        "fail",
        "node: expected the name of this Node",
        "--check-config",
    );
    says(&report, "sysctls", "ok", "connections are counted", "");
    says(&report, "zones", "skip", "unknown what is configured", "");
    let options = with(&["--collector", "127.0.0.1:1:tcp", "--kubeconfig", "missing"]);
    let (_, report) = alone(COUNTED, folder.path(), &options);
    says(&report, "configuration", "fail", "kubeconfig missing cannot be opened", "mount it");
}

#[test]
fn the_gate_of_the_agent_says_who_exports() {
    let folder = folder();
    let agent = folder.path().join("agent.conf");
    let options = with(&["--collector", "127.0.0.1:1:tcp", "--agent-config", "agent.conf"]);
    let both = "featureGates: {FlowExporter: true}\nflowExporter: {enable: true}\n";
    fs::write(&agent, both).expect("a file");
    let (_, report) = alone(COUNTED, folder.path(), &options);
    says(&report, "gate", "warn", "exported twice", "flowExporter.enable to false");
    let own = folder.path().join("own.conf");
    fs::write(own, "enable: followAgent\n").expect("a file");
    fs::write(&agent, "featureGates: {FlowExporter: false}\n").expect("a file");
    let options = with(&[
        "--collector",
        "127.0.0.1:1:tcp",
        "--agent-config",
        "agent.conf",
        "--config",
        "own.conf",
    ]);
    let (code, report) = alone(COUNTED, folder.path(), &options);
    assert_eq!((code, &report["firstFailure"]), (1, &json!("gate")));
    says(&report, "gate", "fail", "gate FlowExporter is off", "enable: always");
}

#[test]
fn what_the_kernel_does_not_tell_is_named() {
    let folder = folder();
    let options = with(&["--collector", "127.0.0.1:1:tcp"]);
    let (code, report) = alone("", folder.path(), &options);
    assert_eq!((code, &report["firstFailure"]), (1, &json!("sysctls")));
    let acct = "net.netfilter.nf_conntrack_acct is 0";
    says(&report, "sysctls", "fail", acct, "sysctl -w net.netfilter.nf_conntrack_acct=1");
    let powerless =
        format!("{COUNTED}set -- setpriv --bounding-set=-net_admin --inh-caps=-net_admin \"$@\"; ");
    let (code, report) = alone(&powerless, folder.path(), &options);
    assert_eq!((code, &report["firstFailure"]), (1, &json!("permissions")));
    says(&report, "permissions", "fail", "cannot open a conntrack socket", "NET_ADMIN");
}

#[test]
fn connections_in_another_zone_are_pointed_at() {
    let folder = folder();
    let traffic = "echo hello > /dev/udp/127.0.0.1/5001; ";
    let script = format!("{COUNTED}{TRACKED}{traffic}");
    let options = with(&["--collector", "127.0.0.1:1:udp"]);
    let (code, report) = alone(&script, folder.path(), &options);
    assert_eq!(code, 0, "{report:#}");
    says(&report, "zones", "ok", "zone 0 holds 1 connections", "");
    says(&report, "table", "ok", "1 of ", "");
    says(&report, "denied", "warn", "no source of denied packets", "watch the bridge");
    says(&report, "running", "skip", "no exporter answers", "");
    let options = with(&["--collector", "127.0.0.1:1:udp", "--zone", "antrea"]);
    let (code, report) = alone(&script, folder.path(), &options);
    assert_eq!((code, &report["firstFailure"]), (1, &json!("zones")));
    says(&report, "zones", "fail", "hold no connection", "conntrackZones: [0]");
}

#[test]
fn a_collector_that_does_not_answer_is_told_from_one_without_a_name() {
    let folder = folder();
    let (code, report) = alone(COUNTED, folder.path(), &with(&["--collector", "127.0.0.1:1:tcp"]));
    assert_eq!((code, &report["firstFailure"]), (1, &json!("destinations")));
    says(&report, "destinations", "fail", "static: 127.0.0.1:1 does not answer", "firewall");
    let (_, report) =
        alone(COUNTED, folder.path(), &with(&["--collector", "no.such.invalid:1:tcp"]));
    says(&report, "destinations", "fail", "has no address", "dnsPolicy");
}

#[test]
fn nobody_who_listens_for_denied_packets_is_told_from_somebody() {
    let folder = folder();
    let path = folder.path();
    let text = "node: a\nclusterFile: cluster.yaml\nflowCollectorAddr: 127.0.0.1:1:udp\n\
        denySources: {nflog: [7, 8], nfqueue: [9]}\n";
    fs::write(path.join("own.conf"), text).expect("a file");
    fs::write(path.join("one.conf"), text.replace("[7, 8]", "[7]")).expect("a file");
    let options = ["--config", "own.conf"];
    let (code, report) = alone(COUNTED, path, &options);
    assert_eq!(code, 0, "{report:#}");
    says(&report, "denied", "warn", "nflog: nobody listens to 7", "start the exporter");
    says(&report, "denied", "warn", "nfqueue: nobody listens to 9", "unless they say bypass");
    // An exporter listens to one of the groups.
    let exporter = format!(
        "{COUNTED}{} exporter --config one.conf > ready 2> log & kept=$!; \
         for _ in $(seq 300); do grep -q ready ready && break; sleep 0.1; done; \
         code=0; \"$@\" || code=$?; kill $kept; wait $kept || true; exit $code; ",
        built("fyke").display(),
    );
    let (_, report) = alone(&exporter, path, &options);
    let log = || fs::read_to_string(path.join("log"));
    assert_eq!(step(&report, "running")[0][0], "ok", "{report:#}\n{:?}", log());
    says(&report, "denied", "ok", "nflog: somebody listens to 7; it does not tell", "");
    says(&report, "denied", "warn", "nflog: nobody listens to 8", "start the exporter");
    says(&report, "denied", "ok", "nfqueue: somebody listens to 9", "");
}

#[test]
fn a_bridge_that_does_not_answer_is_told_from_one_that_does() {
    let folder = folder();
    let path = folder.path();
    let socket = path.join("br-int.mgmt");
    let look = |gate: bool| {
        fs::write(path.join("agent.conf"), format!("featureGates: {{FlowExporter: {gate}}}\n"))
            .expect("a file");
        let text = format!(
            "node: a\nclusterFile: cluster.yaml\nflowCollectorAddr: 127.0.0.1:1:udp\n\
            denySources: {{ovs: {}}}\nenable: always\n",
            socket.display()
        );
        fs::write(path.join("own.conf"), text).expect("a file");
        here(path, &["--config", "own.conf", "--agent-config", "agent.conf"]).1
    };
    let missing = format!("ovs: {} cannot be reached", socket.display());
    says(&look(true), "denied", "warn", &missing, "mount /var/run/openvswitch");
    let _bridge = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let well = look(true);
    says(&well, "denied", "ok", &format!("{} answers", socket.display()), "");
    assert_eq!(step(&well, "denied").len(), 1, "{well:#}");
    says(&look(false), "denied", "warn", "gate FlowExporter is off", "turn the gate on");
}

/// What a collector may be that is asked for gRPC.
#[derive(Clone, Copy)]
enum Peer {
    /// It takes flows.
    Grpc,
    /// It speaks TLS, and of no HTTP/2.
    NoH2,
    /// It agrees to HTTP/2, and then says something else.
    Babble,
}

/// Plays `peer` for one connection.
async fn play(peer: Peer, listener: tokio::net::TcpListener, config: rustls::ServerConfig) {
    let (stream, _) = listener.accept().await.expect("somebody");
    if let Peer::Grpc = peer {
        let stream = grpc::collect::secure(stream, &config).await.expect("a handshake");
        let mut connection =
            grpc::collect::Connection::handshake(stream).await.expect("HTTP/2 is spoken");
        while connection.accept().await.is_some_and(|it| it.is_ok()) {}
        return;
    }
    let mut config = config;
    if let Peer::Babble = peer {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let mut stream = acceptor.accept(stream).await.expect("a handshake");
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail here, not flows\r\n").await.ok();
    tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 64]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_speaks_no_http2_is_told_from_one_that_does() {
    let folder = folder();
    let path = folder.path();
    let ours = authority(path, "ours");
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["collector".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &ours).expect("a certificate");
    let (certificate, key) = (certificate.der().clone(), key.serialize_der());
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(key.into());
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate], key).expect("a pair");
    for (peer, verdict, found, remedy) in [
        (Peer::Grpc, "ok", "answers over TLS, and speaks HTTP/2", ""),
        (Peer::NoH2, "fail", "does not agree to HTTP/2", "log"),
        (Peer::Babble, "fail", "what it says is not HTTP/2", "log"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let playing = tokio::spawn(play(peer, listener, config.clone()));
        let text = format!(
            "node: a\nclusterFile: cluster.yaml\nflowCollectorAddr: 127.0.0.1:{port}:grpc\n\
            tls: {{caFile: ours.crt, serverName: collector}}\n"
        );
        fs::write(path.join("own.conf"), text).expect("a file");
        let report = tokio::task::block_in_place(|| here(path, &["--config", "own.conf"]).1);
        says(&report, "destinations", verdict, found, remedy);
        playing.await.expect("it ends");
    }
}

/// One authority, and another.
fn authority(folder: &Path, name: &str) -> rcgen::CertifiedIssuer<'static, rcgen::KeyPair> {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let issuer =
        rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().expect("a key"));
    let issuer = issuer.expect("a certificate");
    fs::write(folder.join(format!("{name}.crt")), issuer.pem()).expect("a file");
    issuer
}

#[test]
fn a_certificate_that_is_not_trusted_says_where_to_put_which_authority() {
    let folder = folder();
    let path = folder.path();
    let (ours, _other) = (authority(path, "ours"), authority(path, "other"));
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["collector".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &ours).expect("a certificate");
    fs::write(path.join("server.crt"), certificate.pem()).expect("a file");
    fs::write(path.join("server.key"), key.serialize_pem()).expect("a file");
    let mut collector = Command::new(built("fyke"));
    let port = tests::ports::free_port();
    collector.args(["ipfix", "collect", &format!("127.0.0.1:{port}"), "--transport", "tls"]);
    collector.args(["--cert", "server.crt", "--key", "server.key"]).current_dir(path);
    let mut collector =
        collector.stderr(std::process::Stdio::piped()).spawn().expect("a collector");
    let mut line = String::new();
    let mut reader = std::io::BufReader::new(collector.stderr.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut reader, &mut line).expect("a line");
    assert!(line.starts_with("listening"), "{line}");
    let look = |ca: &str, name: &str| {
        let text = format!(
            "node: a\nclusterFile: cluster.yaml\nflowCollectorAddr: 127.0.0.1:{port}:tls\n\
            tls: {{caFile: {ca}, serverName: {name}}}\n"
        );
        fs::write(path.join("own.conf"), text).expect("a file");
        here(path, &["--config", "own.conf"]).1
    };
    says(
        &look("other.crt", "collector"),
        "destinations",
        "fail",
        "UnknownIssuer",
        "into other.crt",
    );
    says(&look("ours.crt", "somebody"), "destinations", "fail", "not valid for name", "serverName");
    let well = look("ours.crt", "collector");
    says(&well, "destinations", "ok", "answers over TLS", "");
    says(&well, "destinations", "ok", "the collector's certificate is good until", "");
    collector.kill().expect("it runs");
    collector.wait().expect("it ends");
    // Something else than TLS.
    let plain = TcpListener::bind(("127.0.0.1", port)).expect("the port");
    let babble = std::thread::spawn(move || {
        let (mut stream, _) = plain.accept().expect("somebody");
        std::io::Write::write_all(&mut stream, b"220 mail here, please go away\r\n").ok();
    });
    says(&look("ours.crt", "collector"), "destinations", "fail", "no TLS session", ":tcp");
    babble.join().expect("it ends");
}

const ALL: &str = "users:
- name: fyke
  token: secret
  rules:
  - {apiGroups: [''], resources: [pods, services, nodes, namespaces], verbs: [list, watch]}
  - {apiGroups: [crd.antrea.io], resources: ['*'], verbs: [list, watch]}
  - {apiGroups: [authorization.k8s.io], resources: ['*'], verbs: [create]}
";

fn look_by_api(server: &StandIn, agent: &StandInAgent, node: &str) -> (i32, Value) {
    let folder = folder();
    let kubeconfig = server.kubeconfig(folder.path(), Some("secret"));
    let text = format!(
        "node: {node}\nkubeconfig: {}\nflowCollectorAddr: 127.0.0.1:1:udp\nantreaAgent: {{apiPort: {}, tokenFile: {}}}\n",
        kubeconfig.display(),
        agent.port(),
        agent.token_file().display(),
    );
    fs::write(folder.path().join("own.conf"), text).expect("a file");
    here(folder.path(), &["--config", "own.conf"])
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_missing_are_shown_as_yaml() {
    let server = StandIn::start_tls();
    server.load(2, 3);
    let agent = StandInAgent::start().await;
    let rules = ALL.replacen("[list, watch]", "[list]", 1);
    server.require_access(&rules);
    let (code, report) = look_by_api(&server, &agent, "node-0");
    assert_eq!(code, 1);
    says(
        &report,
        "names",
        "fail",
        "does not allow",
        "resources: [pods, services, nodes, namespaces]\n  verbs: [watch]",
    );
    server.require_access(ALL);
    let (_, report) = look_by_api(&server, &agent, "node-7");
    says(&report, "names", "fail", "no Node \"node-7\"", "NODE_NAME");
    agent.answer("/networkpolicies", 403, "no");
    let (_, report) = look_by_api(&server, &agent, "node-0");
    says(&report, "names", "ok", "2 of kind Node", "");
    says(&report, "names", "warn", "names of rules are not known", "token is that of this Agent");
    agent.answer("/networkpolicies", 200, "{}");
    server.put(json!({
        "apiVersion": "crd.antrea.io/v1alpha1", "kind": "FlowExporterDestination",
        "metadata": { "name": "bad" },
        "spec": { "address": "nonsense", "protocol": { "ipfix": { "transport": "tcp" } } },
    }));
    let (code, report) = look_by_api(&server, &agent, "node-0");
    assert_eq!(code, 1);
    says(&report, "names", "ok", "the Antrea Agent says which rules there are", "");
    says(&report, "resources", "fail", "FlowExporterDestination bad is refused", "correct");
}
