//! A lab with one exporter, collectors on a machine outside of the cluster, and the kernel's word.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cli::demo::judge::{Judge, KernelConnection, parse_all};
use cli::demo::lab::{Family, Host, Lab, Process};
use tests::binary::{built, eventually, metrics, signal};

use super::certificates;
use super::sums::{self, Sums};
use super::traffic::{FORBIDDEN, POD, Traffic};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// Counts what it drops, by flow, and tells the exporter of it.
const DENY: &str = "\
table inet mixed {
  set tcp_4 { type inet_service; size 65535; flags dynamic; }
  set tcp_6 { type inet_service; size 65535; flags dynamic; }
  set udp_4 { type inet_service; size 65535; flags dynamic; }
  set udp_6 { type inet_service; size 65535; flags dynamic; }
  set icmp4 { typeof icmp id; size 65535; flags dynamic; }
  set icmp6 { typeof icmpv6 id; size 65535; flags dynamic; }
  chain count { type filter hook forward priority -1;
    ip daddr V4 tcp dport 8080 update @tcp_4 { tcp sport counter }
    ip6 daddr V6 tcp dport 8080 update @tcp_6 { tcp sport counter }
    ip daddr V4 udp dport 8080 update @udp_4 { udp sport counter }
    ip6 daddr V6 udp dport 8080 update @udp_6 { udp sport counter }
    ip daddr V4 icmp type echo-request update @icmp4 { icmp id counter }
    ip6 daddr V6 icmpv6 type echo-request update @icmp6 { icmpv6 id counter }
  }
  chain deny { type filter hook forward priority 0;
    ip daddr V4 log prefix \"shop/fence:egress:drop\" group 7 drop
    ip6 daddr V6 meta l4proto { tcp, udp } log prefix \"shop/fence:egress:drop\" group 7 drop
    ip6 daddr V6 icmpv6 type echo-request log prefix \"shop/fence:egress:drop\" group 7 drop
  }
}
";

const COMMON: &str = "node: node-a\nflowPollInterval: 1s\nactiveFlowExportTimeout: 1s\n\
    idleFlowExportTimeout: 1s\ndenySources: {nflog: [7]}\n";

pub(crate) struct Stand {
    pub(crate) lab: Lab,
    pub(crate) traffic: Traffic,
    is_reliable: bool,
    exporter: Option<Process>,
    judge: Option<Judge>,
    collectors: BTreeMap<&'static str, Vec<Process>>,
}

/// A destination: its name, port and transport, and what else is said of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Destination {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) transport: &'static str,
    pub(crate) more: &'static str,
}

impl Destination {
    pub(crate) const fn tcp(name: &'static str, port: u16) -> Self {
        Self { name, port, transport: "tcp", more: "profile: fyke" }
    }

    /// Where it is: gRPC's is where the exporter is.
    pub(crate) fn host(&self) -> String {
        if self.transport == "grpc" {
            return "127.0.0.1".to_owned();
        }
        FORBIDDEN.address(Family::V4).to_string()
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host(), self.port)
    }

    fn line(&self) -> String {
        let Self { name, transport, more, .. } = self;
        format!("- {{name: {name}, address: '{}:{transport}', {more}}}\n", self.address())
    }
}

impl Stand {
    /// Has everything but collectors stand and run, with the exporter told of `destinations`.
    pub(crate) fn start(prefix: &str, destinations: &[Destination], settings: &str) -> Self {
        Lab::down(prefix).expect("a clean start");
        let lab = Lab::up(prefix).expect("a lab");
        let traffic = Traffic::start(&lab);
        let (v4, v6) = (FORBIDDEN.address(Family::V4), FORBIDDEN.address(Family::V6));
        let rules = DENY.replace("V4", &v4.to_string()).replace("V6", &v6.to_string());
        let stand = Self {
            lab,
            traffic,
            is_reliable: settings.contains("reliable"),
            exporter: None,
            judge: None,
            collectors: BTreeMap::new(),
        };
        fs::write(stand.path("rules.nft"), rules).expect("a file");
        let rules = stand.path("rules.nft").display().to_string();
        stand.run(Host::NodeA, &["nft", "-f", &rules]);
        // Anybody may ping (icmp(7)).
        stand.run(POD, &["sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"]);
        certificates::write(stand.lab.directory());
        stand.configure(destinations, settings);
        stand
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.lab.directory().join(name)
    }

