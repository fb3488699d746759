//! One flow of Fyke beside one connection of the kernel.

use std::fmt;

use crate::demo::Totals;
use crate::demo::check::{ExpectedFlow, Names, SeenEnd, SeenFlow, SideTotals};
use crate::demo::judge::{KernelFlow, KernelSide};

/// One way in which Fyke and the kernel, or Fyke and the scenario, disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Fyke has no flow for the connection.
    Missing,
    /// Fyke took one connection for several.
    Split { flow_ids: Vec<u64> },
    /// A word of the record is wrong.
    Field { what: &'static str, fyke: String, expected: String },
    /// A Node's report never came.
    SideMissing { node: &'static str },
    /// A number is wrong that a Node told.
    Count { what: &'static str, node: &'static str, fyke: u64, kernel: u64 },
    /// A number of the flow as a whole is wrong, which is to be that of `node`.
    CommonCount { what: &'static str, node: &'static str, fyke: u64, kernel: u64 },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Fyke has no flow for this connection"),
            Self::Split { flow_ids } => {
                write!(f, "Fyke has {} flows: {flow_ids:?}", flow_ids.len())
            }
            Self::Field { what, fyke, expected } => {
                write!(f, "{what} is {fyke:?}, not {expected:?}")
            }
            Self::SideMissing { node } => write!(f, "the totals of {node} are missing"),
            Self::Count { what, node, fyke, kernel } => {
                write!(f, "{what} on {node}: {fyke}, but the kernel counted {kernel}")
            }
            Self::CommonCount { what, node, fyke, kernel } => {
                write!(f, "{what} of the flow: {fyke}, but the kernel of {node} counted {kernel}")
            }
        }
    }
}

/// Whether `seen` runs between the ends of `kernel`, in either direction. Swapped ends
/// are a difference to report, not another connection.
pub(super) fn is_between(kernel: &KernelFlow, seen: &SeenFlow) -> bool {
    let [from, to] = [kernel.source.ip(), kernel.destination.ip()];
    let ends = (seen.source.address, seen.destination.address);
    seen.protocol == kernel.protocol && (ends == (from, to) || ends == (to, from))
}

/// Lists all that is wrong with `seen`.
pub(super) fn differences(expected: &ExpectedFlow, seen: &SeenFlow) -> Vec<Difference> {
    let kernel = &expected.kernel;
    let mut list = Vec::new();
    ends(kernel, seen, &mut list);
    let flow_type = kernel.flow_type.number();
    field(&mut list, "flow type", &seen.flow_type, &flow_type);
    names(&mut list, "source", &seen.source, &expected.source);
    names(&mut list, "destination", &seen.destination, &expected.destination);
    field(&mut list, "Service", &seen.service, &expected.service);
    field(&mut list, "Service port", &seen.service_port, &expected.service_port);
    side(&mut list, seen.from_source.as_ref(), &kernel.source_side);
    let is_told_already =
        kernel.source_side == kernel.destination_side && seen.from_source == seen.from_destination;
    if !is_told_already {
        side(&mut list, seen.from_destination.as_ref(), &kernel.destination_side);
    }
    common(&mut list, seen, kernel);
    list
}

fn ends(kernel: &KernelFlow, seen: &SeenFlow, list: &mut Vec<Difference>) {
    field(list, "source address", &seen.source.address, &kernel.source.ip());
    field(list, "destination address", &seen.destination.address, &kernel.destination.ip());
    field(list, "source port", &seen.source.port, &kernel.source.port());
    let has_ports = !matches!(kernel.protocol, 1 | 58);
    if has_ports {
        field(list, "destination port", &seen.destination.port, &kernel.destination.port());
    }
}

fn names(list: &mut Vec<Difference>, end: &'static str, seen: &SeenEnd, expected: &Names) {
    let of = |what| match (end, what) {
        ("source", "Pod") => "source Pod",
        ("source", "namespace") => "source namespace",
        ("source", _) => "source Node",
        (_, "Pod") => "destination Pod",
        (_, "namespace") => "destination namespace",
        _ => "destination Node",
    };
    field(list, of("Pod"), seen.pod.as_str(), expected.pod);
    field(list, of("namespace"), seen.namespace.as_str(), expected.namespace);
    field(list, of("Node"), seen.node.as_str(), expected.node);
}

fn field<T: PartialEq + ToString + ?Sized>(
    list: &mut Vec<Difference>,
    what: &'static str,
    fyke: &T,
    expected: &T,
) {
    if fyke != expected {
        let (fyke, expected) = (fyke.to_string(), expected.to_string());
        list.push(Difference::Field { what, fyke, expected });
    }
}

fn side(list: &mut Vec<Difference>, seen: Option<&SideTotals>, kernel: &KernelSide) {
    let node = kernel.node;
    let Some(seen) = seen else {
        return list.push(Difference::SideMissing { node });
    };
    // No element of a record names the Node that traffic from outside came in by.
    if !seen.node.is_empty() {
        field(list, "reporting Node", seen.node.as_str(), node);
    }
    field(list, "conntrack id", &seen.conntrack_id, &u64::from(kernel.id));
    let wrong = wrong_numbers(seen.totals, kernel.totals);
    list.extend(wrong.map(|(what, fyke, kernel)| Difference::Count { what, node, fyke, kernel }));
}

/// The counters that are no Node's in particular are the source Node's, and the destination's
/// only where the source's half never came (docs/decisions/0004).
fn common(list: &mut Vec<Difference>, seen: &SeenFlow, kernel: &KernelFlow) {
    let KernelSide { node, totals, .. } =
        if seen.from_source.is_some() { kernel.source_side } else { kernel.destination_side };
    let wrong = wrong_numbers(seen.totals, totals);
    list.extend(wrong.map(|(what, fyke, kernel)| Difference::CommonCount {
        what,
        node,
        fyke,
        kernel,
    }));
}

/// What differs: its name, Fyke's number, and the kernel's.
fn wrong_numbers(fyke: Totals, kernel: Totals) -> impl Iterator<Item = (&'static str, u64, u64)> {
    let pairs = numbers(fyke).into_iter().zip(numbers(kernel));
    pairs
        .map(|((what, fyke), (_, kernel))| (what, fyke, kernel))
        .filter(|(_, fyke, kernel)| fyke != kernel)
}

fn numbers(totals: Totals) -> [(&'static str, u64); 4] {
    [
        ("packets", totals.packets),
        ("octets", totals.octets),
        ("reverse packets", totals.reverse_packets),
        ("reverse octets", totals.reverse_octets),
    ]
}
