//! Exporters of others send to our aggregator.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::binary::{built, eventually, metrics, signal, sum, value};
use tests::ports::free_port;

use tests::authority::{certificates, python};

use super::{PATIENCE, Running};

/// An aggregator that takes gRPC over mutual TLS.
fn aggregator(folder: &Path, port: u16, admin: u16) -> Running {
    let path = |name: &str| folder.join(name);
    let errors = File::create(path("errors")).expect("a file");
    let mut command = Command::new(built("fyke"));
    command.args(["aggregator", "--listen", "127.0.0.1:0", "--active-timeout", "1s"]);
    command.arg("--admin").arg(format!("127.0.0.1:{admin}"));
    command
        .arg("--grpc-listen")
        .arg(format!("127.0.0.1:{port}"))
        .arg("--log")
        .arg(path("flows.json"));
    command.arg("--tls-certificate").arg(path("collector.test.pem"));
    command.arg("--tls-key").arg(path("collector.test.key"));
    command.arg("--tls-client-ca").arg(path("ca.pem"));
    let mut aggregator =
        Running(command.stdout(Stdio::piped()).stderr(errors).spawn().expect("it"));
    let mut ready = String::new();
    let output = aggregator.0.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut ready).expect("it says something");
    assert_eq!(ready, "ready\n", "{}", fs::read_to_string(path("errors")).expect("a file"));

    aggregator
}

/// Has grpcio send what it can think of. Returns what became of each.
fn sent(folder: &Path, port: u16) -> (Running, Vec<(String, String)>) {
    let mut command = python("grpc_interop/client.py");
    let mut client = Running(command.arg(port.to_string()).arg(folder).spawn().expect("it"));
    let output = client.0.stdout.take().expect("a pipe");
    let mut told = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.expect("text");
        let (what, status): (String, String) = serde_json::from_str(&line).expect("a pair");
        if what == "end" {
            break;
        }
        told.push((what, status));
    }
    (client, told)
}

/// What is sent, and what is answered.
const ANSWERS: [(&str, &str); 20] = [
    ("good", "OK"),
    ("without ipfix", "OK"),
    ("without ip", "OK"),
    ("without transport", "OK"),
    ("without k8s", "OK"),
    ("without stats", "OK"),
    ("without reverse_stats", "OK"),
    ("without start_ts", "OK"),
    ("without end_ts", "OK"),
    ("nothing at all", "OK"),
    ("no address", "OK"),
    ("a long flow between good ones", "OK"),
    ("a huge message", "OK"),
    ("another method", "UNIMPLEMENTED"),
    ("group", "INVALID_ARGUMENT"),
    ("cut", "INVALID_ARGUMENT"),
    ("overlong", "INVALID_ARGUMENT"),
    ("a stranger", "UNAVAILABLE"),
    ("garbage", "survived"),
    ("beside a thousand idle streams", "OK"),
];

fn check_the_good_one(good: &Value) {
    for (name, expected) in [
        ("sourceIP", json!("10.0.0.1")),
        ("destinationIP", json!("10.0.0.2")),
        ("destinationTransportPort", json!(443)),
        ("protocolIdentifier", json!(6)),
        ("tcpState", json!("TIME_WAIT")),
        ("sourcePodName", json!("web")),
        ("destinationPodNamespace", json!("shop")),
        ("egressIP", json!("192.0.2.1")),
        ("destinationServiceIP", json!("10.96.0.1")),
        ("octetTotalCount", json!(400)),
        ("octetDeltaCount", json!(400)),
        ("reversePacketTotalCount", json!(3)),
        ("flowEndReason", json!(3)),
        ("observationDomainIdFromSourceNode", json!(7)),
    ] {
        assert_eq!(good[name], expected, "{name} in {good}");
    }
}

#[test]
fn a_foreign_exporter_is_understood_whatever_it_sends() {
    let folder = certificates();
    let path = |name: &str| folder.path().join(name);
    let (port, admin) = (free_port(), free_port());
    let log: PathBuf = path("flows.json");
    let mut aggregator = aggregator(folder.path(), port, admin);
    let (mut client, told) = sent(folder.path(), port);
    let errors = || fs::read_to_string(path("errors")).expect("a file");
    let told: Vec<_> = told.iter().map(|(what, status)| (what.as_str(), status.as_str())).collect();
    assert_eq!(told, ANSWERS, "{}", errors());

    let said = || metrics(Command::new("bash"), admin);
    let counted = said();
    let count = |name: &str| value(&counted, &format!("fyke_aggregator_{name}"));
    assert_eq!(count("records_unusable_total{reason=\"no_addresses\"}"), 3);
    assert_eq!(count("records_unusable_total{reason=\"too_long\"}"), 1);
    // Three streams, and three connections that do not begin as HTTP/2 does.
    assert_eq!(count("sessions_ended_total{reason=\"malformed\"}"), 6);
    assert_eq!(count("sessions"), 1000, "those that are idle");
    assert!(sum(&counted, "fyke_aggregator_sessions_ended_total") > 20);
    assert_eq!(count("sessions_ended_total{reason=\"panicked\"}"), 0);
    let memory = fs::read_to_string(format!("/proc/{}/status", aggregator.0.id())).expect("procfs");
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 400 * 1024, "{peak} KiB");
    client.0.stdin.take().expect("a pipe").write_all(b"\n").expect("it reads");
    assert!(client.0.wait().expect("it ends").success());

    signal(aggregator.0.id(), "TERM");
    assert!(eventually(PATIENCE, || aggregator.0.try_wait().expect("ours").is_some()));
    let log = fs::read_to_string(log).expect("a log");
    let records: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |port: u64| records.iter().find(move |it| it["sourceTransportPort"] == port);
    let good = of(1).unwrap_or_else(|| panic!("{log}"));
    check_the_good_one(good);
    assert!(of(5).is_some() && of(6).is_some() && of(10).is_some() && of(4).is_none());
    assert!(of(1008).is_some(), "without names, a flow is still one");
    assert!(records.len() > 20_000, "{}", records.len());
}
