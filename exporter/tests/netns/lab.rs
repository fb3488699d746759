//! Two network namespaces and a cable between them.
//!
//! A thread cannot enter a namespace without `unsafe`, so [`run`] starts the test again, by its
//! name, under `ip netns exec`. The test's body then runs inside the node, whose conntrack is its
//! own. Everything is removed by [`Lab`]'s `Drop`, however the test ends.

use std::{
    env, fs,
    io::Read,
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Set to the peer namespace's name inside the node.
const PEER: &str = "FYKE_NETNS_PEER";

pub(crate) const NODE4: &str = "10.9.0.1";
pub(crate) const PEER4: &str = "10.9.0.2";
pub(crate) const PEER6: &str = "fd09::2";
pub(crate) const ECHO_PORT: u16 = 8080;

/// Ports 7000 to 7999 of the peer belong to zone 65520, all others to zone 0.
///
/// Without any rule about connections a new namespace does not track them at all.
const RULES: &str = "
table inet zones {
    chain out { type filter hook output priority raw;
        udp dport 7000-7999 ct zone set 65520; tcp dport 7000-7999 ct zone set 65520; }
    chain in { type filter hook prerouting priority raw;
        udp sport 7000-7999 ct zone set 65520; tcp sport 7000-7999 ct zone set 65520; }
    chain track { type filter hook output priority filter; ct state new accept; }
}";

/// Runs `body` in a node that has a peer, with accounting, timestamps and events on.
pub(crate) fn run(test: &str, body: impl FnOnce()) {
    if env::var_os(PEER).is_some() {
        body();
        return;
    }
    let lab = Lab::up(test);
    let status = Command::new("ip")
        .args(["netns", "exec", &lab.node])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PEER, &lab.peer)
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed inside the network namespace");
}

struct Lab {
    node: String,
    peer: String,
}

impl Lab {
    fn up(test: &str) -> Self {
        for (tool, package) in [
            ("ip", "iproute2"),
            ("conntrack", "conntrack"),
            ("nft", "nftables"),
            ("ping", "iputils-ping"),
            ("python3", "python3"),
        ] {
            let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
            assert!(found.unwrap().status.success(), "{tool} is missing: install {package}");
        }
        let id = sh("id -u");
        assert_eq!(id.trim(), "0", "making network namespaces needs root");

        let name = |end| format!("fyke-{}-{test:.20}-{end}", std::process::id());
        let lab = Self { node: name("node"), peer: name("peer") };
        let Self { node, peer } = &lab;
        sh(&format!(
            "set -e
             ip netns add {node}; ip netns add {peer}
             ip link add v0 netns {node} type veth peer name v0 netns {peer}
             for ns in {node} {peer}; do ip -n $ns link set lo up; ip -n $ns link set v0 up; done
             ip -n {node} addr add {NODE4}/24 dev v0; ip -n {node} addr add fd09::1/64 dev v0 nodad
             ip -n {peer} addr add {PEER4}/24 dev v0; ip -n {peer} addr add {PEER6}/64 dev v0 nodad
             for name in acct timestamp events; do
                 ip netns exec {node} sysctl -qw net.netfilter.nf_conntrack_$name=1
             done
             ip netns exec {node} nft -f - <<'RULES'
             {RULES}
RULES"
        ));
        lab
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.node, &self.peer] {
            Command::new("ip").args(["netns", "del", namespace]).status().ok();
        }
    }
}

/// Runs a script and returns what it wrote.
#[track_caller]
pub(crate) fn sh(script: &str) -> String {
    let Output { status, stdout, stderr } =
        Command::new("sh").args(["-c", script]).output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{script}\nfailed with {status}: {stderr}");
    String::from_utf8(stdout).unwrap()
}

/// A process that ends with the test.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Answers on TCP and UDP in the peer, with what it is sent.
pub(crate) fn echo_server() -> Running {
    const SERVER: &str = "
import socketserver, threading, socket
class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536): self.request.sendall(data)
class Udp(socketserver.BaseRequestHandler):
    def handle(self): self.request[1].sendto(self.request[0], self.client_address)
class TcpServer(socketserver.ThreadingTCPServer):
    address_family, allow_reuse_address, request_queue_size = socket.AF_INET6, True, 500
class UdpServer(socketserver.UDPServer):
    address_family = socket.AF_INET6
threading.Thread(target=UdpServer(('::', 8080), Udp).serve_forever).start()
TcpServer(('::', 8080), Tcp).serve_forever()
";
    let peer = env::var(PEER).unwrap();
    let child =
        Command::new("ip").args(["netns", "exec", &peer, "python3", "-c", SERVER]).spawn().unwrap();
    let running = Running(child);
    until("the echo server answers", || TcpStream::connect((PEER4, ECHO_PORT)).is_ok());
    sh("conntrack -F 2>&1");
    running
}

/// `conntrack -E`, the other reader of the same events.
pub(crate) struct EventLog {
    running: Running,
    text: JoinHandle<String>,
}

impl EventLog {
    pub(crate) fn of_destroy_events() -> Self {
        let mut child = Command::new("conntrack")
            .args(["-E", "-e", "DESTROY", "-o", "id"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        // Lines are: address, protocol, port id, groups, ... Its groups are only DESTROY's.
        let subscribed = |line: &str| line.split_whitespace().nth(3) == Some("00000004");
        until("conntrack -E listens", || {
            fs::read_to_string("/proc/net/netlink").unwrap().lines().any(subscribed)
        });
        let mut output = child.stdout.take().unwrap();
        let running = Running(child);
        // A full pipe would stop it, and cost it events.
        let text = thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            text
        });
        Self { running, text }
    }

    /// Everything until now, once nothing more comes.
    pub(crate) fn finish(self) -> String {
        thread::sleep(Duration::from_millis(500));
        // It writes the rest of its buffer when it is interrupted, not when it is killed.
        sh(&format!("kill -INT {}", self.running.0.id()));
        self.text.join().unwrap()
    }
}

#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
