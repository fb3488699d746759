//! Many connections that begin at once: everyone is stored, counted by the sender, by the kernel,
//! and by the store.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs it by hand")]

#[path = "storm/sender.rs"]
mod sender; // datagrams at a pace

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, io};

use store::Reader;
use tests::binary::{built, eventually, metrics, signal, value};

/// Set inside of the namespace.
const INSIDE: &str = "FYKE_STORM";
/// What the kernel holds at most, over all namespaces.
const TABLE: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const EXPORTER_ADMIN: u16 = 8087;
const AGGREGATOR_ADMIN: u16 = 8088;

const POD: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 130);
const CLUSTER: &str = "nodes: [{name: a, podCIDRs: [10.9.0.0/25]}]\n\
    pods: [{name: p, namespace: n, node: a, addresses: [10.9.0.2]}]\n";

/// Octets of each datagram, with the headers of UDP and IP.
const OCTETS: u64 = 29;

/// A pace, and for how long it is held.
struct Storm {
    per_second: u32,
    seconds: u32,
}

impl Storm {
    const fn count(&self) -> u32 {
        self.per_second * self.seconds
    }
}

#[test]
fn twenty_thousand_new_connections_a_second() {
    blow("twenty_thousand_new_connections_a_second", &Storm { per_second: 20_000, seconds: 2 });
}

/// With the binary as it ships, which `cargo xtask soak` builds before.
#[test]
#[ignore = "takes a minute, and the kernel's table for itself"]
fn fifty_thousand_new_connections_a_second_for_ten_seconds() {
    let name = "fifty_thousand_new_connections_a_second_for_ten_seconds";
    let _room = Room::of(1_200_000);
    blow(name, &Storm { per_second: 50_000, seconds: 10 });
}

/// Starts this test again in a namespace that ends with it, and lets the storm blow there.
fn blow(test: &str, storm: &Storm) {
    if env::var_os(INSIDE).is_some() {
        return inside(storm);
    }
    let node = Namespace::up("node");
    let node = &node.0;
    let packets = "type filter hook output priority 0;";
    let drop = "type filter hook egress device v0 priority 0; policy drop;";
    // What is dropped on its way out has been confirmed by conntrack, and costs nobody any more.
    sh(&format!(
        "set -e
         ip -n {node} link add v0 type veth peer name v1
         for link in lo v0 v1; do ip -n {node} link set $link up; done
         ip -n {node} addr add {POD}/24 dev v0
         ip -n {node} neigh add {SERVER} lladdr 02:00:00:00:00:01 dev v0
         ip netns exec {node} nft 'add table netdev t; add chain netdev t out {{ {drop} }}'
         ip netns exec {node} nft 'add table ip t; add counter ip t begun; \
             add chain ip t out {{ {packets} meta l4proto udp ct state new counter name begun; }}'
         for name in acct timestamp events; do
             ip netns exec {node} sysctl -qw net.netfilter.nf_conntrack_$name=1
         done
         ip netns exec {node} sysctl -qw net.netfilter.nf_conntrack_udp_timeout=5"
    ));
    let status = Command::new("ip")
        .args(["netns", "exec", node])
        .arg(env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .status()
        .expect("ip runs");
    assert!(status.success(), "{test} failed inside of the network namespace");
}

fn inside(storm: &Storm) {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, cluster) = (folder.path().join("data"), folder.path().join("cluster.yaml"));
    fs::write(&cluster, CLUSTER).expect("a file");
    // Sessions of the pipeline itself, and questions about its metrics, are none of the storm.
    let config = folder.path().join("exporter.conf");
    fs::write(&config, "protocolFilter: [udp]\n").expect("a file");
    let aggregator = Daemon::start(
        Command::new(binary())
            .args(["aggregator", "--listen", "127.0.0.1:4739", "--inactive-timeout", "10s"])
            .arg("--data")
            .arg(&data),
    );
    let exporter = Daemon::start(
        Command::new(binary())
            .args(["exporter", "--node", "a", "--collector", "127.0.0.1:4739", "--profile", "fyke"])
            .arg("--config")
            .arg(&config)
            .arg("--cluster")
            .arg(&cluster),
    );
    let sent = sender::send(storm).expect("a network");
    let (kernel, refused) = (begun(), refused());
    assert_eq!((kernel, refused), (u64::from(sent), 0), "what the kernel has taken");
    wait_until("every end is told", EXPORTER_ADMIN, |told| {
        value(told, "fyke_exporter_connections_live") == 0
            && value(told, "fyke_exporter_connections_waiting") == 0
    });
    let told = metrics(Command::new("bash"), EXPORTER_ADMIN);
    for name in
        ["conntrack_overruns_total", "connections_vanished_total", "connections_refused_total"]
    {
        println!("{name} {}", value(&told, &format!("fyke_exporter_{name}")));
    }
    exporter.end();
    wait_until("every flow is stored", AGGREGATOR_ADMIN, |told| {
        let emitted = value(told, "fyke_aggregator_records_emitted_total");
        value(told, "fyke_aggregator_flows") == 0
            && value(told, "fyke_sink_delivered_total{sink=\"store\"}") == emitted
    });
    aggregator.end();
    let stored = Stored::read(&data);
    println!("sent {sent}, begun {kernel}, stored {stored:?}");
    let each = u64::from(sent);
    let expected = Stored { flows: each, packets: each, octets: each * OCTETS };
    assert_eq!(stored, expected, "{told}");
}