    /// Runs a program to its end, and returns what it prints.
    #[track_caller]
    pub(crate) fn run(&self, host: Host, words: &[&str]) -> String {
        let output = self.lab.command(host, words[0]).args(&words[1..]).output().expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {errors}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Says what the exporter's file says from now on.
    pub(crate) fn configure(&self, destinations: &[Destination], settings: &str) {
        let cluster = self.lab.cluster_file().display().to_string();
        let listed: String = destinations.iter().map(Destination::line).collect();
        let text = format!("{COMMON}clusterFile: {cluster}\n{settings}destinations:\n{listed}");
        // It is replaced at once, as the exporter may read it at any time.
        fs::write(self.path("new.conf"), text).expect("a file");
        fs::rename(self.path("new.conf"), self.path("own.conf")).expect("a file");
    }

    pub(crate) fn reload(&self) {
        signal(self.exporter().id(), "HUP");
    }

    /// Starts the exporter, and the kernel's own account.
    pub(crate) fn begin(&mut self) {
        let mut command = self.lab.command(Host::NodeA, built("fyke"));
        command.args(["exporter", "--config", "own.conf"]).current_dir(self.lab.directory());
        let mut exporter = self.lab.spawn("exporter", &mut command).expect("it starts");
        exporter.wait_until_ready(10 * SECOND).expect("it gets ready");
        self.exporter = Some(exporter);
        self.judge = Some(Judge::start(&self.lab).expect("a judge"));
    }

    pub(crate) fn exporter(&self) -> &Process {
        self.exporter.as_ref().expect("it has begun")
    }

    pub(crate) fn log(&self) -> String {
        self.exporter().log().expect("a log")
    }

    /// Starts the collector of a destination; a second one goes on where the first ended.
    pub(crate) fn collector(&mut self, destination: &Destination) {
        let mut command = self.lab.command(FORBIDDEN, built("fyke"));
        command.args(["ipfix", "collect", &destination.address(), "--json"]);
        command.args(["--transport", destination.transport]).current_dir(self.lab.directory());
        if destination.transport == "tls" {
            command.args(["--cert", "collector.test.pem", "--key", "collector.test.key"]);
            command.args(["--client-ca", "ca.pem"]);
        }
        self.spawn(destination.name, &mut command, "listening");
    }

    /// Starts a collector that says `ready` in its output or its log when it is. Returns its id.
    pub(crate) fn spawn(&mut self, name: &'static str, command: &mut Command, ready: &str) -> u32 {
        let earlier = self.collectors.entry(name).or_default();
        let unique = format!("{name}-{}", earlier.len());
        let mut process = self.lab.spawn(&unique, command).expect("a collector starts");
        let says = |text: std::io::Result<String>| text.is_ok_and(|text| text.contains(ready));
        let listening = |process: &Process| says(process.log()) || says(process.output());
        process.wait_for("listen", 10 * SECOND, listening).expect("it listens");
        let id = process.id();
        earlier.push(process);
        id
    }

    /// Ends a collector at once.
    pub(crate) fn kill(&mut self, name: &str) {
        let process = self.collectors.get_mut(name).and_then(|all| all.last_mut());
        let process = process.expect("it was started");
        signal(process.id(), "KILL");
        let ended = eventually(PATIENCE, || process.try_wait().expect("its end").is_some());
        assert!(ended, "{name} outlives SIGKILL");
    }

    /// All that the collectors of a destination have printed.
    pub(crate) fn received(&self, name: &str) -> String {
        let all = &self.collectors[name];
        all.iter().map(|process| process.output().expect("UTF-8")).collect()
    }

    /// What the last collector of a destination says of itself.
    pub(crate) fn collectors_log(&self, name: &str) -> String {
        self.collectors[name].last().expect("it was started").log().expect("a log")
    }

    /// What a destination of ours was told.
    pub(crate) fn told(&self, name: &str) -> Sums {
        sums::of_records(&self.received(name))
    }

    pub(crate) fn metrics(&self) -> String {
        metrics(self.lab.command(Host::NodeA, "bash"), 8087)
    }

    /// Waits until a destination was told all that is expected.
    #[track_caller]
    pub(crate) fn assert_told(&self, name: &str, read: impl Fn(&str) -> Sums, expected: &Sums) {
        // Whoever reads it may be behind what the exporter has sent.
        eventually(10 * SECOND, || read(&self.received(name)) == *expected);
        sums::assert_same(name, &read(&self.received(name)), expected);
    }

    /// Has the kernel remember flows without a connection for longer than a test goes on.
    pub(crate) fn remember(&self) {
        let names = ["udp_timeout", "udp_timeout_stream", "icmp_timeout", "icmpv6_timeout"];
        for name in names {
            self.run(
                Host::NodeA,
                &["sysctl", "-qw", &format!("net.netfilter.nf_conntrack_{name}=300")],
            );
        }
    }

    /// Zeroes the kernel's counters.
    pub(crate) fn zero(&self) {
        for family in ["ipv4", "ipv6"] {
            self.run(Host::NodeA, &["conntrack", "-L", "-z", "-f", family]);
        }
    }

    /// Has the kernel forget them.
    pub(crate) fn forget(&self) {
        for protocol in [["ipv4", "udp"], ["ipv4", "icmp"], ["ipv6", "udp"], ["ipv6", "icmpv6"]] {
            let [family, protocol] = protocol;
            self.run(Host::NodeA, &["conntrack", "-D", "-f", family, "-p", protocol]);
        }
    }

    /// Waits until something is so, and says what was waited for if it never is.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is_so: impl FnMut() -> bool) {
        assert!(eventually(PATIENCE, is_so), "in vain for {what}: {}", self.log());
    }

