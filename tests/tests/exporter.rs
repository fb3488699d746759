//! The beginning and the end of daemons, also when the other side does not answer.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::binary::{built, eventually, signal};

/// A network namespace with a Pod's address, in which connections are tracked and counted.
const POD: &str = "set -e; ip link set lo up; ip address add 10.0.0.2/32 dev lo; \
    nft 'add table ip t; add chain ip t out { type filter hook output priority 0; }; \
    add rule ip t out ct state invalid drop'; \
    echo 1 > /proc/sys/net/netfilter/nf_conntrack_acct; ";
/// Everything sent to the collector disappears.
const BLACK_HOLE: &str = "nft add rule ip t out tcp dport 4739 drop; ";
/// The Pod sends to three of its own ports.
const TRAFFIC: &str =
    "for port in 5001 5002 5003; do echo hello > /dev/udp/10.0.0.2/$port || true; done";

const CLUSTER: &str = "nodes: [{name: a, podCIDRs: [10.0.0.0/24]}]\n\
    pods: [{name: p, namespace: n, node: a, addresses: [10.0.0.2]}]\n";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn cluster(folder: &TempDir, text: &str) -> PathBuf {
    let cluster = folder.path().join("cluster.yaml");
    fs::write(&cluster, text).expect("a file");
    cluster
}

/// A file whose opening waits for the other end, and so keeps a daemon from starting.
fn pipe(folder: &TempDir) -> PathBuf {
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    pipe
}

/// An exporter in a network namespace of its own, which `script` prepares.
fn exporter(script: &str, cluster: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "bash", "-c", &format!("{script}exec \"$@\""), "bash"]);
    command.arg(built("fyke")).args(["exporter", "--node", "a", "--cluster"]).arg(cluster);
    command.args(["--collector", "127.0.0.1:4739"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn wait_until_ready(process: &mut Child) {
    let mut ready = [0; 6];
    process.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("it says something");
    assert_eq!(&ready, b"ready\n");
}

/// Waits for the end, which must not be an error. Returns the log.
fn end(process: Child) -> String {
    end_with(0, process)
}

/// Waits for the end, with this exit code. Returns the log.
fn end_with(code: i32, process: Child) -> String {
    let output = process.wait_with_output().expect("it ends");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{log}");
    log
}

/// Ends an exporter that could tell nobody of three connections, and checks that it says so.
#[track_caller]
fn end_with_records_waiting(network: &str) {
    let folder = folder();
    let mut command = exporter(&format!("{POD}{network}"), &cluster(&folder, CLUSTER));
    let mut exporter = command.spawn().expect("the exporter starts");
    wait_until_ready(&mut exporter);
    let mut inside = Command::new("nsenter");
    inside.args(["--target", &exporter.id().to_string(), "--net", "bash", "-c", TRAFFIC]);
    assert!(inside.stderr(Stdio::null()).status().expect("nsenter runs").success());
    let asked = Instant::now();
    signal(exporter.id(), "TERM");
    let log = end_with(1, exporter);
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert!(log.contains("records are lost at shutdown destination=\"static\" records=3"), "{log}");
    assert!(log.contains("3 records could not be sent"), "{log}");
    assert!(!log.contains("everything is flushed"), "{log}");
}

#[test]
fn a_silent_collector_does_not_keep_the_exporter_from_ending() {
    end_with_records_waiting(BLACK_HOLE);
}

#[test]
fn nor_does_one_that_is_not_there() {
    end_with_records_waiting("");
}

#[test]
fn an_exporter_with_nothing_to_tell_ends_at_once() {
    let folder = folder();
    let mut command = exporter(POD, &cluster(&folder, CLUSTER));
    let mut exporter = command.spawn().expect("the exporter starts");
    wait_until_ready(&mut exporter);
    let asked = Instant::now();
    signal(exporter.id(), "TERM");
    let log = end(exporter);
    assert!(asked.elapsed() < Duration::from_millis(1500), "{:?}: {log}", asked.elapsed());
    assert!(log.contains("everything is flushed"), "{log}");
}

#[test]
fn copies_are_for_their_owner_only() {
    let folder = folder();
    let copy = folder.path().join("copy.ipfix");
    let mut command = exporter(POD, &cluster(&folder, CLUSTER));
    let mut exporter = command.arg("--copy").arg(&copy).spawn().expect("the exporter starts");
    wait_until_ready(&mut exporter);
    let mode = fs::metadata(&copy).expect("a file").permissions().mode();
    signal(exporter.id(), "TERM");
    end(exporter);
    assert_eq!(mode & 0o777, 0o600);
}

/// Whether the process has SIGTERM wait for it, as the kernel says.
fn hears_sigterm(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok());
    let is_fyke = fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|it| it == "fyke\n");
    is_fyke && caught.is_some_and(|signals| signals & (1 << 14) != 0)
}

/// Sends SIGTERM while `unblock` has yet to let the start go on. That is no error.
fn end_while_starting(mut command: Command, unblock: impl FnOnce()) {
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a daemon");
    let id = process.id();
    let hears = eventually(Duration::from_secs(5), || hears_sigterm(id));
    signal(id, "TERM");
    if hears {
        unblock();
    }
    end(process);
}

#[test]
fn an_exporter_that_is_starting_can_be_ended() {
    let folder = folder();
    let pipe = pipe(&folder);
    end_while_starting(exporter(POD, &pipe), || {
        fs::File::create(&pipe)
            .and_then(|mut it| it.write_all(CLUSTER.as_bytes()))
            .expect("it reads");
    });
}

#[test]
fn an_aggregator_that_is_starting_can_be_ended() {
    let folder = folder();
    let pipe = pipe(&folder);
    let mut command = Command::new(built("fyke"));
    command.args(["aggregator", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.args(["--grpc-listen", "127.0.0.1:0", "--tls-certificate"]).arg(&pipe);
    command.arg("--tls-key").arg(&pipe);
    end_while_starting(command, || drop(fs::File::create(&pipe).expect("it reads")));
}

#[test]
fn a_wrong_cluster_file_is_refused_with_all_its_mistakes() {
    let folder = folder();
    let text = "nodes: [{name: a, podCIDRs: [nonsense]}]\n\
        pods: [{name: p, namespace: n, node: b, addresses: [10.0.0.2]}]\n";
    let output = Command::new(built("fyke"))
        .args(["exporter", "--node", "a", "--collector", "127.0.0.1:4739", "--cluster"])
        .arg(cluster(&folder, text))
        .output()
        .expect("the exporter starts");
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("nonsense") && told.contains("\"b\" is not described"), "{told}");
}
