//! A part of the pipeline is killed and starts again: the others carry on, surviving flows end
//! with the kernel's totals, and nothing is counted twice.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use cli::demo::check::{SeenFlow, SideTotals};
use cli::demo::judge::{Judge, KernelConnection};
use cli::demo::lab::{Family, Host, Lab, Process};
use tests::binary::{built, eventually, metrics, signal, sum, value};

const SECOND: Duration = Duration::from_secs(1);
const AGGREGATOR_ADMIN: u16 = 8088;
const EXPORTER_ADMIN: u16 = 8087;

/// What is to happen soon and has not after this will not happen any more.
const SOON: Duration = Duration::from_secs(10);

/// Longer than a connection of these tests goes on without a pause.
const LONG: &str = "8s";

/// Shorter than the silence of a quiet connection.
const SHORT: &str = "3s";

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

    fn aggregator(&mut self, inactive_timeout: &str) -> Process {
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
            inactive_timeout,
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
        self.connection(&["--rounds", "40", "--pause", "200", "--up", "1000", "--down", "3000"])
    }

    /// One connection across Nodes with a request, a long silence, and another request.
    fn quiet_connection(&mut self) -> Process {
        self.connection(&["--rounds", "2", "--pause", "14000", "--up", "10000", "--down", "10000"])
    }

    fn connection(&mut self, traffic: &[&str]) -> Process {
        let server = format!("{}:8080", Host::PodB1.address(Family::V4));
        self.start("server", Host::PodB1, &["demo-traffic", "tcp-server", &server]);
        let mut client = self.lab.command(Host::PodA1, built("fyke"));
        client.args(["demo-traffic", "tcp-client", &server]).args(traffic);
        self.lab.spawn("client", &mut client).expect("the client starts")
    }

    /// Waits until the metrics of a daemon say so, and returns them.
    #[track_caller]
    fn wait_for(&self, what: &str, host: Host, port: u16, is_so: impl Fn(&str) -> bool) -> String {
        let mut told = String::new();
        let came = eventually(SOON, || {
            told = metrics(self.lab.command(host, "bash"), port);
            is_so(&told)
        });
        assert!(came, "{what}: not within {SOON:?}: {told}");
        told
    }

    #[track_caller]
    fn wait_for_aggregator(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        self.wait_for(what, Host::Aggregator, AGGREGATOR_ADMIN, is_so)
    }

    #[track_caller]
    fn wait_for_exporters(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        for host in [Host::NodeA, Host::NodeB] {
            self.wait_for(what, host, EXPORTER_ADMIN, &is_so);
        }
    }

    /// Waits until the first request of a quiet connection has been told, and then until an
    /// aggregator with the timeout [`SHORT`] believes that nobody reports it any more.
    #[track_caller]
    fn wait_for_silence(&self) {
        self.wait_for_aggregator("the flow is told", |told| {
            value(told, "fyke_aggregator_flows_joined_total") == 1
        });
        sleep(6 * SECOND);
    }

    #[track_caller]
    fn wait_for_sessions(&self) {
        self.wait_for_aggregator("both exporters are there", |told| {
            value(told, "fyke_aggregator_sessions") == 2
        });
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
    let ended = eventually(30 * SECOND, || is_over(&mut client));
    assert!(ended, "the client goes on");
    let status = client.try_wait().expect("the client can be waited for").expect("its end");
    assert!(status.success(), "the client failed: {}", client.last_words());
    Judge::wait_for_the_end(&stand.lab, 15 * SECOND, || Ok(())).expect("the kernel forgets");
    sleep(2 * SECOND); // exporters and aggregator look once a second
    for process in processes {
        process.stop(3 * SECOND).expect("it ends well within three seconds");
    }
    let flows = cli::seen::seen(&stand.data()).expect("the store can be read");
    (flows, judge.finish(None).expect("the kernel's word"))
}

fn is_over(process: &mut Process) -> bool {
    process.try_wait().expect("it can be waited for").is_some()
}

/// There must be one flow, with the kernel's numbers on each side, and more than `least` octets
/// must have come back.
#[track_caller]
fn check(flows: &[SeenFlow], kernel: &[KernelConnection], least: u64) {
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
        assert!(connection.totals.reverse_octets > least, "{connection:?}");
    }
    let source = flow.from_source.as_ref().expect("what the source's Node told");
    assert_eq!((&*source.node, source.totals), ("node-a", flow.totals), "the flow's own numbers");
}

