//! Live flows, and what antctl asks, as the gRPC project's own client and curl get them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::api_server::StandIn;
use tests::authority::{certificates, python};
use tests::binary::{built, eventually, metrics, signal, value};
use tests::ports::free_port;

const PATIENCE: Duration = Duration::from_secs(30);
/// Who may see flows, who may not, and who the aggregator is.
const ACCESS: &str = "
users:
- name: aggregator
  token: of-the-aggregator
  rules:
  - {verbs: [create], apiGroups: [authentication.k8s.io], resources: [tokenreviews]}
  - {verbs: [create], apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews]}
- name: watcher
  token: of-a-watcher
  rules:
  - {verbs: [get], nonResourceURLs: [/flows, /recordmetrics]}
- name: other
  token: of-another
";

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// An aggregator that was told by a file where to listen.
struct Stand {
    folder: TempDir,
    aggregator: Running,
    export: u16,
    stream: u16,
    api: u16,
    admin: u16,
    _server: Option<StandIn>,
}

impl Stand {
    fn new(more: &str, server: Option<StandIn>) -> Self {
        let folder = certificates();
        let [export, stream, api, admin] = [(); 4].map(|()| free_port());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let kubeconfig = server.as_ref().map(|server| {
            let file = server.kubeconfig(folder.path(), Some("of-the-aggregator"));
            format!("kubeconfig: {}\n", file.display())
        });
        let text = format!(
            "aggregatorTransportProtocol: none\n\
             activeFlowRecordTimeout: 1s\n\
             listen:\n  grpc: 127.0.0.1:{export}\n\
             tls:\n  certFile: {}\n  keyFile: {}\n  clientCAFile: {}\n\
             flowStreamService:\n  enable: true\n  address: 127.0.0.1:{stream}\n{more}\
             apiServer:\n  apiPort: {api}\n  tokenFile: {}\n\
             adminAddress: 127.0.0.1:{admin}\n\
             clusterUUID: 6f1d5bd8-5b2c-4c0f-9d7b-1b7b2f1a0001\n{}",
            path("collector.test.pem"),
            path("collector.test.key"),
            path("ca.pem"),
            path("token"),
            kubeconfig.unwrap_or_default(),
        );
        fs::write(path("flow-aggregator.conf"), text).expect("a file");
        let errors = File::create(path("errors")).expect("a file");
        let mut command = Command::new(built("fyke"));
        command.args(["aggregator", "--config", &path("flow-aggregator.conf")]);
        let command = command.stdout(Stdio::piped()).stderr(errors);
        let mut aggregator = Running(command.spawn().expect("it starts"));
        let mut ready = String::new();
        let output = aggregator.0.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut ready).expect("it says something");
        assert_eq!(ready, "ready\n", "{}", fs::read_to_string(path("errors")).expect("a file"));
        Self { folder, aggregator, export, stream, api, admin, _server: server }
    }

    fn client(&self) -> Client {
        let mut command = python("live_flows/client.py");
        let ports = [self.export, self.stream].map(|port| port.to_string());
        let mut process =
            Running(command.args(ports).arg(self.folder.path()).spawn().expect("it starts"));
        let input = process.0.stdin.take().expect("a pipe");
        let output = process.0.stdout.take().expect("a pipe");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|it| sender.send(it))
        });
        Client { _process: process, input, lines }
    }

    fn counted(&self, name: &str) -> u64 {
        let told = metrics(Command::new("bash"), self.admin);
        value(&told, &format!("fyke_aggregator_{name}"))
    }

    /// What curl gets: code and body.
    fn curl(&self, path: &str, token: Option<&str>) -> (String, String) {
        let mut command = Command::new("curl");
        command.args(["-sk", "-w", "\n%{http_code}"]);
        if let Some(token) = token {
            command.args(["-H", &format!("Authorization: Bearer {token}")]);
        }
        let output = command.arg(format!("https://localhost:{}{path}", self.api)).output();
        let text = String::from_utf8(output.expect("curl").stdout).expect("text");
        let (body, code) = text.rsplit_once('\n').expect("a code");
        (code.to_owned(), body.to_owned())
    }
}

