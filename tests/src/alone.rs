//! An exporter alone in a network namespace, which has a Pod's address. What it is told to do comes
//! from a file.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::binary::built;

/// Connections are tracked and counted.
const POD: &str = "set -e; ip link set lo up; ip address add 10.0.0.2/32 dev lo; \
    nft 'add table ip t; add chain ip t out { type filter hook output priority 0; }; \
    add rule ip t out ct state invalid drop'; cd /proc/sys/net/netfilter; \
    echo 1 > nf_conntrack_acct; echo 1 > nf_conntrack_timestamp; \
    echo $1 > nf_conntrack_udp_timeout; cd \"$OLDPWD\"; shift; exec \"$@\"";

const CLUSTER: &str = "nodes: [{name: a, podCIDRs: [10.0.0.0/24]}]\n\
    pods: [{name: p, namespace: n, node: a, addresses: [10.0.0.2]}]\n";

/// Ends with the test.
#[derive(Debug)]
pub struct Alone {
    folder: TempDir,
    pub exporter: Child,
}

impl Alone {
    /// With this configuration (`own.conf`, beside which there is `cluster.yaml`), where UDP is
    /// over after `udp_seconds`. Waits until it is ready.
    pub fn start(configuration: &str, udp_seconds: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("cluster.yaml"), CLUSTER).expect("a file");
        fs::write(folder.path().join("own.conf"), configuration).expect("a file");
        let mut command = Command::new("unshare");
        command.args(["--net", "bash", "-c", POD, "bash", &udp_seconds.to_string()]);
        command.arg(built("fyke")).args(["exporter", "--config", "own.conf"]);
        command.current_dir(folder.path()).stdout(Stdio::piped());
        command.stderr(File::create(folder.path().join("log")).expect("a file"));
        let mut exporter = command.spawn().expect("the exporter starts");
        let mut ready = [0; 6];
        let told = exporter.stdout.as_mut().expect("a pipe").read_exact(&mut ready);
        let alone = Self { folder, exporter };
        assert!(told.is_ok(), "{}", alone.read("log"));
        alone
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is in a file beside the configuration; nothing if it is not there.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The beginning of a command that runs where the exporter does.
    pub fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.exporter.id().to_string(), "--net", "--"]);
        command
    }

    /// Starts a collector of IPFIX there, which writes records as JSON, and waits until it listens.
    pub fn collector(&self, port: u16, records: impl Into<Stdio>) -> Child {
        let mut command = self.inside();
        let address = format!("127.0.0.1:{port}");
        command.arg(built("fyke")).args(["ipfix", "collect", &address, "--json"]);
        command.stdout(records).stderr(Stdio::piped());
        let mut process = command.spawn().expect("a collector starts");
        let mut line = String::new();
        let told = BufReader::new(process.stderr.as_mut().expect("a pipe")).read_line(&mut line);
        assert!(told.is_ok() && line.starts_with("listening"), "{line}");
        process
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.exporter.kill().ok();
        self.exporter.wait().ok();
    }
}