#[test]
fn a_killed_aggregator_continues_where_it_stopped() {
    let mut stand = Stand::new("tagg");
    let aggregator = stand.aggregator(LONG);
    let exporters = [stand.exporter(Host::NodeA, "node-a"), stand.exporter(Host::NodeB, "node-b")];
    let judge = Judge::start(&stand.lab).expect("a judge");
    let client = stand.long_connection();
    sleep(4 * SECOND);
    signal(aggregator.id(), "KILL");
    stand.wait_for_exporters("the session's end is counted", |told| {
        value(told, "fyke_exporter_sessions_lost_total{destination=\"static\"}") > 0
            && value(told, "fyke_exporter_connect_failures_total{destination=\"static\"}") > 0
    });
    let aggregator = stand.aggregator(LONG);
    stand.wait_for_exporters("there is a session again", |told| {
        value(told, "fyke_exporter_sessions_total{destination=\"static\"}") > 1
            && value(told, "fyke_exporter_connected{destination=\"static\"}") == 1
    });
    stand.wait_for_sessions();
    let told = stand.wait_for_aggregator("both Nodes speak of the flow again", |told| {
        value(told, "fyke_aggregator_flows_joined_total") == 1
    });
    assert_eq!(value(&told, "fyke_aggregator_flows_resumed_total"), 1, "one flow, not two halves");
    let processes = exporters.into_iter().chain([aggregator]).collect();
    let (flows, kernel) = outcome(&stand, client, judge, processes);
    check(&flows, &kernel, 40 * 3000);
    assert!(flows[0].records > 3, "it was told before and after: {flows:#?}");
}

#[test]
fn a_killed_exporter_continues_where_it_stopped() {
    let mut stand = Stand::new("texp");
    let aggregator = stand.aggregator(LONG);
    let [a, b] = [stand.exporter(Host::NodeA, "node-a"), stand.exporter(Host::NodeB, "node-b")];
    let judge = Judge::start(&stand.lab).expect("a judge");
    let client = stand.long_connection();
    sleep(4 * SECOND);
    signal(a.id(), "KILL");
    stand.wait_for_aggregator("the session's end is counted", |told| {
        sum(told, "fyke_aggregator_sessions_ended_total") == 1
    });
    let a = stand.exporter(Host::NodeA, "node-a");
    stand.wait_for_sessions();
    let (flows, kernel) = outcome(&stand, client, judge, vec![a, b, aggregator]);
    check(&flows, &kernel, 40 * 3000);
}

#[test]
fn a_connection_that_was_silent_when_its_exporter_was_killed_is_counted_once() {
    let mut stand = Stand::new("tqexp");
    let aggregator = stand.aggregator(SHORT);
    let [a, b] = [stand.exporter(Host::NodeA, "node-a"), stand.exporter(Host::NodeB, "node-b")];
    let judge = Judge::start(&stand.lab).expect("a judge");
    let mut client = stand.quiet_connection();
    stand.wait_for_silence();
    signal(a.id(), "KILL");
    let a = stand.exporter(Host::NodeA, "node-a");
    stand.wait_for_sessions();
    assert!(!is_over(&mut client), "the silence was too short");
    let (flows, kernel) = outcome(&stand, client, judge, vec![a, b, aggregator]);
    check(&flows, &kernel, 2 * 10_000);
}

#[test]
fn a_connection_that_was_silent_when_the_aggregator_was_killed_is_counted_once() {
    let mut stand = Stand::new("tqagg");
    let aggregator = stand.aggregator(SHORT);
    let [a, b] = [stand.exporter(Host::NodeA, "node-a"), stand.exporter(Host::NodeB, "node-b")];
    let judge = Judge::start(&stand.lab).expect("a judge");
    let mut client = stand.quiet_connection();
    stand.wait_for_silence();
    signal(aggregator.id(), "KILL");
    let aggregator = stand.aggregator(SHORT);
    stand.wait_for_sessions();
    assert!(!is_over(&mut client), "the silence was too short");
    let (flows, kernel) = outcome(&stand, client, judge, vec![a, b, aggregator]);
    check(&flows, &kernel, 2 * 10_000);
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    Lab::down("tint").expect("a clean start");
    let demo = Command::new(built("fyke"))
        .args(["demo", "--prefix", "tint", "--connections", "100"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the demo starts");
    let stands = eventually(SOON, || namespaces("tint").len() == Host::ALL.len());
    signal(demo.id(), "INT");
    let Output { status, stderr, .. } = end_of(demo, 15 * SECOND);
    let errors = String::from_utf8_lossy(&stderr);
    assert!(stands, "there was nothing to leave behind: {errors}");
    assert_eq!((status.code(), &*errors), (Some(1), "fyke: interrupted\n"));
    assert_eq!(namespaces("tint"), [""; 0]);
}

/// The network namespaces of the lab named `prefix`.
fn namespaces(prefix: &str) -> Vec<String> {
    let listed = Command::new("ip").args(["netns", "list"]).output().expect("ip runs");
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    // Some are followed by an id.
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    let ours = names.filter(|name| name.starts_with(&format!("{prefix}-")));
    ours.map(str::to_owned).collect()
}

/// What `process` said at its end, which must come `within` that time.
fn end_of(mut process: Child, within: Duration) -> Output {
    let ended = eventually(within, || process.try_wait().expect("it can be waited for").is_some());
    if !ended {
        // Asked for the second time, it cannot refuse: nothing shall outlive the test.
        process.kill().expect("it can be killed");
    }
    let output = process.wait_with_output().expect("its end");
    assert!(ended, "it did not end within {within:?}: {output:?}");
    output
}
