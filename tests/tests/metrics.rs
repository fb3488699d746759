//! What an exporter says of itself, read by a foreign parser and compared with what the kernel and
//! collectors say.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tests::alone::Alone;
use tests::binary::{built, eventually, metrics, signal};

const PATIENCE: Duration = Duration::from_secs(20);

/// One that is there, one that is away, and one that wants little.
const THREE: &str = "node: a\nclusterFile: cluster.yaml\nflowCollectorAddr: 127.0.0.1:4739:tcp\n\
    flowPollInterval: 1s\nactiveFlowExportTimeout: 1s\nidleFlowExportTimeout: 1s\n\
    destinations:\n- {name: away, address: '127.0.0.1:4740:tcp'}\n\
    - {name: little, address: '127.0.0.1:4739:tcp', filter: {ports: [5001]}}\n";

/// Reads `OpenMetrics` text strictly, and writes each sample: name, labels, value.
const FOREIGN: &str = "import sys\n\
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
    for family in read(sys.stdin.read()):\n \
    for s in family.samples:\n  \
    print(s.name, family.type, s.labels.get('destination', s.labels.get('le', '-')), s.value)\n";

struct Lab {
    alone: Alone,
    collector: Child,
}

impl Lab {
    fn start() -> Self {
        let alone = Alone::start(THREE, 180);
        let collector = alone.collector(4739, Stdio::null());
        Self { alone, collector }
    }

    fn bash(&self, script: &str) -> String {
        let output = self.alone.inside().args(["bash", "-c", script]).output();
        String::from_utf8(output.expect("bash runs").stdout).expect("UTF-8")
    }

    /// All samples by name and destination, as a foreign parser reads them.
    fn samples(&self) -> BTreeMap<(String, String), (String, f64)> {
        let mut bash = self.alone.inside();
        bash.arg("bash");
        let answer = metrics(bash, 8087);
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("application/openmetrics-text"), "{head}");
        let file = self.alone.path("metrics");
        fs::write(&file, body).expect("a file");
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-venv/bin/python");
        let read = Command::new(python)
            .args(["-c", FOREIGN])
            .stdin(File::open(file).expect("it"))
            .output();
        let read = read.expect("python runs");
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        let text = String::from_utf8(read.stdout).expect("UTF-8");
        text.lines()
            .map(|line| {
                let [name, kind, label, value] = line.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                (
                    (name.to_owned(), label.to_owned()),
                    (kind.to_owned(), value.parse().expect("a number")),
                )
            })
            .collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.collector.kill().ok();
        self.collector.wait().ok();
    }
}

type Samples = BTreeMap<(String, String), (String, f64)>;

fn value(samples: &Samples, name: &str, label: &str) -> f64 {
    samples
        .get(&(name.to_owned(), label.to_owned()))
        .unwrap_or_else(|| panic!("{name} {label}: {samples:#?}"))
        .1
}

fn own(samples: &Samples, name: &str, label: &str) -> f64 {
    value(samples, &format!("fyke_exporter_{name}"), label)
}

const RECORDS: [&str; 10] = [
    "records_sent_total",
    "records_refused_total",
    "records_queued",
    "records_pending",
    "records_lagging",
    "records_coalesced_total",
    "records_filtered_total",
    "records_unmade_total",
    "records_lost_total",
    "records_abandoned_total",
];
const ENTRIES: [&str; 7] = [
    "entries_filtered_total",
    "entries_not_allowed_total",
    "entries_of_clients_total",
    "connections_total",
    "connections_refused_total",
    "entries_known_total",
    "entries_late_total",
];

/// What comes in is what goes out, waits, or is dropped for a reason.
fn balances(samples: &Samples) -> bool {
    let sum =
        |names: &[&str], label| names.iter().map(|name| own(samples, name, label)).sum::<f64>();
    let come = sum(&["entries_total", "entries_denied_total"], "-");
    #[expect(clippy::float_cmp, reason = "all are whole numbers")]
    let records = |to| own(samples, "records_due_total", to) == sum(&RECORDS, to);
    #[expect(clippy::float_cmp, reason = "all are whole numbers")]
    let entries = come == sum(&ENTRIES, "-");
    entries && ["static", "away", "little"].into_iter().all(records)
}

