//! The exporters and the aggregator: real processes, the same binary.
//!
//! Each says `ready` on its standard output, and must end without an error soon after
//! SIGTERM. The exporters end first, so that the aggregator receives their last records.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::over::Over;
use crate::demo::lab::cluster::{NODES, Node};
use crate::demo::lab::{Host, Lab, Process};

const READY_WITHIN: Duration = Duration::from_secs(5);
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Longer than the kernel remembers a short connection in the lab: no dump shows one, and an
/// exporter that only polls would miss it.
const POLL_INTERVAL: &str = "3s";

/// Fyke at work in a lab.
#[derive(Debug)]
pub(super) struct Daemons {
    exporters: Vec<Process>,
    aggregator: Process,
    /// The aggregator's store.
    pub(super) data: PathBuf,
    /// The aggregator's log of records, one JSON object a line.
    pub(super) log: PathBuf,
}

impl Daemons {
    /// Starts all three, and waits until they are ready. What the exporters send is kept
    /// as `NODE.ipfix` in `record`.
    pub(super) fn start(lab: &Lab, fyke: &Path, over: Over, record: Option<&Path>) -> Result<Self> {
        let ends = over.prepare(lab.directory())?;
        let data = lab.directory().join("data");
        let log = lab.directory().join("flows.jsonl");
        let mut command = lab.command(Host::Aggregator, fyke);
        command.arg("aggregator").args(&ends.aggregator);
        command.arg("--data").arg(&data).arg("--log").arg(&log);
        command.args(["--active-timeout", "2s", "--inactive-timeout", "6s"]);
        command.args(["--admin", "127.0.0.1:8088"]);
        let mut aggregator = lab.spawn("aggregator", &mut command)?;
        aggregator.wait_until_ready(READY_WITHIN)?;
        let exporters = NODES.iter().map(|node| exporter(lab, fyke, node, &ends.exporter, record));
        let mut exporters = exporters.collect::<Result<Vec<_>>>()?;
        exporters.iter_mut().try_for_each(|process| process.wait_until_ready(READY_WITHIN))?;
        Ok(Self { exporters, aggregator, data, log })
    }

    /// Stops all three in order.
    pub(super) fn stop(self) -> Result<()> {
        self.exporters.into_iter().try_for_each(|process| process.stop(STOP_WITHIN))?;
        self.aggregator.stop(STOP_WITHIN)
    }
}

fn exporter(
    lab: &Lab,
    fyke: &Path,
    node: &Node,
    told: &[OsString],
    record: Option<&Path>,
) -> Result<Process> {
    let mut command = lab.command(node.host, fyke);
    command.args(["exporter", "--node", node.name]);
    command.arg("--cluster").arg(lab.cluster_file());
    command.args(told).args(["--profile", "fyke"]);
    command.args([
        "--active-timeout",
        "2s",
        "--idle-timeout",
        "3s",
        "--poll-interval",
        POLL_INTERVAL,
    ]);
    command.args(["--admin", "127.0.0.1:8087"]);
    if let Some(directory) = record {
        command.arg("--copy").arg(directory.join(format!("{}.ipfix", node.name)));
    }
    lab.spawn(&format!("exporter-{}", node.name), &mut command)
}