    /// Waits until the metrics have a line.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, line: &str) {
        self.wait(line, || self.metrics().lines().any(|it| it == line));
    }

    /// What the kernel of the Pod's Node says of connections that are alive.
    pub(crate) fn alive(&self) -> Sums {
        let list = |family| self.run(Host::NodeA, &["conntrack", "-L", "-f", family, "-o", "id"]);
        let text = list("ipv4") + &list("ipv6");
        let all = parse_all("node-a", &text).expect("conntrack's format");
        sums::of_kernel(&all, "node-a", pod())
    }

    /// Waits until a destination knows of all flows that are alive what the kernel knows.
    #[track_caller]
    pub(crate) fn wait_until_level(&self, name: &str, least: usize) {
        let mut missing = String::new();
        let is_level = || {
            let (told, alive) = (self.told(name), self.alive());
            let told = told.into_iter().filter(|(key, _)| alive.contains_key(key)).collect();
            missing = format!("{:#?}", sums::differences(&told, &alive));
            missing == "[]" && alive.len() >= least
        };
        let came = eventually(PATIENCE, is_level);
        assert!(came, "{name} does not catch up: {missing:.2000}\n{}", self.log());
    }

    /// Waits until the kernel has forgotten all flows, and returns what it has counted of those
    /// that it had let pass.
    pub(crate) fn wait_for_the_end(&mut self) -> Sums {
        Judge::wait_for_the_end(&self.lab, PATIENCE, || Ok(())).expect("the kernel forgets");
        let judge = self.judge.take().expect("it has begun");
        let mut told: Vec<KernelConnection> = judge.finish(None).expect("its word");
        if self.is_reliable {
            // An event that could not be delivered to everybody is repeated to all.
            let mut seen = HashSet::new();
            told.retain(|it| seen.insert((it.node, it.id, it.original, it.totals.octets)));
        }
        sums::of_kernel(&told, "node-a", pod())
    }

    /// What nft has counted of those that were denied.
    pub(crate) fn denied(&self) -> Sums {
        let json = self.run(Host::NodeA, &["nft", "-j", "list", "table", "inet", "mixed"]);
        sums::of_sets(&json, pod(), both(FORBIDDEN))
    }

    /// Ends the exporter, which must have told everything, and waits until everything is read.
    pub(crate) fn finish(&mut self) {
        let mut exporter = self.exporter.take().expect("it has begun");
        let status = exporter.terminate(5 * SECOND).expect("it ends");
        let log = exporter.log().expect("a log");
        assert!(status.success() && log.contains("everything is flushed"), "{log}");
    }
}

/// The Pod's addresses.
pub(crate) fn pod() -> [IpAddr; 2] {
    both(POD)
}

fn both(host: Host) -> [IpAddr; 2] {
    Family::ALL.map(|family| host.address(family))
}
