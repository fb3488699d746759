//! Flows as a table for people: one aligned line each.

use std::io::{self, Write};
use std::net::IpAddr;

use flow::{Endpoint, FlowEndReason, FlowRecord, protocol};
use jiff::Timestamp;
use store::Flow;

const HEADER: [&str; 12] = [
    "START (UTC)",
    "SOURCE",
    "DESTINATION",
    "SERVICE",
    "PROTOCOL",
    "TYPE",
    "OCTETS",
    "PACKETS",
    "REV OCTETS",
    "REV PACKETS",
    "STATE",
    "END",
];

/// The columns that hold numbers, which are aligned to the right.
const NUMBERS: std::ops::Range<usize> = 6..10;

/// Shows flows as a table. The counts are those since the connection began.
pub fn table(flows: &[Flow], out: &mut dyn Write) -> io::Result<()> {
    let header = HEADER.map(str::to_owned);
    let lines: Vec<_> =
        std::iter::once(header).chain(flows.iter().map(|flow| cells(&flow.record))).collect();
    let mut widths = [0; HEADER.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    lines.iter().try_for_each(|line| write_line(line, &widths, out))
}

fn write_line(
    line: &[String; HEADER.len()],
    widths: &[usize; HEADER.len()],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut text = String::new();
    for (column, (cell, &width)) in line.iter().zip(widths).enumerate() {
        let padded = if NUMBERS.contains(&column) {
            format!("{cell:>width$}  ")
        } else {
            format!("{cell:<width$}  ")
        };
        text += &padded;
    }
    writeln!(out, "{}", text.trim_end())
}

fn cells(record: &FlowRecord) -> [String; HEADER.len()] {
    let FlowRecord { key, forward, reverse, .. } = record;
    [
        time(record.start_ms),
        end(&record.source, key.source, port(record, key.source_port)),
        end(&record.destination, key.destination, port(record, key.destination_port)),
        or_dash(&record.service.name),
        protocol::name(key.protocol).map_or_else(|| key.protocol.to_string(), str::to_owned),
        record.flow_type.name().to_owned(),
        forward.octets_total.to_string(),
        forward.packets_total.to_string(),
        reverse.octets_total.to_string(),
        reverse.packets_total.to_string(),
        or_dash(&record.tcp_state),
        reason(record.end_reason).to_owned(),
    ]
}

fn time(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

/// ICMP has no ports.
fn port(record: &FlowRecord, port: u16) -> Option<u16> {
    let has_none = matches!(record.key.protocol, protocol::ICMP | protocol::ICMPV6);
    (!has_none).then_some(port)
}

/// `namespace/pod:port`, or the address where no Pod is known.
fn end(end: &Endpoint, address: IpAddr, port: Option<u16>) -> String {
    let host = match (end.pod.is_empty(), address) {
        (false, _) => printable(&format!("{}/{}", end.namespace, end.pod)),
        (true, IpAddr::V6(_)) if port.is_some() => format!("[{address}]"),
        (true, _) => address.to_string(),
    };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { printable(text) }
}

/// Names come from the network: none may move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn reason(reason: FlowEndReason) -> &'static str {
    match reason {
        FlowEndReason::Unspecified => "-",
        FlowEndReason::IdleTimeout => "idle",
        FlowEndReason::ActiveTimeout => "active",
        FlowEndReason::EndOfFlow => "ended",
        FlowEndReason::ForcedEnd => "forced",
        FlowEndReason::LackOfResources => "resources",
    }
}
