//! Several destinations at once: one that stalls, dies and comes back, and one that comes and goes.
//! What each has been told adds up to what the kernel itself says when connections end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tests::binary::{built, eventually, metrics, signal};

const PATIENCE: Duration = Duration::from_secs(20);

/// A network namespace with a Pod's address, in which connections are tracked, counted, and over
/// soon.
const POD: &str = "set -e; ip link set lo up; ip address add 10.0.0.2/32 dev lo; \
    nft 'add table ip t; add chain ip t out { type filter hook output priority 0; }; \
    add rule ip t out ct state invalid drop'; cd /proc/sys/net/netfilter; \
    echo 1 > nf_conntrack_acct; echo 1 > nf_conntrack_timestamp; \
    echo 3 > nf_conntrack_udp_timeout; cd \"$OLDPWD\"; exec \"$@\"";

const CLUSTER: &str = "nodes: [{name: a, podCIDRs: [10.0.0.0/24]}]\n\
    pods: [{name: p, namespace: n, node: a, addresses: [10.0.0.2]}]\n";

const TWO: &str = "node: a\nclusterFile: cluster.yaml\nflowCollectorAddr: 127.0.0.1:4739:tcp\n\
    flowPollInterval: 1s\nactiveFlowExportTimeout: 1s\nidleFlowExportTimeout: 1s\n\
    destinations:\n- {name: second, address: '127.0.0.1:4740:tcp', profile: fyke}\n";
const THIRD: &str = "- name: third\n  address: 127.0.0.1:4741:tcp\n  activeFlowExportTimeout: 2s\n  \
    filter: {ports: [5005, 5006]}\n  redact: [sourcePodName]\n";

/// Source and destination port, with packets and octets.
type Sums = BTreeMap<(u64, u64), (u64, u64)>;

struct Lab {
    folder: TempDir,
    exporter: Child,
    kernel: Child,
}

impl Lab {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("cluster.yaml"), CLUSTER).expect("a file");
        fs::write(folder.path().join("own.conf"), TWO).expect("a file");
        let create = |name: &str| File::create(folder.path().join(name)).expect("a file");
        let mut command = Command::new("unshare");
        command.args(["--net", "bash", "-c", POD, "bash"]).arg(built("fyke")).arg("exporter");
        command.args(["--config", "own.conf"]).current_dir(folder.path());
        command.stdout(Stdio::piped()).stderr(create("log"));
        let mut exporter = command.spawn().expect("the exporter starts");
        let mut ready = [0; 6];
        let told = exporter.stdout.as_mut().expect("a pipe").read_exact(&mut ready);
        assert!(told.is_ok(), "{:?}", fs::read_to_string(folder.path().join("log")));
        let mut listen = inside(exporter.id());
        listen.args(["stdbuf", "-oL", "conntrack", "-E", "-e", "NEW,DESTROY", "-p", "udp"]);
        listen.stdout(create("kernel")).stderr(Stdio::null());
        let kernel = listen.spawn().expect("conntrack runs");
        let lab = Self { folder, exporter, kernel };
        // Until the kernel's own events are heard nothing may happen that counts.
        let is_heard = || {
            lab.traffic(4999);
            lab.read("kernel").contains("dport=4999")
        };
        assert!(eventually(PATIENCE, is_heard), "conntrack hears nothing");
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Has the Pod send to one of its own ports.
    fn traffic(&self, port: u16) {
        let script = format!("echo hello > /dev/udp/10.0.0.2/{port}");
        let mut command = inside(self.exporter.id());
        assert!(command.args(["bash", "-c", &script]).status().expect("bash").success());
    }

    fn reload(&self, text: &str) {
        fs::write(self.path("own.conf"), text).expect("a file");
        signal(self.exporter.id(), "HUP");
    }

    fn collector(&self, port: u16) -> Child {
        let mut command = inside(self.exporter.id());
        let address = format!("127.0.0.1:{port}");
        command.arg(built("fyke")).args(["ipfix", "collect", &address, "--json"]);
        let records = File::options().append(true).create(true).open(self.path(&port.to_string()));
        command.stdout(records.expect("a file")).stderr(Stdio::piped());
        let mut process = command.spawn().expect("a collector starts");
        let mut line = String::new();
        let told = BufReader::new(process.stderr.as_mut().expect("a pipe")).read_line(&mut line);
        assert!(told.is_ok() && line.starts_with("listening"), "{line}");
        process
    }

    fn has(&self, collector: u16, port: u16) -> bool {
        let is_it = |(_, told): &(u64, u64)| *told == u64::from(port);
        self.told(collector).keys().any(is_it)
    }

    #[track_caller]
    fn wait_for(&self, collector: u16, port: u16) {
        let received = eventually(PATIENCE, || self.has(collector, port));
        let told = self.read(&collector.to_string());
        assert!(received, "{port} at {collector}: {told}\n{}", self.read("log"));
    }

    /// The sums of all deltas that a collector has been told.
    fn told(&self, collector: u16) -> Sums {
        let mut sums = Sums::new();
        for line in self.read(&collector.to_string()).lines() {
            let number = |key: &str| {
                let value = line.split_once(&format!("\"{key}\":"))?.1;
                value.split([',', '}']).next()?.parse::<u64>().ok()
            };
            let ports = number("sourceTransportPort").zip(number("destinationTransportPort"));
            let counts = number("packetDeltaCount").zip(number("octetDeltaCount"));
            if let (Some(ports), Some((packets, octets))) = (ports, counts) {
                let sum = sums.entry(ports).or_default();
                *sum = (sum.0 + packets, sum.1 + octets);
            }
        }
        sums
    }

    /// What the kernel says of connections that are over, by `conntrack -E`.
    fn destroyed(&self) -> Sums {
        let kernel = self.read("kernel");
        let ends = kernel.lines().filter(|line| line.contains("[DESTROY]"));
        let number = |line: &str, key: &str| -> Option<u64> {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(key))?;
            word.parse().ok()
        };
        let sum = |line: &str| {
            let ports = (number(line, "sport=")?, number(line, "dport=")?);
            Some((ports, (number(line, "packets=")?, number(line, "bytes=")?)))
        };
        ends.filter_map(sum).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for process in [&mut self.exporter, &mut self.kernel] {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// What runs where the exporter does.
fn inside(exporter: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &exporter.to_string(), "--net", "--"]);
    command
}

