//! Names in stored records, when all of it runs: a real kernel, `fyke exporter` that asks an API
//! server, `fyke aggregator`, and kubectl that makes and deletes what names are of.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cli::demo::lab::{Family, Host, Lab, Process};
use flow::{FlowRecord, FlowType, Name};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::api_server::StandIn;
use tests::binary::{built, eventually, metrics, sum, value};
use tests::doorway;

const PATIENCE: Duration = Duration::from_mins(1);
const EXPORTER_ADMIN: u16 = 8087;
const TOKEN: &str = "token-of-fyke";
/// Puts connections of Pods and to the server outside into Antrea's zone, and says of those that
/// a Pod opens what Antrea would: 3 in the lowest bits of the mark is a Pod of this Node.
const ANTREAS_ZONE: &str = "add table ip z; \
    add chain ip z early { type filter hook prerouting priority -300; }; \
    add rule ip z early iifname != \"up0\" ct zone set 65520; \
    add rule ip z early ip saddr 192.168.77.100 ct zone set 65520; \
    add chain ip z late { type filter hook prerouting priority -150; }; \
    add rule ip z late iifname != \"up0\" ct direction original ct mark set 3";
/// Where nobody listens: a connection there is refused, and over at once.
const CLOSED: u16 = 9;

/// A lab with an aggregator, an API server, and an exporter on Node a that asks it.
struct Stand {
    lab: Lab,
    server: StandIn,
    home: TempDir,
    config: PathBuf,
    processes: Vec<Process>,
}

