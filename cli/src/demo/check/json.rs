//! The result for programs: one JSON object.

use std::net::SocketAddr;

use serde::Serialize;

use super::{Row, SeenEnd, SeenFlow, SideTotals, Verdict};
use crate::demo::Totals;
use crate::demo::judge::{FlowType, KernelSide};

/// The keys of the object, in the order in which they are written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    ok: bool,
    expected: usize,
    found: usize,
    missing: usize,
    unexpected: usize,
    mismatched: usize,
    flows: Vec<Flow<'a>>,
    unexpected_flows: Vec<Stranger<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "`flowType` is Antrea's name")]
struct Flow<'a> {
    scenario: &'a str,
    flow_type: FlowType,
    protocol: u8,
    source: SocketAddr,
    destination: SocketAddr,
    service: &'a str,
    records: u32,
    sides: Vec<Side>,
    differences: Vec<String>,
}

/// One Node's totals: what Fyke recorded of them, and what the kernel says they are.
#[derive(Debug, Serialize)]
struct Side {
    node: &'static str,
    fyke: Option<Totals>,
    kernel: Totals,
}

/// A flow of Fyke that no connection of the kernel belongs to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stranger<'a> {
    flow_id: u64,
    protocol: u8,
    source: SocketAddr,
    destination: SocketAddr,
    service: &'a str,
    fyke: Totals,
}

impl Verdict {
    /// The verdict as one JSON object with the totals of every flow.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&Report {
            ok: self.is_equal(),
            expected: self.expected(),
            found: self.found(),
            missing: self.missing(),
            unexpected: self.unexpected.len(),
            mismatched: self.mismatched(),
            flows: self.rows.iter().map(flow).collect(),
            unexpected_flows: self.unexpected.iter().map(stranger).collect(),
        })
    }
}

fn flow(row: &Row) -> Flow<'_> {
    let kernel = &row.expected.kernel;
    Flow {
        scenario: &row.expected.scenario,
        flow_type: kernel.flow_type,
        protocol: kernel.protocol,
        source: kernel.source,
        destination: kernel.destination,
        service: &row.expected.service,
        records: row.found.iter().map(|flow| flow.records).sum(),
        sides: row
            .sides()
            .map(|(kernel, fyke)| Side { node: kernel.node, fyke, kernel: kernel.totals })
            .collect(),
        differences: row.differences.iter().map(ToString::to_string).collect(),
    }
}

fn stranger(flow: &SeenFlow) -> Stranger<'_> {
    let end = |end: &SeenEnd| SocketAddr::new(end.address, end.port);
    Stranger {
        flow_id: flow.flow_id,
        protocol: flow.protocol,
        source: end(&flow.source),
        destination: end(&flow.destination),
        service: &flow.service,
        fyke: flow.totals,
    }
}

impl Row {
    /// Each Node's totals, the kernel's and Fyke's: one Node's or two.
    pub(super) fn sides(&self) -> impl Iterator<Item = (KernelSide, Option<Totals>)> + '_ {
        let kernel = &self.expected.kernel;
        let sum = |side: fn(&SeenFlow) -> Option<&SideTotals>| {
            let totals = self.found.iter().filter_map(side).map(|side| side.totals);
            (!self.found.is_empty()).then(|| totals.sum())
        };
        let source = (kernel.source_side, sum(|flow| flow.from_source.as_ref()));
        let destination = (kernel.destination_side, sum(|flow| flow.from_destination.as_ref()));
        let is_one_node = kernel.source_side == kernel.destination_side;
        std::iter::once(source).chain((!is_one_node).then_some(destination))
    }
}
