//! A part of the pipeline is killed and starts again: the others carry on, surviving flows end
//! with the kernel's totals, and nothing is counted twice.

use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use cli::demo::Totals;
use cli::demo::check::{SeenFlow, SideTotals};
use cli::demo::judge::{Judge, KernelConnection};
use cli::demo::lab::{Family, Host, Lab, Process};
use tests::binary::{built, metrics, signal, value};

const SECOND: Duration = Duration::from_secs(1);
const AGGREGATOR_ADMIN: u16 = 8088;
const EXPORTER_ADMIN: u16 = 8087;

/// A lab with everything running, and one connection that survives what happens to it.
struct Stand {
    lab: Lab,
    started: usize,
}

impl Stand {
    fn new(prefix: &str) -> Self {
        Lab::down(prefix).expect("a clean start");
        Self { lab: Lab::up(prefix).expect("a lab"), started: 0 }
    }

    fn start(&mut self, name: &str, host: Host, arguments: &[&str]) -> Process {
        self.started += 1;
        let mut command = self.lab.command(host, built("fyke"));
        let name = format!("{name}-{}", self.started);
        let mut process = self.lab.spawn(&name, command.args(arguments)).expect("it starts");
        process.wait_until_ready(5 * SECOND).expect("it gets ready");
        process
    }

    fn data(&self) -> PathBuf {
        self.lab.directory().join("data")
    }

    fn collector() -> String {
        format!("{}:4739", Host::Aggregator.address(Family::V4))
    }

    fn aggregator(&mut self) -> Process {
        let (data, listen) = (self.data(), Self::collector());
        let data = data.to_str().expect("UTF-8").to_owned();
        let arguments = [
            "aggregator",
            "--listen",
            &listen,
            "--data",
            &data,
            "--active-timeout",
            "1s",
            "--inactive-timeout",
            "8s",
        ];
        self.start("aggregator", Host::Aggregator, &arguments)
    }

    fn exporter(&mut self, host: Host, node: &str) -> Process {
        let cluster = self.lab.cluster_file();
        let cluster = cluster.to_str().expect("UTF-8").to_owned();
        let collector = Self::collector();
        let arguments = [
            "exporter",
            "--node",
            node,
            "--cluster",
            &cluster,
            "--collector",
            &collector,
            "--profile",
            "fyke",
            "--active-timeout",
            "1s",
            "--poll-interval",
            "1s",
        ];
        self.start(node, host, &arguments)
    }

    /// One connection across Nodes with a request every 200 ms for eight seconds.
    fn long_connection(&mut self) -> Process {
        let server = format!("{}:8080", Host::PodB1.address(Family::V4));
        self.start("server", Host::PodB1, &["demo-traffic", "tcp-server", &server]);
        let mut client = self.lab.command(Host::PodA1, built("fyke"));
        client.args(["demo-traffic", "tcp-client", &server, "--rounds", "40", "--pause", "200"]);
        client.args(["--up", "1000", "--down", "3000"]);
        self.lab.spawn("client", &mut client).expect("the client starts")
    }

    fn metrics(&self, host: Host, port: u16) -> String {
        metrics(self.lab.command(host, "bash"), port)
    }
}

/// Waits for the connection's end everywhere, and returns what is stored and what the kernels say.
fn outcome(
    stand: &Stand,
    client: Process,
    judge: Judge,
    processes: Vec<Process>,
) -> (Vec<SeenFlow>, Vec<KernelConnection>) {
    let mut client = client;
    while client.try_wait().expect("the client can be waited for").is_none() {
        sleep(SECOND / 10);
    }
    Judge::wait_for_the_end(&stand.lab, 15 * SECOND, || Ok(())).expect("the kernel forgets");
    sleep(2 * SECOND); // exporters and aggregator look once a second
    for process in processes {
        process.stop(3 * SECOND).expect("it ends well within three seconds");
    }
    let flows = cli::seen::seen(&stand.data()).expect("the store can be read");
    (flows, judge.finish(None).expect("the kernel's word"))
}