fn end(mut process: Child) {
    process.kill().expect("it runs");
    process.wait().expect("it has run");
}

#[test]
fn each_destination_is_told_what_the_kernel_says_whatever_becomes_of_the_others() {
    let mut lab = Lab::start();
    let (first, second) = (lab.collector(4739), lab.collector(4740));
    lab.traffic(5001);
    lab.wait_for(4739, 5001);
    lab.wait_for(4740, 5001);

    // One stalls, which the other does not notice.
    signal(second.id(), "STOP");
    lab.traffic(5002);
    lab.wait_for(4739, 5002);
    assert!(!lab.has(4740, 5002), "it is stopped");
    signal(second.id(), "CONT");
    lab.wait_for(4740, 5002);

    // It dies with everything told, and is away for a while.
    end(second);
    lab.traffic(5003);
    lab.wait_for(4739, 5003);
    let third = lab.collector(4741);
    lab.reload(&format!("{TWO}{THIRD}"));
    assert!(
        eventually(PATIENCE, || lab
            .read("log")
            .contains("destination is added destination=\"third\"")
            || lab.read("log").matches("session opened").count() >= 3),
        "{}",
        lab.read("log")
    );
    lab.traffic(5004);
    lab.traffic(5005);
    lab.wait_for(4739, 5004);
    lab.wait_for(4741, 5005);
    let second = lab.collector(4740);
    lab.wait_for(4740, 5003);
    lab.wait_for(4740, 5005);

    lab.reload(TWO);
    let bash = || {
        let mut command = inside(lab.exporter.id());
        command.arg("bash");
        command
    };
    let is_gone = || !metrics(bash(), 8087).contains("destination=\"third\"");
    assert!(eventually(PATIENCE, is_gone), "{}", lab.read("log"));
    lab.traffic(5006);
    lab.wait_for(4739, 5006);
    lab.wait_for(4740, 5006);
    let are_over = || lab.destroyed().keys().filter(|(_, port)| *port > 5000).count() == 6;
    assert!(eventually(PATIENCE, are_over), "{}", lab.read("kernel"));

    signal(lab.exporter.id(), "TERM");
    let ended = lab.exporter.wait().expect("it ends");
    assert!(ended.success(), "{}", lab.read("log"));
    let of = |wanted: &dyn Fn(u64) -> bool, sums: Sums| -> Sums {
        sums.into_iter().filter(|((_, port), _)| wanted(*port)).collect()
    };
    let all = of(&|port| port > 5000, lab.destroyed());
    assert_eq!(of(&|port| port > 5000, lab.told(4739)), all, "{}", lab.read("log"));
    assert_eq!(of(&|port| port > 5000, lab.told(4740)), all, "{}", lab.read("log"));
    assert_eq!(lab.told(4741), of(&|port| port == 5005, lab.destroyed()));
    assert!(
        lab.read("4741").contains("\"sourcePodName\":\"\"")
            && lab.read("4739").contains("\"sourcePodName\":\"p\"")
    );
    [first, second, third].into_iter().for_each(end);
}
