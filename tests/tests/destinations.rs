//! Several destinations at once: one that stalls, dies and comes back, and one that comes and goes.
//! What each has been told adds up to what the kernel itself says when connections end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::Duration;

use tests::alone::Alone;
use tests::binary::{eventually, metrics, signal};

const PATIENCE: Duration = Duration::from_secs(20);

const TWO: &str = "node: a\nclusterFile: cluster.yaml\nflowCollectorAddr: 127.0.0.1:4739:tcp\n\
    flowPollInterval: 1s\nactiveFlowExportTimeout: 1s\nidleFlowExportTimeout: 1s\n\
    destinations:\n- {name: second, address: '127.0.0.1:4740:tcp', profile: fyke}\n";
const THIRD: &str = "- name: third\n  address: 127.0.0.1:4741:tcp\n  activeFlowExportTimeout: 2s\n  \
    filter: {ports: [5005, 5006]}\n  redact: [sourcePodName]\n";

/// Source and destination port, with packets and octets.
type Sums = BTreeMap<(u64, u64), (u64, u64)>;

struct Lab {
    alone: Alone,
    kernel: Child,
}

impl Lab {
    fn start() -> Self {
        let alone = Alone::start(TWO, 3);
        let mut listen = alone.inside();
        listen.args(["stdbuf", "-oL", "conntrack", "-E", "-e", "NEW,DESTROY", "-p", "udp"]);
        let told = File::create(alone.path("kernel")).expect("a file");
        listen.stdout(told).stderr(Stdio::null());
        let kernel = listen.spawn().expect("conntrack runs");
        let lab = Self { alone, kernel };
        // Until the kernel's own events are heard nothing may happen that counts.
        let is_heard = || {
            lab.traffic(4999);
            lab.read("kernel").contains("dport=4999")
        };
        assert!(eventually(PATIENCE, is_heard), "conntrack hears nothing");
        lab
    }

    fn read(&self, name: &str) -> String {
        self.alone.read(name)
    }

    /// Has the Pod send to one of its own ports.
    fn traffic(&self, port: u16) {
        let script = format!("echo hello > /dev/udp/10.0.0.2/{port}");
        let mut command = self.alone.inside();
        assert!(command.args(["bash", "-c", &script]).status().expect("bash").success());
    }

    fn reload(&self, text: &str) {
        fs::write(self.alone.path("own.conf"), text).expect("a file");
        signal(self.alone.exporter.id(), "HUP");
    }

    fn collector(&self, port: u16) -> Child {
        let path = self.alone.path(&port.to_string());
        let records = File::options().append(true).create(true).open(path);
        self.alone.collector(port, records.expect("a file"))
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
        self.kernel.kill().ok();
        self.kernel.wait().ok();
    }
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
        let mut command = lab.alone.inside();
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

    signal(lab.alone.exporter.id(), "TERM");
    let ended = lab.alone.exporter.wait().expect("it ends");
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
