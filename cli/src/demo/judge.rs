//! What the kernel counted, as told by a program that is not Fyke.
//!
//! `conntrack -E` prints every connection at its end with the kernel's final counters.
//! Its text is parsed here from scratch, and what belongs together is decided from
//! addresses alone: an error in the exporters or in the aggregator cannot hide behind
//! the same error in the judge.
//!
//! The text format is used rather than `-o xml`, which has finer times but leaves out
//! the Echo identifier of ICMP. Times are not needed: two connections with the same
//! tuple end in the order in which they began.

mod event; // one line of conntrack's text
mod flow; // connections of both Nodes become flows
pub mod socket; // room for events

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

pub use self::event::{KernelConnection, Tuple, parse_all};
pub use self::flow::{FlowType, KernelFlow, KernelSide, flows};
use super::lab::cluster::{NODES, Node, node_of_pod_address};
use super::lab::{Lab, Process};
use super::program;

/// An event takes about 1 KiB: room for more than 50,000, should `conntrack` not get to
/// run at all.
const SOCKET_BUFFER: usize = 64 << 20;

const START_WITHIN: Duration = Duration::from_secs(3);
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// How long the kernel's table must be empty before the last event is taken to be read.
const SETTLE: Duration = Duration::from_millis(300);

/// One `conntrack -E` on each Node.
#[derive(Debug)]
pub struct Judge {
    watchers: Vec<(&'static Node, Process)>,
}

impl Judge {
    /// Starts watching. Connections that begin after this returns are not missed.
    pub fn start(lab: &Lab) -> Result<Self> {
        let watchers = NODES.iter().map(|node| {
            let mut command = lab.command(node.host, "conntrack");
            command.args(["-E", "-e", "DESTROY", "-o", "id"]);
            let mut process = lab.spawn(&format!("kernel-{}", node.name), &mut command)?;
            process.wait_for("subscribe to events", START_WITHIN, |process| {
                socket::event_socket(process.id()).is_some()
            })?;
            let socket = socket::event_socket(process.id()).context("conntrack is gone")?;
            socket::resize(process.id(), socket, SOCKET_BUFFER)?;
            Ok((node, process))
        });
        Ok(Self { watchers: watchers.collect::<Result<_>>()? })
    }

    /// Waits until the kernel has forgotten all connections of Pods.
    ///
    /// `meanwhile` is called between two looks; its error ends the wait. Looking is not
    /// idle: the kernel collects expired connections when somebody lists the table, and
    /// by itself only once a minute when it has little to do.
    pub fn wait_for_the_end(
        lab: &Lab,
        within: Duration,
        mut meanwhile: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let open = open_connections(lab)?;
            if open == 0 {
                sleep(SETTLE);
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the kernel still tracks {open} connections of Pods after {within:?}"
            );
            for _ in 0..5 {
                meanwhile()?;
                sleep(Duration::from_millis(100));
            }
        }
    }

    /// Stops watching, and returns the connections of Pods in the order of their ends.
    ///
    /// What `conntrack` printed is kept as `NODE.conntrack` in `record`.
    pub fn finish(self, record: Option<&Path>) -> Result<Vec<KernelConnection>> {
        let mut connections = Vec::new();
        for (node, process) in self.watchers {
            let text = harvest(node, process)?;
            connections.extend(parse_all(node.name, &text)?);
            if let Some(directory) = record {
                let path = directory.join(format!("{}.conntrack", node.name));
                fs::write(&path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        connections.retain(KernelConnection::concerns_pods);
        Ok(connections)
    }
}

/// Takes all that one `conntrack -E` printed, or says why it cannot be trusted.
fn harvest(node: &'static Node, mut process: Process) -> Result<String> {
    let status = process.terminate(STOP_WITHIN)?;
    let log = process.log().context("cannot read the log of conntrack")?;
    if !status.success() {
        bail!("conntrack on {} failed ({status}): {}", node.name, process.last_words());
    }
    ensure!(
        !log.contains("ENOBUFS"),
        "conntrack on {} lost events: its socket buffer overflowed; run with fewer --connections",
        node.name
    );
    let text = process.output().context("cannot read the output of conntrack")?;
    let printed = text.lines().count();
    let shown = events_shown(&log)
        .with_context(|| format!("conntrack on {} did not count its events: {log}", node.name))?;
    ensure!(
        shown == printed,
        "conntrack on {} showed {shown} events, but printed {printed} lines",
        node.name
    );
    Ok(text)
}

/// Reads "conntrack v1.4.7 (conntrack-tools): 57 flow events have been shown."
fn events_shown(log: &str) -> Option<usize> {
    let line = log.lines().find(|line| line.ends_with("flow events have been shown."))?;
    line.rsplit_once("): ")?.1.split_whitespace().next()?.parse().ok()
}

/// Counts the connections of Pods that the Nodes' kernels track now.
fn open_connections(lab: &Lab) -> Result<usize> {
    let mut open = 0;
    for node in &NODES {
        for family in ["ipv4", "ipv6"] {
            let mut command = lab.command(node.host, "conntrack");
            let text = program::output(command.args(["-L", "-f", family, "-o", "id"]))?;
            let connections = parse_all(node.name, &text)?;
            open += connections.iter().filter(|c| c.concerns_pods()).count();
        }
    }
    Ok(open)
}

impl KernelConnection {
    /// Whether one end is a Pod: the one that began, or the one that answers.
    pub fn concerns_pods(&self) -> bool {
        [self.original.source, self.reply.source]
            .iter()
            .any(|&address| node_of_pod_address(address).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conntracks_own_count_is_read() {
        let log = "conntrack v1.4.7 (conntrack-tools): 57 flow events have been shown.\n";
        assert_eq!(events_shown(log), Some(57));
        assert_eq!(events_shown("WARNING: We have hit ENOBUFS!"), None);
    }
}