/// What is stored of the storm.
#[derive(Debug, PartialEq, Eq)]
struct Stored {
    flows: u64,
    packets: u64,
    octets: u64,
}

impl Stored {
    fn read(data: &Path) -> Self {
        let (mut flows, mut packets, mut octets) = (HashSet::new(), 0, 0);
        let visit = |row: store::Row| {
            let (key, forward) = (&row.record.key, &row.record.forward);
            if key.protocol == flow::protocol::UDP {
                flows.insert((key.source_port, key.destination_port));
                packets += forward.packets_delta;
                octets += forward.octets_delta;
            }
        };
        Reader::open(data).and_then(|store| store.rows(visit)).expect("a store");
        Self { flows: flows.len() as u64, packets, octets }
    }
}

/// Connections that began, as a rule of the kernel's packet filter counts them.
fn begun() -> u64 {
    let counter = sh("nft list counter ip t begun");
    let mut words = counter.split_whitespace().skip_while(|word| *word != "packets").skip(1);
    words.next().and_then(|number| number.parse().ok()).expect("a counter")
}

/// Connections for which the kernel had no room or no memory, over all processors.
fn refused() -> u64 {
    let table = fs::read_to_string("/proc/net/stat/nf_conntrack").expect("the kernel's counters");
    let mut lines = table.lines().map(str::split_whitespace);
    let names: Vec<_> = lines.next().expect("a head").collect();
    let counted = ["insert_failed", "drop", "early_drop"];
    lines
        .flat_map(|numbers| names.iter().zip(numbers).filter(|(name, _)| counted.contains(name)))
        .map(|(_, number)| u64::from_str_radix(number, 16).expect("a number"))
        .sum()
}

/// The binary that tests use, or the one of `cargo xtask soak`.
fn binary() -> PathBuf {
    env::var_os("FYKE_BINARY").map_or_else(|| built("fyke"), PathBuf::from)
}

struct Daemon(Child);

impl Daemon {
    fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut daemon = Self(child);
        let mut ready = [0; 6];
        let said = daemon.0.stdout.as_mut().expect("a pipe");
        io::Read::read_exact(said, &mut ready).expect("it gets ready");
        daemon
    }

    fn end(mut self) {
        signal(self.0.id(), "TERM");
        let status = self.0.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A network namespace, removed in the end.
struct Namespace(String);

impl Namespace {
    fn up(name: &str) -> Self {
        let name = format!("fyke-storm-{}-{name}", std::process::id());
        sh(&format!("ip netns add {name}"));
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "del", &self.0]).status().ok();
    }
}

/// More room in the kernel's table, until dropped.
struct Room(Option<String>);

impl Room {
    /// Only outside of namespaces is there a limit to change.
    fn of(connections: u32) -> Self {
        if env::var_os(INSIDE).is_some() {
            return Self(None);
        }
        let before = fs::read_to_string(TABLE).expect("conntrack");
        let is_less = before.trim().parse::<u32>().is_ok_and(|before| before < connections);
        if is_less {
            fs::write(TABLE, connections.to_string()).expect("root may");
        }
        Self(is_less.then_some(before))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            fs::write(TABLE, before).expect("root may");
        }
    }
}

#[track_caller]
fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output().expect("sh runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[track_caller]
fn wait_until(what: &str, port: u16, is_so: impl Fn(&str) -> bool) {
    let within = Duration::from_secs(150);
    let came = eventually(within, || is_so(&metrics(Command::new("bash"), port)));
    assert!(came, "{what}: not within {within:?}");
}
