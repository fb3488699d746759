//! The exporter's end, when its collector does not answer.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::binary::{built, signal};

/// A network namespace in which everything sent to the collector disappears.
const BLACK_HOLE: &str = "ip link set lo up && \
    nft 'add table ip t; add chain ip t out { type filter hook output priority 0; }; \
    add rule ip t out tcp dport 4739 drop' && exec \"$@\"";

#[test]
fn a_silent_collector_does_not_keep_the_exporter_from_ending() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = folder.path().join("cluster.yaml");
    fs::write(&cluster, "nodes: [{name: a}]").expect("a file");
    let mut exporter = Command::new("unshare")
        .args(["--net", "bash", "-c", BLACK_HOLE, "bash"])
        .arg(built("fyke"))
        .args(["exporter", "--node", "a", "--collector", "127.0.0.1:4739", "--cluster"])
        .arg(&cluster)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the exporter starts");
    let mut ready = [0; 6];
    exporter.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("it says something");
    assert_eq!(&ready, b"ready\n");
    let asked = Instant::now();
    signal(exporter.id(), "TERM");
    assert!(exporter.wait().expect("it ends").success());
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[test]
fn a_wrong_cluster_file_is_refused_with_all_its_mistakes() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = folder.path().join("cluster.yaml");
    let text = "nodes: [{name: a, podCIDRs: [nonsense]}]\n\
        pods: [{name: p, namespace: n, node: b, addresses: [10.0.0.1]}]\n";
    fs::write(&cluster, text).expect("a file");
    let output = Command::new(built("fyke"))
        .args(["exporter", "--node", "a", "--collector", "127.0.0.1:4739", "--cluster"])
        .arg(&cluster)
        .output()
        .expect("the exporter starts");
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("nonsense") && told.contains("\"b\" is not described"), "{told}");
}