impl Stand {
    /// The API server knows the Nodes. Connections are in `zone`.
    fn new(prefix: &str, zone: &str, is_up: bool) -> Self {
        Lab::down(prefix).unwrap();
        let lab = Lab::up(prefix).unwrap();
        if zone == "antrea" {
            let mut nft = lab.command(Host::NodeA, "nft");
            assert!(nft.arg(ANTREAS_ZONE).status().unwrap().success());
        }
        let mut server = StandIn::start_tls();
        let home = tempfile::tempdir().unwrap();
        server.accept_token(TOKEN, "fyke");
        let config = server.kubeconfig(home.path(), Some(TOKEN));
        let namespace = Path::new("/run/netns").join(lab.namespace(Host::NodeA));
        doorway::open(&namespace, server.address().port()).unwrap();
        for (number, name) in ["node-a", "node-b"].iter().enumerate() {
            let address =
                json!({ "type": "InternalIP", "address": format!("192.168.77.{}", number + 1) });
            server.put(json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": { "name": name, "creationTimestamp": "2026-01-01T00:00:00Z" },
                "spec": { "podCIDRs": [format!("10.10.{number}.0/24")] },
                "status": { "addresses": [address] },
            }));
        }
        if !is_up {
            server.go_down();
        }
        let mut stand = Self { lab, server, home, config, processes: Vec::new() };
        stand.start_all(zone);
        stand
    }

    fn start_all(&mut self, zone: &str) {
        let (data, collector) =
            (self.data(), format!("{}:4739", Host::Aggregator.address(Family::V4)));
        let arguments =
            ["--active-timeout", "1s", "--inactive-timeout", "3s", "--listen", &collector];
        let mut command = self.lab.command(Host::Aggregator, built("fyke"));
        command.arg("aggregator").args(arguments).arg("--data").arg(data);
        let mut aggregator = self.lab.spawn("aggregator", &mut command).unwrap();
        aggregator.wait_until_ready(PATIENCE).unwrap();
        let mut command = self.lab.command(Host::NodeA, built("fyke"));
        command.args([
            "exporter",
            "--node",
            "node-a",
            "--collector",
            &collector,
            "--profile",
            "fyke",
        ]);
        command.args(["--poll-interval", "1s", "--zone", zone, "--kubeconfig"]);
        let exporter = self.lab.spawn("exporter", command.arg(&self.config)).unwrap();
        self.processes = vec![aggregator, exporter];
        let asks = || self.exporter_says().is_some();
        assert!(eventually(PATIENCE, asks), "{:?}", self.processes[1].log());
    }

    fn data(&self) -> PathBuf {
        self.lab.directory().join("data")
    }

    /// Metrics, once they are served.
    fn exporter_says(&self) -> Option<String> {
        let mut probe = self.lab.command(Host::NodeA, "bash");
        probe.args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{EXPORTER_ADMIN}")]);
        let answers = probe.stderr(Stdio::null()).status().unwrap().success();
        answers.then(|| metrics(self.lab.command(Host::NodeA, "bash"), EXPORTER_ADMIN))
    }

    fn metric(&self, name: &str) -> u64 {
        value(&self.exporter_says().unwrap(), name)
    }

    /// Watches of names that are open and up to date.
    fn followed(&self) -> u64 {
        sum(&self.exporter_says().unwrap(), "fyke_exporter_watch_following")
    }

    /// Has a Pod of Node a connect to where it is refused, again and again.
    fn keeps_knocking(&mut self, pod: Host) {
        let to = Host::External.address(Family::V4);
        let script =
            format!("while :; do (exec 3<>/dev/tcp/{to}/{CLOSED}) 2>/dev/null; sleep 0.05; done");
        let mut command = self.lab.command(pod, "bash");
        let name = format!("knocking-{}", pod.name());
        let process = self.lab.spawn(&name, command.args(["-c", &script])).unwrap();
        self.processes.push(process);
    }

    /// Has it connect there once. Whether somebody answers is not waited for: a kernel asks again
    /// for two minutes.
    fn knocks(&self, pod: Host, to: &str, port: u16) {
        let script = format!("exec 3<>/dev/tcp/{to}/{port}");
        let mut command = self.lab.command(pod, "timeout");
        command.args(["1", "bash", "-c", &script]).stderr(Stdio::null()).status().unwrap();
    }

    #[track_caller]
    fn kubectl(&self, arguments: &[&str], manifest: &Value) {
        let mut command = Command::new("kubectl");
        command.args(arguments).current_dir(self.home.path());
        command.env("HOME", self.home.path()).env("KUBECONFIG", &self.config);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl is installed: run `cargo xtask setup`");
        child.stdin.take().unwrap().write_all(manifest.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {complaint}");
    }

    #[track_caller]
    fn create(&self, manifest: &Value) {
        self.kubectl(&["create", "-f", "-"], manifest);
    }

    /// What the store has of connections from `pod`.
    fn told_of(&self, pod: Host) -> Vec<FlowRecord> {
        let address = pod.address(Family::V4);
        let Ok(reader) = store::Reader::open(&self.data()) else { return Vec::new() };
        let flows = reader.flows().unwrap().0;
        let records = flows.into_iter().map(|flow| flow.record);
        records.filter(|record| record.key.source == address).collect()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let came = eventually(PATIENCE, &mut is_so);
        let told = || (self.exporter_says(), self.processes[1].log());
        assert!(came, "{what} did not come: {:?}", told());
    }

    /// Waits until the store has a connection from `pod` that is as wanted; returns it.
    #[track_caller]
    fn wait_for_record(
        &self,
        what: &str,
        pod: Host,
        wanted: impl Fn(&FlowRecord) -> bool,
    ) -> FlowRecord {
        let mut found = None;
        self.wait_for(what, || {
            found = self.told_of(pod).into_iter().find(&wanted);
            found.is_some()
        });
        found.unwrap()
    }
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A Pod of Node a that has been told to be running since `started`.
fn pod(name: &str, at: Host, started: &str) -> Value {
    let ready = json!({ "type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": started });
    let address = at.address(Family::V4);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "labels": { "app": "web" } },
        "spec": { "nodeName": "node-a", "containers": [] },
        "status": { "phase": "Running", "startTime": started, "podIPs": [{ "ip": address }],
            "conditions": [ready] },
    })
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn egress(name: &str) -> Value {
    json!({
        "apiVersion": "crd.antrea.io/v1beta1", "kind": "Egress", "metadata": { "name": name },
        "spec": { "egressIP": "192.0.2.8",
            "appliedTo": { "podSelector": { "matchLabels": { "app": "web" } },
                "namespaceSelector": { "matchLabels": { "team": "red" } } } },
        "status": { "egressNode": "gate", "egressIP": "192.0.2.8" },
    })
}

#[test]
fn names_come_when_the_api_server_does_and_nothing_waits_for_it() {
    let mut stand = Stand::new("tlive", "antrea", false);
    stand.keeps_knocking(Host::PodA1);
    // Nobody says whose they are, and they are told all the same.
    let nameless = stand.wait_for_record("a record", Host::PodA1, |_| true);
    assert_eq!((nameless.source.node.as_str(), nameless.source.pod.as_str()), ("node-a", ""));
    assert_eq!(nameless.flow_type, FlowType::Unspecified);
    stand.server.come_up();
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": "shop", "labels": { "team": "red" } } });
    stand.create(&namespace);
    stand.create(&pod("web", Host::PodA1, &now()));
    stand.create(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "db", "namespace": "shop" },
        "spec": { "clusterIPs": ["10.96.0.10"],
            "ports": [{ "name": "sql", "port": 80, "protocol": "TCP" }] },
    }));
    // Each kind has a watch of its own: what the Pods' brings may be told before the Nodes' is up.
    let is_placed =
        |it: &FlowRecord| it.source.pod.as_str() == "web" && it.flow_type == FlowType::ToExternal;
    let named = stand.wait_for_record("a name and a type", Host::PodA1, is_placed);
    assert_eq!(named.source.namespace.as_str(), "shop");
    assert_eq!(named.exit.name.as_str(), "");
    // The Node's own address is what a server outside sees.
    assert_eq!(named.proxy_snat_ip, Some(Host::NodeA.address(Family::V4)));
    stand.create(&egress("out"));
    let leaves = |record: &FlowRecord| !record.exit.name.is_empty();
    let named = stand.wait_for_record("an Egress", Host::PodA1, leaves);
    let told = [&named.exit.name, &named.exit.ip, &named.exit.node];
    assert_eq!(told.map(Name::as_str), ["out", "192.0.2.8", "gate"]);
    // With two, nobody knows which one Antrea has chosen.
    stand.create(&egress("other"));
    let ambiguous = "fyke_exporter_names_unresolved_total{end=\"egress\",reason=\"ambiguous\"}";
    let is_counted = || stand.exporter_says().is_some_and(|it| it.contains(ambiguous));
    stand.wait_for("a counter", is_counted);
    stand.kubectl(&["delete", "egress", "out"], &Value::Null);
    stand.wait_for_record("the other", Host::PodA1, |it| it.exit.name.as_str() == "other");
    // The lab's rules translate this address, though to a Pod of Node b.
    stand.knocks(Host::PodA1, "10.96.0.10", 80);
    stand.wait_for_record("a Service", Host::PodA1, |it| it.service.name.as_str() == "shop/db:sql");
}