struct Client {
    _process: Running,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Client {
    fn begin(&mut self, what: &Value) {
        writeln!(self.input, "{what}").expect("it reads");
    }

    fn says(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("it says something");
        serde_json::from_str(&line).expect("JSON")
    }

    fn does(&mut self, what: &Value) -> Value {
        self.begin(what);
        self.says()
    }
}

/// As an Agent sends it: a connection within a Node.
fn flow(port: u16, namespace: &str) -> Value {
    json!({
        "start_ts": "2026-11-01T10:00:00Z", "end_ts": format!("2026-11-01T10:00:{:02}Z", port % 60),
        "end_reason": "FLOW_END_REASON_END_OF_FLOW",
        "ip": {"version": "IP_VERSION_4", "source": "CgAAAQ==", "destination": "CgAAAg=="},
        "transport": {"protocol_number": 6, "source_port": port, "destination_port": 443},
        "k8s": {"flow_type": "FLOW_TYPE_INTRA_NODE", "source_pod_name": "web",
                "source_pod_namespace": namespace, "destination_pod_name": "db",
                "destination_pod_namespace": "data",
                "source_pod_labels": {"labels": {"app": "web"}},
                "ingress_network_policy_name": "allow", "ingress_network_policy_rule_action": 1},
        "stats": {"packet_total_count": 4, "packet_delta_count": 4, "octet_total_count": 400,
                  "octet_delta_count": 400},
        "reverse_stats": {},
    })
}

#[test]
fn a_foreign_client_gets_what_it_asks_for() {
    let stand = Stand::new("", None);
    let mut client = stand.client();
    let flows: Vec<_> = (1..=4).map(|port| flow(port, "shop")).chain([flow(5, "red")]).collect();
    assert_eq!(client.does(&json!({ "send": flows })), "sent");
    assert!(eventually(PATIENCE, || stand.counted("records_emitted_total") == 5));

    let ports = |client: &mut Client, request: Value| {
        let said = client.does(&json!({ "request": request }));
        assert_eq!(said["status"], "OK", "{said}");
        let mut ports: Vec<u64> =
            said["ports"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        ports.sort_unstable();
        ports
    };
    // Not following ends by itself.
    assert_eq!(ports(&mut client, json!({})), [1, 2, 3, 4, 5]);
    let filter = |filter: Value| json!({ "filters": [filter] });
    for (asked, expected) in [
        (filter(json!({"namespaces": ["red"]})), &[5][..]),
        (filter(json!({"namespaces": ["red"], "direction": "FLOW_FILTER_DIRECTION_TO"})), &[]),
        (filter(json!({"pod_label_selector": "app in (web)"})), &[1, 2, 3, 4, 5]),
        (filter(json!({"pod_label_selector": "!app", "direction": 1})), &[]),
        (filter(json!({"ips": ["10.0.0.0/8"]})), &[1, 2, 3, 4, 5]),
        (filter(json!({"ports": [3]})), &[3]),
        (filter(json!({"verdicts": ["NETWORK_POLICY_RULE_ACTION_DROP"]})), &[]),
        (filter(json!({"policies": ["allow"]})), &[1, 2, 3, 4, 5]),
        (json!({"filters": [{"ports": [1, 2]}, {"ports": [2, 3]}]}), &[2]),
        (json!({"since": "2026-11-01T10:00:04Z"}), &[4, 5]),
    ] {
        assert_eq!(ports(&mut client, asked.clone()), expected, "{asked}");
    }
    assert_eq!(ports(&mut client, json!({"max_count": 2, "follow": true})).len(), 2);

    let said = client.does(&json!({ "request": filter(json!({"ports": [5]})) }));
    let told = &said["first"];
    for (path, expected) in [
        ("/k8s/source_pod_namespace", json!("red")),
        ("/k8s/source_pod_labels", json!({"labels": {"app": "web"}})),
        ("/k8s/ingress_network_policy_rule_action", json!("NETWORK_POLICY_RULE_ACTION_ALLOW")),
        ("/stats/octet_delta_count", json!("400")),
        ("/aggregation/stats_from_source/octet_total_count", json!("400")),
        ("/ip/source", json!("CgAAAQ==")),
        ("/end_reason", json!("FLOW_END_REASON_END_OF_FLOW")),
    ] {
        assert_eq!(told.pointer(path), Some(&expected), "{path} of {told}");
    }
    for (bad, why) in [
        (json!({"ips": ["nowhere"]}), "filter 0: \"nowhere\" is no address or network"),
        (json!({"service_names": ["db"], "direction": 1}), "filter 0: a flow never comes from"),
        (json!({"pod_label_selector": "=x"}), "filter 0: label selector"),
    ] {
        let said = client.does(&json!({ "request": filter(bad) }));
        assert_eq!(said["status"], "INVALID_ARGUMENT");
        assert!(said["why"].as_str().unwrap().starts_with(why), "{said}");
    }
    let said = client.does(&json!({ "request": {}, "certified": false }));
    assert_eq!(said["status"], "UNAUTHENTICATED", "{said}");
}

/// Who may ask for flows may not ask for all of the memory.
#[test]
fn calls_are_limited_over_all_connections() {
    let stand = Stand::new("", None);
    let (mut holder, mut other) = (stand.client(), stand.client());
    assert_eq!(holder.does(&json!({ "hold": 64 })), "held");
    assert!(eventually(PATIENCE, || stand.counted("stream_calls") == 64));
    let said = other.does(&json!({ "request": {} }));
    assert_eq!(said["status"], "RESOURCE_EXHAUSTED", "{said}");
    drop(holder);
    assert!(eventually(PATIENCE, || stand.counted("stream_calls") == 0));
    assert_eq!(other.does(&json!({ "request": {} }))["status"], "OK");
}

/// One client follows while others come and go; at the end it has everything, and an OK.
#[test]
fn who_follows_gets_everything_to_the_last() {
    let mut stand = Stand::new("", None);
    let (mut follower, mut leaver, mut sender) = (stand.client(), stand.client(), stand.client());
    follower.begin(&json!({ "request": {"follow": true} }));
    assert!(eventually(PATIENCE, || stand.counted("stream_calls") == 1));
    for port in 1..=3 {
        assert_eq!(sender.does(&json!({ "send": [flow(port, "shop")] })), "sent");
    }
    assert!(eventually(PATIENCE, || stand.counted("stream_flows_total") == 3));
    let left = leaver.does(&json!({ "request": {"follow": true}, "until": 1 }));
    assert_eq!(left["status"], "CANCELLED");
    assert!(
        eventually(PATIENCE, || stand.counted("stream_calls_ended_total{reason=\"gone\"}") == 1)
    );
    // What is told at the very end still arrives.
    assert_eq!(sender.does(&json!({ "send": [flow(4, "shop")] })), "sent");
    signal(stand.aggregator.0.id(), "TERM");
    let said = follower.says();
    assert_eq!((&said["status"], &said["dropped"]), (&json!("OK"), &json!(0)), "{said}");
    // Shards tell of their flows by themselves: there is no order among different ones.
    let mut ports: Vec<_> =
        said["ports"].as_array().expect("ports").iter().filter_map(Value::as_u64).collect();
    ports.sort_unstable();
    assert_eq!(ports, [1, 2, 3, 4]);
    assert!(stand.aggregator.0.wait().expect("it ends").success());
}

#[test]
fn tokens_are_the_api_servers_to_judge() {
    let server = StandIn::start();
    server.require_access(ACCESS);
    let stand = Stand::new("", Some(server));
    let mut client = stand.client();
    let said = |client: &mut Client, token: &str| {
        client.does(&json!({ "request": {}, "certified": false, "token": token }))
    };
    assert_eq!(said(&mut client, "of-a-watcher")["status"], "OK");
    let refused = said(&mut client, "of-another");
    assert_eq!(refused["status"], "PERMISSION_DENIED");
    let why = refused["why"].as_str().unwrap();
    assert!(why.contains("other needs a rule with nonResourceURLs [/flows]"), "{why}");
    assert_eq!(said(&mut client, "of-nobody")["status"], "UNAUTHENTICATED");
    assert_eq!(stand.counted("stream_calls_ended_total{reason=\"refused\"}"), 2);

    let code = |path: &str, token| stand.curl(path, token).0;
    assert_eq!(code("/recordmetrics", Some("of-a-watcher")), "200");
    assert_eq!(code("/flowrecords", Some("of-a-watcher")), "403");
    assert_eq!(code("/recordmetrics", Some("of-nobody")), "401");
}

#[test]
fn antctl_finds_what_it_looks_for() {
    let stand = Stand::new("", None);
    let token = fs::read_to_string(stand.folder.path().join("token")).expect("a token");
    let mut client = stand.client();
    assert_eq!(client.does(&json!({ "send": [flow(7, "shop"), flow(8, "red")] })), "sent");
    assert!(eventually(PATIENCE, || stand.counted("records_emitted_total") == 2));
    let ask = |path: &str| {
        let (code, body) = stand.curl(path, Some(&token));
        assert_eq!(code, "200", "{body}");
        serde_json::from_str::<Value>(&body).expect("JSON")
    };
    let told = ask("/recordmetrics");
    assert_eq!(
        (&told["numRecordsReceived"], &told["numRecordsExported"], &told["numFlows"]),
        (&json!(2), &json!(2), &json!(2))
    );
    let told = ask("/flowrecords?srcip=10.0.0.1&dstip=10.0.0.2&proto=6&srcport=8&dstport=443");
    assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told[0]["sourcePodNamespace"], "red");
    assert_eq!(told[0]["flowEndReason"], 3);
    assert_eq!(ask("/flowrecords").as_array().map(Vec::len), Some(2));
    assert_eq!(ask("/flowrecords?srcport=9"), Value::Null);
    assert_eq!(stand.curl("/flowrecords?srcport=x", Some(&token)).0, "404");
    assert_eq!(stand.curl("/flowrecords", None).0, "401");
    assert_eq!(stand.curl("/loglevel?level=5", Some(&token)).0, "200");
    assert_eq!(ask("/loglevel"), json!(5));
    let log = || fs::read_to_string(stand.folder.path().join("errors")).expect("a file");
    drop(client);
    assert!(eventually(PATIENCE, || log().contains("DEBUG")), "{}", log());
    assert_eq!(stand.curl("/healthz", None).0, "200");
    assert_eq!(stand.curl("/readyz", None).0, "200");
}
