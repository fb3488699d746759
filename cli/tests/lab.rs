//! The demo's lab and its judge on a real kernel, without any part of Fyke to be judged.
//!
//! What the demo takes for granted when it blames Fyke is checked here: that every
//! scenario's traffic gets through, that the kernel sees each connection once per Node
//! it crosses, that both Nodes' halves find each other, and that nothing is left behind.
//!
//! Takes root and the programs of `cli::demo::requirements`; without them it fails and
//! says what is missing.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use cli::demo::judge::{self, FlowType, Judge};
use cli::demo::lab::{Host, Lab};
use cli::demo::requirements;
use cli::demo::traffic::{self, Plan, Traffic};

const FYKE: &str = env!("CARGO_BIN_EXE_fyke");

/// Tests run at the same time, also those of another checkout: each has a lab of its own.
fn prefix(letter: char) -> String {
    format!("{letter}{}", std::process::id() % 10_000_000)
}

#[track_caller]
fn assert_able() {
    let missing: Vec<String> = requirements::missing().iter().map(ToString::to_string).collect();
    assert!(missing.is_empty(), "this test needs {}", missing.join("; "));
}

fn exists(prefix: &str) -> bool {
    Host::ALL.iter().any(|host| Path::new(&format!("/run/netns/{prefix}-{}", host.name())).exists())
}

/// Drives `connections` short connections and all else, and returns what must be found.
fn drive(prefix: &str, connections: usize) -> Vec<cli::demo::check::ExpectedFlow> {
    let started = Instant::now();
    let lap = |what: &str| eprintln!("{:6.2} s: {what}", started.elapsed().as_secs_f64());
    let lab = Lab::up(prefix).unwrap();
    lap("lab is up");
    let fyke = Path::new(FYKE);
    let plan = Plan::new(connections).unwrap();
    let _servers = traffic::start_servers(&lab, fyke).unwrap();
    let judge = Judge::start(&lab).unwrap();
    lap("servers and judge are ready");
    let mut traffic = Traffic::start(&lab, fyke, &plan).unwrap();
    while !traffic.is_done().unwrap() {
        sleep(Duration::from_millis(50));
    }
    lap("traffic is through");
    Judge::wait_for_the_end(&lab, Duration::from_secs(15), || Ok(())).unwrap();
    lap("connections are forgotten");
    let connections = judge.finish(None).unwrap();
    let expected = plan.expect(judge::flows(&connections).unwrap()).unwrap();
    assert_eq!(expected.len(), plan.flows());
    drop(lab);
    lap("lab is down");
    assert!(!exists(prefix), "namespaces are left");
    assert!(!Path::new("/run/fyke-demo").join(prefix).exists(), "files are left");
    expected
}

#[test]
fn the_kernel_sees_every_connection_on_every_node_it_crosses() {
    assert_able();
    for flow in drive(&prefix('a'), 200) {
        let kernel = &flow.kernel;
        let nodes = [kernel.source_side.node, kernel.destination_side.node];
        let name = &flow.scenario;
        match kernel.flow_type {
            FlowType::InterNode => {
                assert_eq!(nodes, [flow.source.node, flow.destination.node], "{name}");
            }
            FlowType::FromExternal => assert_eq!(nodes[1], flow.destination.node, "{name}"),
            _ => assert_eq!(nodes, [flow.source.node; 2], "{name}"),
        }
        let [source, destination] = [kernel.source_side.totals, kernel.destination_side.totals];
        assert_eq!(source, destination, "{name}: a packet was lost between the Nodes");
        assert!(source.octets > 0 && source.reverse_octets > 0, "{name}");
    }
}

#[test]
fn ten_thousand_short_connections_are_all_seen() {
    assert_able();
    let expected = drive(&prefix('b'), 10_000);
    let short = expected.iter().filter(|flow| flow.scenario.starts_with("short tcp"));
    assert_eq!(short.count(), 10_000);
}

#[test]
fn what_a_killed_demo_left_is_removed_and_nothing_else() {
    assert_able();
    let prefix = prefix('c');
    let lab = Lab::up(&prefix).unwrap();
    let mut sleeper = lab.spawn("sleeper", lab.command(Host::PodA1, "sleep").arg("60")).unwrap();
    // Not started by the lab, although it runs in one of its namespaces.
    let mut guest = lab.command(Host::PodA1, "sleep").arg("60").spawn().unwrap();
    lab.leave();
    assert!(exists(&prefix));
    Lab::up(&prefix).unwrap_err();

    let removed = Lab::down(&prefix).unwrap();
    assert_eq!((removed.namespaces, removed.processes), (Host::ALL.len(), 1));
    assert!(!exists(&prefix));
    assert!(sleeper.try_wait().unwrap().is_some(), "the lab's own process still runs");
    assert!(guest.try_wait().unwrap().is_none(), "somebody else's process was ended");
    guest.kill().unwrap();
    guest.wait().unwrap();
    assert_eq!(Lab::down(&prefix).unwrap().namespaces, 0, "down may be repeated");
}

#[test]
fn every_path_of_the_lab_answers() {
    assert_able();
    let lab = Lab::up(&prefix('d')).unwrap();
    for to in
        ["10.10.0.3", "10.10.1.2", "192.168.77.100", "fd00:10::3", "fd00:10:1::2", "fd00:77::100"]
    {
        let status = ping(&mut lab.command(Host::PodA1, "ping"), to);
        assert!(status, "{to} does not answer");
    }
    let aggregator = Host::Aggregator.address(cli::demo::lab::Family::V4).to_string();
    assert!(ping(&mut lab.command(Host::NodeB, "ping"), &aggregator));
}

fn ping(command: &mut Command, to: &str) -> bool {
    command.args(["-c", "1", "-W", "2", "-q", to]).status().unwrap().success()
}
