//! A cluster of two Nodes made of network namespaces, with the kernel's own conntrack.
//!
//! Several labs can stand side by side under different prefixes: a lab touches nothing
//! but namespaces named `PREFIX-…`, the directory `/run/fyke-demo/PREFIX`, and processes
//! it has started itself. Only `ip`, `nft` and `sysctl` are used to build it, so that
//! what it does can be read here and repeated by hand.

pub mod cluster; // the Kubernetes objects it pretends to have
mod host; // who lives in it
mod process; // programs that run in it
mod rules; // the Nodes' packet filters
mod state; // what survives a crash
mod topology; // links, addresses, routes

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

pub use self::host::{Family, Host};
pub use self::process::Process;
use self::state::RunDirectory;
use super::program;

/// Connections are forgotten soon after their end, so that the demo ends soon.
///
/// A connection must not be forgotten in use: UDP and ICMP traffic of the demo never
/// pauses for longer than half a second, and an open TCP connection keeps the kernel's
/// default of five days.
const SYSCTLS: &[&str] = &[
    "net.ipv4.ip_forward=1",
    "net.ipv6.conf.all.forwarding=1",
    "net.netfilter.nf_conntrack_acct=1",
    "net.netfilter.nf_conntrack_timestamp=1",
    "net.netfilter.nf_conntrack_events=1",
    "net.netfilter.nf_conntrack_tcp_timeout_syn_sent=3",
    "net.netfilter.nf_conntrack_tcp_timeout_fin_wait=3",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait=3",
    "net.netfilter.nf_conntrack_tcp_timeout_last_ack=3",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait=2",
    "net.netfilter.nf_conntrack_tcp_timeout_close=1",
    "net.netfilter.nf_conntrack_udp_timeout=3",
    "net.netfilter.nf_conntrack_udp_timeout_stream=3",
    "net.netfilter.nf_conntrack_icmp_timeout=2",
    "net.netfilter.nf_conntrack_icmpv6_timeout=2",
];

/// A new interface shall be usable at once: no duplicate address detection.
const NO_DETECTION: [&str; 2] =
    ["net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.dad_transmits=0"];

/// Labs may have prefixes of this length at most, so that names stay readable.
const LONGEST_PREFIX: usize = 8;

/// A lab that stands. It is taken down when dropped, unless [`Lab::leave`] is called.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
    directory: RunDirectory,
    /// What `Drop` does.
    farewell: Farewell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    RemoveAll,
    KeepFiles,
    KeepAll,
}

/// What [`Lab::down`] found and removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    pub namespaces: usize,
    pub processes: usize,
}

impl Lab {
    /// Builds a lab whose namespaces are named `PREFIX-nA` and so on.
    pub fn up(prefix: &str) -> Result<Self> {
        check_prefix(prefix)?;
        if let Some(namespace) =
            Host::ALL.map(|host| namespace(prefix, host)).iter().find(|name| exists(name))
        {
            bail!(
                "network namespace {namespace} exists already; \
                 `fyke demo --down --prefix {prefix}` removes what an earlier demo left"
            );
        }
        let directory = RunDirectory::of(prefix);
        directory.create()?;
        let lab = Self { prefix: prefix.to_owned(), directory, farewell: Farewell::RemoveAll };
        lab.build().context("cannot build the lab")?;
        Ok(lab)
    }

    /// Removes what is left of the lab named `prefix`, whoever built it.
    pub fn down(prefix: &str) -> Result<Removed> {
        check_prefix(prefix)?;
        let removed = demolish(prefix)?;
        RunDirectory::of(prefix).remove()?;
        Ok(removed)
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where the programs in the lab keep their files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The cluster file for the exporters.
    pub fn cluster_file(&self) -> PathBuf {
        self.directory().join("cluster.yaml")
    }

    /// The full name of a host's network namespace.
    pub fn namespace(&self, host: Host) -> String {
        namespace(&self.prefix, host)
    }

    /// Prepares to run `program` on `host`.
    ///
    /// `ip netns exec` turns into the program, so its process id is the program's.
    pub fn command(&self, host: Host, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec"]).arg(self.namespace(host)).arg(program.as_ref());
        command
    }

    /// Starts `command` as a process of the lab: it ends with the lab.
    pub fn spawn(&self, name: &str, command: &mut Command) -> Result<Process> {
        let process = Process::start(self.directory(), name, command)?;
        self.directory.note(process.id())?;
        Ok(process)
    }

    /// Leaves the lab standing, for `fyke demo --down` to remove.
    pub fn leave(mut self) {
        self.farewell = Farewell::KeepAll;
    }

    /// Removes the lab but not its files, which show what went wrong.
    pub fn keep_files(&mut self) {
        self.farewell = Farewell::KeepFiles;
    }

    fn build(&self) -> Result<()> {
        for host in Host::ALL {
            program::output(Command::new("ip").args(["netns", "add"]).arg(self.namespace(host)))?;
            program::output(self.command(host, "sysctl").arg("-qw").args(NO_DETECTION))?;
        }
        let plan = topology::plan(|host| self.namespace(host));
        program::feed(Command::new("ip").args(["-batch", "-"]), &plan.links)?;
        for (host, batch) in &plan.inside {
            let namespace = self.namespace(*host);
            program::feed(Command::new("ip").args(["-n", &namespace, "-batch", "-"]), batch)?;
        }
        for node in cluster::NODES {
            program::output(self.command(node.host, "sysctl").arg("-qw").args(SYSCTLS))?;
            let rules = rules::of(node.host);
            program::feed(self.command(node.host, "nft").args(["-f", "-"]), &rules)?;
        }
        let path = self.cluster_file();
        fs::write(&path, cluster::file())
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.farewell == Farewell::KeepAll {
            return;
        }
        let mut result = demolish(&self.prefix).map(drop);
        if self.farewell == Farewell::RemoveAll {
            result = result.and_then(|()| self.directory.remove());
        }
        if let Err(error) = result {
            eprintln!("cannot remove the lab: {error:#}; `fyke demo --down` tries again");
        }
    }
}

/// Ends the lab's processes, then deletes its namespaces, and with them their links.
fn demolish(prefix: &str) -> Result<Removed> {
    let processes = RunDirectory::of(prefix).end_processes()?;
    let mut namespaces = 0;
    for name in Host::ALL.map(|host| namespace(prefix, host)) {
        if exists(&name) {
            program::output(Command::new("ip").args(["netns", "del", &name]))?;
            namespaces += 1;
        }
    }
    Ok(Removed { namespaces, processes })
}

fn namespace(prefix: &str, host: Host) -> String {
    format!("{prefix}-{}", host.name())
}

/// `ip netns add` keeps a file under each name (ip-netns(8)).
fn exists(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}

/// The prefix becomes part of a path that is removed: it must not lead elsewhere.
fn check_prefix(prefix: &str) -> Result<()> {
    let is_plain = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if prefix.is_empty() || prefix.len() > LONGEST_PREFIX || !is_plain {
        bail!("prefix {prefix:?} must be 1 to {LONGEST_PREFIX} ASCII letters and digits");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_cannot_lead_out_of_the_run_directory() {
        check_prefix("fyke").unwrap();
        for prefix in ["", "..", "a/b", "toolonglab", "a b"] {
            check_prefix(prefix).unwrap_err();
        }
    }
}