#[test]
fn what_was_known_lasts_while_the_api_server_is_away_and_no_longer() {
    let mut stand = Stand::new("taway", "antrea", true);
    stand.keeps_knocking(Host::PodA1);
    stand.create(&pod("web", Host::PodA1, &now()));
    let is_web = |record: &FlowRecord| record.source.pod.as_str() == "web";
    stand.wait_for_record("a name", Host::PodA1, is_web);
    // What it told lasts, what is new waits in vain, and all is told.
    stand.server.go_down();
    stand.wait_for("the end of the watches", || stand.followed() == 0);
    let gone_ms = now_ms();
    stand.wait_for_record("more records", Host::PodA1, |it| it.start_ms > gone_ms + 3_000);
    // Meanwhile another Pod gets the address.
    let removed_ms = now_ms();
    stand.server.remove("v1", "Pod", "shop", "web");
    stand.server.put(pod("heir", Host::PodA1, &now()));
    let given_ms = now_ms();
    stand.server.come_up();
    let is_heir = |record: &FlowRecord| record.source.pod.as_str() == "heir";
    stand.wait_for_record("the heir", Host::PodA1, is_heir);
    for record in stand.told_of(Host::PodA1) {
        let began = record.start_ms;
        assert!(!is_web(&record) || began <= given_ms, "{began} > {given_ms}: {record:?}");
        assert!(!is_heir(&record) || began >= removed_ms, "{began} < {removed_ms}: {record:?}");
    }
    assert_eq!(stand.metric("fyke_exporter_names_wait_full_total"), 0);
}

/// kubectl takes about as long as it takes a kubelet to give an address to another Pod.
#[test]
fn an_address_in_other_hands_within_a_second_never_has_a_wrong_name() {
    let mut stand = Stand::new("treuse", "0", true);
    stand.wait_for("watches", || stand.followed() > 0);
    stand.keeps_knocking(Host::PodA1);
    // Name, and from when and until when it had the address at most: one that is deleted may use it
    // until another has it.
    let mut owners: Vec<(String, u64, u64)> = Vec::new();
    let mut create = |name: &str| {
        let from = now_ms();
        stand.create(&pod(name, Host::PodA1, &now()));
        if let Some((_, _, until)) = owners.last_mut() {
            *until = now_ms();
        }
        owners.push((name.to_owned(), from, u64::MAX));
    };
    for round in 0..5 {
        let name = format!("web-{round}");
        create(&name);
        if round % 2 == 0 {
            // For as long as it takes to be named.
            let is_it = |record: &FlowRecord| record.source.pod.as_str() == name;
            stand.wait_for_record(&name, Host::PodA1, is_it);
        } else {
            // How long a Pod has the address is what is tested.
            std::thread::sleep(Duration::from_secs(1));
        }
        stand.kubectl(&["delete", "pod", "-n", "shop", &name, "--wait=false"], &Value::Null);
    }
    create("web-5");
    let is_last = |record: &FlowRecord| record.source.pod.as_str() == "web-5";
    stand.wait_for_record("the last one", Host::PodA1, is_last);
    let told = stand.told_of(Host::PodA1);
    let mut named = vec![0; owners.len()];
    for record in told.iter().filter(|record| !record.source.pod.is_empty()) {
        let at = owners.iter().position(|(name, ..)| *name == record.source.pod.as_str()).unwrap();
        let (name, from, until) = &owners[at];
        assert!((from..=until).contains(&&record.start_ms), "{name} {from}..{until}: {record:?}");
        named[at] += 1;
    }
    for at in [0, 2, 4] {
        assert!(named[at] > 0, "{named:?} of {}", told.len());
    }
    eprintln!("named {named:?} of {}", told.len());
}
