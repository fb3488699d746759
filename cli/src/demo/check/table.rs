//! The result for people: a table, what is wrong, and the check line.
//!
//! One line holds one Node's totals of one flow, Fyke's beside the kernel's. Scenarios
//! with many connections get one line per Node with their sums.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;

use super::{Row, Verdict};
use crate::demo::Totals;

/// Scenarios with more flows than this are summed up.
const MANY: usize = 3;

/// Differences that are spelled out; the rest is counted.
const MOST_DIFFERENCES: usize = 20;

const HEADINGS: [&str; 8] =
    ["FLOW", "TYPE", "FROM", "TO", "NODE", "PACKETS fyke | kernel", "BYTES fyke | kernel", ""];

impl Verdict {
    /// Writes the table, the differences, and the check line.
    pub fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut lines = vec![HEADINGS.map(str::to_owned)];
        for group in self.rows.chunk_by(|a, b| a.expected.scenario == b.expected.scenario) {
            lines.extend(group_lines(group));
        }
        write_aligned(out, &lines)?;
        self.write_differences(out)?;
        writeln!(out, "{}", self.check_line())
    }

    /// "check: 224 flows expected, 224 found, 0 mismatched: OK".
    pub fn check_line(&self) -> String {
        let mut line = format!(
            "check: {} flows expected, {} found, {} mismatched",
            self.expected(),
            self.found(),
            self.mismatched()
        );
        if !self.unexpected.is_empty() {
            write!(line, ", {} unexpected", self.unexpected.len())
                .expect("writing to a String cannot fail");
        }
        line + if self.is_equal() { ": OK" } else { ": DIFFERENT" }
    }

    fn write_differences(&self, out: &mut dyn Write) -> io::Result<()> {
        let wrong = self.rows.iter().flat_map(|row| {
            let KernelEnds { from, to } = KernelEnds::of(row);
            let scenario = &row.expected.scenario;
            row.differences.iter().map(move |what| format!("{scenario}, {from} → {to}: {what}"))
        });
        let strangers = self.unexpected.iter().map(|flow| {
            let end = |end: &super::SeenEnd| SocketAddr::new(end.address, end.port);
            let (from, to) = (end(&flow.source), end(&flow.destination));
            format!("flow {}, {from} → {to}: the kernel has no such connection", flow.flow_id)
        });
        let all: Vec<String> = wrong.chain(strangers).collect();
        writeln!(out)?;
        for difference in all.iter().take(MOST_DIFFERENCES) {
            writeln!(out, "{difference}")?;
        }
        match all.len().saturating_sub(MOST_DIFFERENCES) {
            0 => Ok(()),
            more => writeln!(out, "… and {more} more differences"),
        }
    }
}

struct KernelEnds {
    from: SocketAddr,
    to: SocketAddr,
}

impl KernelEnds {
    fn of(row: &Row) -> Self {
        Self { from: row.expected.kernel.source, to: row.expected.kernel.destination }
    }
}

fn group_lines(group: &[Row]) -> Vec<[String; 8]> {
    if group.len() > MANY {
        return lines(group);
    }
    group.iter().flat_map(|row| lines(std::slice::from_ref(row))).collect()
}

/// One line per Node with the sums over `rows`, which are of one scenario.
fn lines(rows: &[Row]) -> Vec<[String; 8]> {
    let Some(first) = rows.first() else { return Vec::new() };
    let mut nodes: BTreeMap<&str, (Totals, Totals)> = BTreeMap::new();
    for (kernel, fyke) in rows.iter().flat_map(Row::sides) {
        let (fyke_sum, kernel_sum) = nodes.entry(kernel.node).or_default();
        *fyke_sum += fyke.unwrap_or_default();
        *kernel_sum += kernel.totals;
    }
    let expected = &first.expected;
    let many = if rows.len() > 1 { format!(" ×{}", rows.len()) } else { String::new() };
    let mut from = end(expected.source.pod, expected.kernel.source);
    let mut to = end(expected.destination.pod, expected.kernel.destination);
    if !expected.service.is_empty() {
        to = format!("{} via {}", to, expected.service);
    }
    let is_equal = rows.iter().all(Row::is_equal);
    let mut name = format!("{}{many}", expected.scenario);
    let mut flow_type = expected.kernel.flow_type.to_string();
    nodes
        .into_iter()
        .map(|(node, (fyke, kernel))| {
            // Words are not repeated on the second Node's line.
            let [name, flow_type, from, to] =
                [&mut name, &mut flow_type, &mut from, &mut to].map(std::mem::take);
            let packets =
                pair(fyke.packets, fyke.reverse_packets, kernel.packets, kernel.reverse_packets);
            let octets =
                pair(fyke.octets, fyke.reverse_octets, kernel.octets, kernel.reverse_octets);
            let mark = if is_equal { "ok" } else { "DIFFERENT" };
            [name, flow_type, from, to, node.to_owned(), packets, octets, mark.to_owned()]
        })
        .collect()
}

fn end(pod: &str, address: SocketAddr) -> String {
    if pod.is_empty() { address.ip().to_string() } else { pod.to_owned() }
}

/// "12/10 | 12/10": there and back, as Fyke has it and as the kernel has it.
fn pair(fyke: u64, fyke_back: u64, kernel: u64, kernel_back: u64) -> String {
    format!("{fyke}/{fyke_back} | {kernel}/{kernel_back}")
}

fn write_aligned(out: &mut dyn Write, lines: &[[String; 8]]) -> io::Result<()> {
    let mut widths = [0; 8];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for line in lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let text = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}