#[track_caller]
fn check(flows: &[SeenFlow], kernel: &[KernelConnection]) {
    let [flow] = flows else { panic!("one flow, not {flows:#?}") };
    assert_eq!(kernel.len(), 2, "one connection on each Node: {kernel:#?}");
    for connection in kernel {
        let expected = SideTotals {
            conntrack_id: connection.id.into(),
            node: connection.node.to_string(),
            totals: connection.totals,
        };
        let sides = [&flow.from_source, &flow.from_destination];
        let found = sides.into_iter().flatten().find(|side| side.node == expected.node);
        assert_eq!(found, Some(&expected));
        assert!(expected.totals.reverse_octets > 40 * 3000, "{:?}", Totals::default());
    }
}

#[test]
fn a_killed_aggregator_continues_where_it_stopped() {
    let mut stand = Stand::new("tagg");
    let aggregator = stand.aggregator();
    let exporters = [stand.exporter(Host::NodeA, "node-a"), stand.exporter(Host::NodeB, "node-b")];
    let judge = Judge::start(&stand.lab).expect("a judge");
    let client = stand.long_connection();
    sleep(4 * SECOND);
    signal(aggregator.id(), "KILL");
    sleep(SECOND);
    let aggregator = stand.aggregator();
    sleep(4 * SECOND);
    let told = stand.metrics(Host::Aggregator, AGGREGATOR_ADMIN);
    assert_eq!(value(&told, "fyke_aggregator_flows_resumed_total"), 1);
    assert_eq!(value(&told, "fyke_aggregator_sessions"), 2);
    for host in [Host::NodeA, Host::NodeB] {
        let told = stand.metrics(host, EXPORTER_ADMIN);
        assert_eq!(value(&told, "fyke_exporter_sessions_lost_total"), 1);
        assert_eq!(value(&told, "fyke_exporter_sessions_total"), 2);
        assert!(value(&told, "fyke_exporter_connect_failures_total") > 0);
    }
    let processes = exporters.into_iter().chain([aggregator]).collect();
    let (flows, kernel) = outcome(&stand, client, judge, processes);
    check(&flows, &kernel);
    assert!(flows[0].records > 3, "it was told before and after: {flows:#?}");
}

#[test]
fn a_killed_exporter_continues_where_it_stopped() {
    let mut stand = Stand::new("texp");
    let aggregator = stand.aggregator();
    let [a, b] = [stand.exporter(Host::NodeA, "node-a"), stand.exporter(Host::NodeB, "node-b")];
    let judge = Judge::start(&stand.lab).expect("a judge");
    let client = stand.long_connection();
    sleep(4 * SECOND);
    signal(a.id(), "KILL");
    sleep(SECOND);
    let a = stand.exporter(Host::NodeA, "node-a");
    sleep(2 * SECOND);
    let told = stand.metrics(Host::Aggregator, AGGREGATOR_ADMIN);
    let ended = ["closed", "broken", "truncated"].map(|reason| {
        let name = format!("fyke_aggregator_sessions_ended_total{{reason=\"{reason}\"}}");
        told.lines().filter_map(|line| line.strip_prefix(&name)?.trim().parse::<u64>().ok()).sum()
    });
    assert_eq!(ended.iter().sum::<u64>(), 1, "the end of the session is counted: {told}");
    assert_eq!(value(&told, "fyke_aggregator_sessions"), 2);
    let (flows, kernel) = outcome(&stand, client, judge, vec![a, b, aggregator]);
    check(&flows, &kernel);
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let mut demo = Command::new(built("fyke"))
        .args(["demo", "--prefix", "tint", "--connections", "100"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the demo starts");
    sleep(3 * SECOND);
    signal(demo.id(), "INT");
    demo.wait().expect("the demo ends");
    let namespaces = Command::new("ip").args(["netns", "list"]).output().expect("ip runs");
    let left = String::from_utf8_lossy(&namespaces.stdout);
    assert!(!left.contains("tint-"), "{left}");
}
