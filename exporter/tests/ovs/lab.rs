//! An Open vSwitch of the test's own, with two Pods.
//!
//! A thread cannot enter a namespace without `unsafe`, so [`run`] starts the test again, by its
//! name, under `ip netns exec`. The switch runs inside that namespace, with its userspace datapath
//! and all its files in a folder of the test. Everything is ended and removed however the test
//! ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

const NODE: &str = "FYKE_OVS_NODE";

pub(crate) const CLIENT4: &str = "10.37.0.1";
pub(crate) const SERVER4: &str = "10.37.0.2";
pub(crate) const CLIENT6: &str = "fd37::1";
pub(crate) const SERVER6: &str = "fd37::2";
/// A Service of which the server is the only endpoint.
pub(crate) const SERVICE4: &str = "10.98.0.20";

/// Runs `body` in a namespace of its own.
pub(crate) fn run(test: &str, body: impl FnOnce(&Lab)) {
    if let Some(name) = env::var_os(NODE) {
        let name = name.into_string().unwrap();
        body(&Lab::up(&name));
        return;
    }
    for (tool, package) in [
        ("ip", "iproute2"),
        ("ovs-vswitchd", "openvswitch-switch"),
        ("ovs-ofctl", "openvswitch-common"),
        ("ethtool", "ethtool"),
        ("ping", "iputils-ping"),
        ("python3", "python3"),
    ] {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
        assert!(found.unwrap().status.success(), "{tool} is missing: install {package}");
    }
    assert_eq!(sh("id -u").trim(), "0", "making network namespaces needs root");
    let node = Namespace::new(format!("fykeovs-{}-{test:.20}", std::process::id()));
    let status = Command::new("ip")
        .args(["netns", "exec", &node.0])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(NODE, &node.0)
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed inside the network namespace");
}

struct Namespace(String);

impl Namespace {
    fn new(name: String) -> Self {
        sh(&format!("ip netns add {name}; ip -n {name} link set lo up"));
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "del", &self.0]).status().ok();
    }
}

/// The switch and the Pods.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    daemons: Vec<Running>,
    client: Namespace,
    _server: Namespace,
}

impl Lab {
    fn up(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut lab = Self {
            client: Namespace::new(format!("{name}-c")),
            _server: Namespace::new(format!("{name}-s")),
            daemons: Vec::new(),
            folder,
        };
        let database = lab.path("conf.db");
        lab.sh(&format!(
            "ovsdb-tool create {} /usr/share/openvswitch/vswitch.ovsschema",
            database.display()
        ));
        let remote = format!("--remote=punix:{}", lab.path("db.sock").display());
        lab.start("ovsdb-server", &[database.to_str().unwrap(), &remote, "--unixctl=ovsdb.ctl"]);
        until("the database is there", || lab.path("db.sock").exists());
        lab.vsctl("--no-wait init");
        let database = format!("unix:{}", lab.path("db.sock").display());
        lab.start("ovs-vswitchd", &[&database, "--unixctl=vswitchd.ctl"]);
        lab.vsctl("add-br br-int -- set bridge br-int datapath_type=netdev fail_mode=secure protocols=OpenFlow10,OpenFlow15");
        for (port, pod, address4, address6) in [
            ("c0", format!("{name}-c"), CLIENT4, CLIENT6),
            ("s0", format!("{name}-s"), SERVER4, SERVER6),
        ] {
            // The userspace datapath does not finish checksums that a Pod leaves to hardware.
            sh(&format!(
                "set -e
                 ip link add {port} type veth peer name eth0 netns {pod}
                 ip link set {port} up
                 ip netns exec {pod} sysctl -qw net.ipv6.conf.eth0.accept_dad=0 \
                     net.ipv6.conf.eth0.router_solicitations=0
                 ip -n {pod} addr add {address4}/24 dev eth0
                 ip -n {pod} addr add {address6}/64 dev eth0 nodad
                 ip -n {pod} link set eth0 up
                 ip netns exec {pod} ethtool -K eth0 tx off >/dev/null"
            ));
            lab.vsctl(&format!("add-port br-int {port}"));
        }
        let client = &lab.client.0;
        let server = sh(&format!("ip netns exec {name}-s cat /sys/class/net/eth0/address"));
        sh(&format!(
            "set -e
             ip -n {client} route add 10.98.0.0/16 dev eth0
             ip -n {client} neigh add {SERVICE4} dev eth0 lladdr {server}"
        ));
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The bridge's management socket.
    pub(crate) fn bridge(&self) -> PathBuf {
        self.path("br-int.mgmt")
    }

    /// Runs a script beside the switch.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        run_script(self.command("sh").args(["-c", script]))
    }

    #[track_caller]
    pub(crate) fn vsctl(&self, arguments: &str) -> String {
        let database = self.path("db.sock");
        self.sh(&format!("ovs-vsctl --db=unix:{} --timeout=10 {arguments}", database.display()))
    }

    #[track_caller]
    pub(crate) fn ofctl(&self, command: &str, arguments: &str) -> String {
        let bridge = self.bridge();
        self.sh(&format!("ovs-ofctl -O OpenFlow15 {command} unix:{} {arguments}", bridge.display()))
    }

    #[track_caller]
    pub(crate) fn add_flows(&self, flows: &str) {
        fs::write(self.path("flows"), flows).unwrap();
        self.ofctl("add-flows", self.path("flows").to_str().unwrap());
    }

    /// Runs a script in the client Pod.
    #[track_caller]
    pub(crate) fn client(&self, script: &str) -> String {
        run_script(Command::new("ip").args(["netns", "exec", &self.client.0, "sh", "-c", script]))
    }

    /// Starts a program that ends with what is returned.
    pub(crate) fn spawn(&self, program: &str, arguments: &[&str], output: &Path) -> Running {
        let output = fs::File::create(output).unwrap();
        let mut command = self.command(program);
        command.args(arguments).stdout(output.try_clone().unwrap()).stderr(output);
        Running(command.stdin(Stdio::null()).spawn().unwrap())
    }

    fn start(&mut self, program: &str, arguments: &[&str]) {
        let log = self.path(&format!("{program}.log"));
        let running = self.spawn(program, arguments, &log);
        self.daemons.push(running);
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.path();
        command.current_dir(folder);
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"] {
            command.env(variable, folder);
        }
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The switch before its database.
        while self.daemons.pop().is_some() {}
    }
}

/// A process that ends with the test.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[track_caller]
pub(crate) fn sh(script: &str) -> String {
    run_script(Command::new("sh").args(["-c", script]))
}

#[track_caller]
fn run_script(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}\nfailed with {status}: {stderr}");
    String::from_utf8(stdout).unwrap()
}

#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        // Between two looks, until the deadline.
        thread::sleep(Duration::from_millis(20));
    }
}