#[test]
fn sums_balance_and_antreas_names_say_what_the_kernel_says() {
    let mut lab = Lab::start();
    for port in 5001..=5040 {
        lab.bash(&format!("echo hello > /dev/udp/10.0.0.2/{port}"));
    }
    // One comes later, so that the one before was told.
    let is_told = || own(&lab.samples(), "records_sent_total", "static") >= 40.0;
    assert!(eventually(PATIENCE, is_told), "{:#?}", lab.samples());
    // A queue holds 16 batches, one for each turn that has something to tell.
    let lags = || {
        lab.bash("echo hello > /dev/udp/10.0.0.2/5001");
        own(&lab.samples(), "records_lagging", "away") >= 3.0
    };
    assert!(eventually(2 * PATIENCE, lags), "{:#?}", lab.samples());
    // Between two turns of the exporter something may be under way.
    assert!(eventually(PATIENCE, || balances(&lab.samples())), "{:#?}", lab.samples());
    let samples = lab.samples();
    assert!(own(&samples, "records_filtered_total", "little") >= 39.0);
    assert!(own(&samples, "records_sent_total", "little") >= 2.0);

    what_the_kernel_says(&lab, &samples);
    antreas_buckets(&samples);
    a_collector_that_comes_back(&mut lab);
    what_the_doctor_sees(&lab);
    signal(lab.alone.exporter.id(), "TERM");
}

fn what_the_kernel_says(lab: &Lab, samples: &Samples) {
    // What the kernel says of itself, by a foreign program.
    let number = |command: &str| lab.bash(command).trim().parse::<f64>().expect("a number");
    let now = || [number("conntrack -C"), number("conntrack -L 2>/dev/null | wc -l")];
    let told = || {
        let samples = lab.samples();
        ["total", "antrea"].map(|which| {
            value(&samples, &format!("antrea_agent_conntrack_{which}_connection_count"), "-")
        })
    };
    // None ends meanwhile, and each look makes one more.
    let before = now();
    let is_known = || std::iter::zip(told(), before).all(|(told, before)| told >= before);
    assert!(
        before[0] >= 40.0 && eventually(PATIENCE, is_known),
        "{before:?}: {:#?}",
        lab.samples()
    );
    let (told, after) = (told(), now());
    assert!(std::iter::zip(told, after).all(|(told, after)| told <= after), "{told:?}: {after:?}");
    let max: f64 =
        lab.bash("sysctl -n net.netfilter.nf_conntrack_max").trim().parse().expect("a number");
    let gauge = |samples: &Samples, name: &str| {
        let sample = &samples[&(format!("antrea_agent_{name}"), "-".to_owned())];
        assert_eq!(sample.0, "gauge", "{name}");
        sample.1
    };
    assert!((gauge(samples, "conntrack_max_connection_count") - max).abs() < 0.5);
    assert!(gauge(samples, "denied_connection_count").abs() < 0.5);
    let again = gauge(samples, "flow_collector_reconnection_count");
    assert!(again.abs() < 0.5, "first sessions are no reconnections: {again}");
}

fn antreas_buckets(samples: &Samples) {
    // Antrea's buckets, and as many polls as rounds.
    let poll = "antrea_agent_conntrack_poll_cycle_duration_seconds";
    let bucket = format!("{poll}_bucket");
    let mut buckets: Vec<_> =
        samples.keys().filter(|(name, _)| *name == bucket).map(|(_, le)| le.as_str()).collect();
    buckets.sort_unstable();
    assert_eq!(
        buckets,
        ["+Inf", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "10.0", "2.5", "5.0"]
    );
    assert!(value(samples, &format!("{poll}_count"), "-") >= 2.0);
}

fn a_collector_that_comes_back(lab: &mut Lab) {
    // Ready with a collector away, and connected again counts for each of two destinations.
    let ready = lab.bash(
        "exec 3<>/dev/tcp/127.0.0.1/8087; printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3",
    );
    assert!(ready.contains(" 200 "), "{ready}");
    lab.collector.kill().expect("it runs");
    lab.collector.wait().expect("it ends");
    let are_lost = || {
        lab.bash("echo hello > /dev/udp/10.0.0.2/5001");
        let samples = lab.samples();
        ["static", "little"].iter().all(|to| own(&samples, "connected", to) < 0.5)
    };
    assert!(eventually(PATIENCE, are_lost), "{:#?}", lab.samples());
    lab.collector = lab.alone.collector(4739, Stdio::null());
    let is_back =
        || value(&lab.samples(), "antrea_agent_flow_collector_reconnection_count", "-") >= 2.0;
    assert!(eventually(PATIENCE, is_back), "{:#?}", lab.samples());
}

fn what_the_doctor_sees(lab: &Lab) {
    // The doctor sees it beside the running exporter.
    let folder = lab.alone.path("").display().to_string();
    let look =
        format!("cd {folder}; {} doctor exporter --config own.conf", built("fyke").display());
    let said = lab.bash(&look);
    assert!(said.contains("the exporter at 127.0.0.1:8087 is ready"), "{said}");
    assert!(
        said.contains("no session is open (fyke_exporter_connected{destination=\"away\"})"),
        "{said}"
    );
    assert!(
        said.contains("first failure: destinations: away: 127.0.0.1:4740 does not answer"),
        "{said}"
    );
}
