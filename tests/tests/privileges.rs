//! What the exporter is allowed to do: administer the network, and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tests::binary::{built, eventually, signal};

/// `CAP_NET_ADMIN` (linux/capability.h) as a mask.
const NET_ADMIN: u64 = 1 << 12;
const USER: &str = "65532";

/// A Pod's address, tracked and counted. What is sent to port 5002 is denied, and logged.
const POD: &str = "set -e; ip link set lo up; ip address add 10.0.0.2/32 dev lo; \
    nft 'add table ip t; add chain ip t out { type filter hook output priority 0; }; \
    add rule ip t out ct state invalid drop; add rule ip t out udp dport 5002 log group 7 drop'; \
    echo 1 > /proc/sys/net/netfilter/nf_conntrack_acct; exec \"$@\"";
const TRAFFIC: &str =
    "for port in 5001 5002; do echo hello > /dev/udp/10.0.0.2/$port || true; done";

const CLUSTER: &str = "nodes: [{name: a, podCIDRs: [10.0.0.0/24]}]\n\
    pods: [{name: p, namespace: n, node: a, addresses: [10.0.0.2]}]\n";
const CONFIG: &str = "denySources: {nflog: [7]}\n";

/// As systemd gives it (`User=`, `AmbientCapabilities=`, `NoNewPrivileges=`).
const AMBIENT: [&str; 7] = [
    "--reuid=65532",
    "--regid=65532",
    "--clear-groups",
    "--inh-caps=-all,+net_admin",
    "--ambient-caps=-all,+net_admin",
    "--bounding-set=-all,+net_admin",
    "--no-new-privs",
];
/// As Kubernetes runs a container that is not root's, with `drop: [ALL]`, `add: [NET_ADMIN]` and
/// `allowPrivilegeEscalation: false`: the capability is within bounds, and the file has to ask.
const CONTAINER: [&str; 6] = [
    "--reuid=65532",
    "--regid=65532",
    "--clear-groups",
    "--inh-caps=-all",
    "--bounding-set=-all,+net_admin",
    "--no-new-privs",
];

/// A collector in a namespace of its own, and the files of an exporter that anyone may read.
struct Stand {
    folder: TempDir,
    collector: Child,
}

impl Stand {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("ours");
        for (name, text) in [("cluster.yaml", CLUSTER), ("exporter.conf", CONFIG)] {
            fs::write(path.join(name), text).expect("a file");
        }
        let mut command = Command::new("unshare");
        command.args(["--net", "bash", "-c", POD, "bash"]).arg(built("fyke"));
        command.args(["aggregator", "--listen", "127.0.0.1:4739", "--active-timeout", "1s"]);
        command.arg("--log").arg(path.join("flows.json"));
        let mut collector = command.stdout(Stdio::piped()).spawn().expect("it starts");
        wait_until_ready(&mut collector);
        Self { folder, collector }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.collector.id().to_string(), "--net"]);
        command
    }

    /// A copy of the binary that anyone may run.
    fn binary(&self) -> PathBuf {
        let binary = self.path("fyke");
        fs::copy(built("fyke"), &binary).expect("a copy");
        fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).expect("ours");
        binary
    }

    /// The exporter with certain privileges.
    fn exporter(&self, privileges: &[&str], binary: &Path) -> Command {
        let mut command = self.inside();
        command.arg("setpriv").args(privileges).arg(binary);
        command.args(["exporter", "--node", "a", "--collector", "127.0.0.1:4739", "--cluster"]);
        command.arg(self.path("cluster.yaml")).arg("--config").arg(self.path("exporter.conf"));
        command.args(["--poll-interval", "1s", "--active-timeout", "1s", "--idle-timeout", "1s"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Whether a flow to this port has been told.
    fn knows(&self, port: u16) -> bool {
        let told = fs::read_to_string(self.path("flows.json")).unwrap_or_default();
        let wanted = format!("\"destinationTransportPort\":{port},");
        told.lines().any(|line| line.contains(&wanted))
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.collector.kill().ok();
        self.collector.wait().ok();
    }
}

fn wait_until_ready(process: &mut Child) {
    let mut ready = [0; 6];
    let said = process.stdout.as_mut().expect("a pipe");
    std::io::Read::read_exact(said, &mut ready).expect("it gets ready");
}

/// A line of `/proc/PID/status`.
fn status(id: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    line.expect("a line").to_owned()
}

fn ask_for_capability(binary: &Path) {
    let set = Command::new("setcap").arg("cap_net_admin=ep").arg(binary).status();
    assert!(set.expect("setcap runs").success());
}

/// Runs an exporter that must record what is sent and what is denied.
#[track_caller]
fn check(stand: &Stand, mut exporter: Command) {
    let mut process = exporter.spawn().expect("the exporter starts");
    let id = process.id();
    wait_until_ready(&mut process);
    assert_eq!(status(id, "Uid").split_whitespace().next(), Some(USER));
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(u64::from_str_radix(&status(id, set), 16), Ok(NET_ADMIN), "{set}");
    }
    let mut traffic = stand.inside();
    traffic.args(["bash", "-c", TRAFFIC]).stderr(Stdio::null());
    assert!(traffic.status().expect("bash runs").success());
    let came = eventually(Duration::from_secs(10), || stand.knows(5001) && stand.knows(5002));
    signal(id, "TERM");
    let Output { status, stderr, .. } = process.wait_with_output().expect("it ends");
    let log = String::from_utf8_lossy(&stderr);
    assert!(came, "allowed {}, denied {}: {log}", stand.knows(5001), stand.knows(5002));
    assert!(status.success(), "{log}");
}

/// Runs an exporter that must say what it lacks.
#[track_caller]
fn check_refused(mut exporter: Command) {
    let output = exporter.output().expect("the exporter starts");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("this needs CAP_NET_ADMIN"), "{log}");
}

#[test]
fn one_capability_is_enough_for_somebody_who_is_not_root() {
    let stand = Stand::new();
    let binary = stand.binary();
    check(&stand, stand.exporter(&AMBIENT, &binary));
}

#[test]
fn in_a_container_the_binary_asks_for_it() {
    let stand = Stand::new();
    let binary = stand.binary();
    check_refused(stand.exporter(&CONTAINER, &binary));
    ask_for_capability(&binary);
    check(&stand, stand.exporter(&CONTAINER, &binary));
}
