//! Fyke's numbers beside the kernel's.
//!
//! For each connection the kernel saw there must be exactly one flow of Fyke, with the
//! right names on both ends and the right four numbers, each Node's and the flow's own; and
//! Fyke must not have seen any that the kernel did not. Anything else is told, and turns
//! the demo's exit code red.

mod compare; // one flow beside one connection
mod json; // the result for programs
mod table; // the result for people

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

pub use self::compare::Difference;
use super::judge::{KernelFlow, KernelSide};
use super::totals::Totals;

/// One end of a flow as Fyke recorded it. Names are empty where it knows none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEnd {
    pub address: IpAddr,
    /// The Echo identifier for ICMP, at the source; not looked at otherwise.
    pub port: u16,
    pub pod: String,
    pub namespace: String,
    pub node: String,
}

/// What Fyke recorded from one Node: the sum of all deltas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideTotals {
    /// The reporting Node's own id of the connection.
    pub conntrack_id: u64,
    pub node: String,
    pub totals: Totals,
}

/// A flow as Fyke recorded it, put together from all its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFlow {
    pub flow_id: u64,
    pub records: u32,
    pub protocol: u8,
    /// Antrea's `flowType`.
    pub flow_type: u8,
    pub source: SeenEnd,
    pub destination: SeenEnd,
    /// `namespace/name:portName` of the Service that was dialled; empty without one.
    pub service: String,
    /// The port that was dialled; 0 without a Service.
    pub service_port: u16,
    /// The sum of the deltas that are nobody's in particular (`octetDeltaCount` and so on).
    pub totals: Totals,
    /// Both carry the same numbers where one Node sees the whole flow.
    pub from_source: Option<SideTotals>,
    pub from_destination: Option<SideTotals>,
}

/// The names one end of a flow must carry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    pub pod: &'static str,
    pub namespace: &'static str,
    pub node: &'static str,
}

/// A flow that must be found: what the kernel counted, and what the scenario says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedFlow {
    /// The scenario it was made by.
    pub scenario: String,
    pub kernel: KernelFlow,
    pub source: Names,
    pub destination: Names,
    pub service: String,
    pub service_port: u16,
}

/// One expected flow and what was found for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub expected: ExpectedFlow,
    /// What Fyke has for it: exactly one unless something is wrong.
    pub found: Vec<SeenFlow>,
    pub differences: Vec<Difference>,
}

/// The whole comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub rows: Vec<Row>,
    /// Flows of Fyke that belong to no connection of the kernel.
    pub unexpected: Vec<SeenFlow>,
}

/// Compares all that was expected with all that was seen.
pub fn compare(expected: Vec<ExpectedFlow>, seen: &[SeenFlow]) -> Verdict {
    let index = Index::of(seen);
    let mut claimed = vec![false; seen.len()];
    let rows = expected
        .into_iter()
        .map(|expected| {
            let positions = index.of_same_connection(&expected, seen);
            for &position in &positions {
                claimed[position] = true;
            }
            let found = positions.iter().map(|&position| seen[position].clone()).collect();
            Row::new(expected, found)
        })
        .collect();
    let unclaimed = seen.iter().zip(claimed).filter(|(_, claimed)| !claimed);
    Verdict { rows, unexpected: unclaimed.map(|(flow, _)| flow.clone()).collect() }
}

impl Row {
    fn new(expected: ExpectedFlow, found: Vec<SeenFlow>) -> Self {
        let differences = match &*found {
            [] => vec![Difference::Missing],
            [flow] => compare::differences(&expected, flow),
            flows => {
                vec![Difference::Split { flow_ids: flows.iter().map(|f| f.flow_id).collect() }]
            }
        };
        Self { expected, found, differences }
    }

    pub fn is_missing(&self) -> bool {
        self.found.is_empty()
    }

    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

impl Verdict {
    pub fn is_equal(&self) -> bool {
        self.unexpected.is_empty() && self.rows.iter().all(Row::is_equal)
    }

    pub fn expected(&self) -> usize {
        self.rows.len()
    }

    pub fn missing(&self) -> usize {
        self.rows.iter().filter(|row| row.is_missing()).count()
    }

    pub fn found(&self) -> usize {
        self.expected() - self.missing()
    }

    /// Flows that were found, but differ.
    pub fn mismatched(&self) -> usize {
        self.rows.iter().filter(|row| !row.is_missing() && !row.is_equal()).count()
    }
}

/// Where in the list a Node's connection is. An id alone says nothing: each Node's
/// kernel hands them out by itself, and may use one twice.
struct Index(HashMap<(String, u64), BTreeSet<usize>>);

impl Index {
    fn of(seen: &[SeenFlow]) -> Self {
        let mut index: HashMap<_, BTreeSet<_>> = HashMap::new();
        for (position, flow) in seen.iter().enumerate() {
            for side in [&flow.from_source, &flow.from_destination].into_iter().flatten() {
                let key = (side.node.clone(), side.conntrack_id);
                index.entry(key).or_default().insert(position);
            }
        }
        Self(index)
    }

    /// Flows that carry one of the connection's ids and run between the same addresses.
    fn of_same_connection(&self, expected: &ExpectedFlow, seen: &[SeenFlow]) -> BTreeSet<usize> {
        let KernelFlow { source_side, destination_side, .. } = &expected.kernel;
        let positions = |side: &KernelSide| self.0.get(&(side.node.to_owned(), u64::from(side.id)));
        [source_side, destination_side]
            .into_iter()
            .filter_map(positions)
            .flatten()
            .copied()
            .filter(|&position| compare::is_between(&expected.kernel, &seen[position]))
            .collect()
    }
}

#[cfg(test)]
mod tests;
