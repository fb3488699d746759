//! What is seen, while it is seen: the aggregator's log of records, one line each.
//!
//! The log may not exist yet, its last line may not be complete yet, and with many
//! connections it grows faster than anyone reads. None of that is an error.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::demo::judge::FlowType;

/// Lines shown per look; the rest is counted.
const MOST_LINES: usize = 8;

#[derive(Debug)]
pub(super) struct Live {
    path: PathBuf,
    offset: u64,
    /// The beginning of a line whose end is not written yet.
    unfinished: String,
    last_news: Instant,
}

/// The keys of a record that are shown. All are Antrea's names.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record {
    flow_type: u8,
    protocol_identifier: u8,
    source_pod_name: String,
    #[serde(rename = "sourceIP")]
    source_ip: Option<String>,
    destination_pod_name: String,
    #[serde(rename = "destinationIP")]
    destination_ip: Option<String>,
    destination_transport_port: u16,
    destination_service_port_name: String,
    octet_delta_count: u64,
    reverse_octet_delta_count: u64,
}

impl Live {
    pub(super) fn follow(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            offset: 0,
            unfinished: String::new(),
            last_news: Instant::now(),
        }
    }

    /// How long ago the log last grew.
    pub(super) fn quiet_for(&self) -> Duration {
        self.last_news.elapsed()
    }

    /// Reads what is new in the log, as lines to show.
    pub(super) fn news(&mut self) -> Result<Vec<String>> {
        let text = self.read().with_context(|| format!("cannot read {}", self.path.display()))?;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        self.last_news = Instant::now();
        Ok(lines(&mut self.unfinished, &text))
    }

    fn read(&mut self) -> std::io::Result<String> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
            file => file?,
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        self.offset += file.read_to_end(&mut bytes)? as u64;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn lines(unfinished: &mut String, text: &str) -> Vec<String> {
    unfinished.push_str(text);
    let Some((complete, rest)) = unfinished.rsplit_once('\n') else { return Vec::new() };
    let mut lines: Vec<String> = complete.lines().take(MOST_LINES).map(describe).collect();
    let more = complete.lines().count() - lines.len();
    if more > 0 {
        lines.push(format!("  … and {more} more records"));
    }
    *unfinished = rest.to_owned();
    lines
}

fn describe(line: &str) -> String {
    let record: Record = match serde_json::from_str(line) {
        Ok(record) => record,
        Err(error) => return format!("  a record that cannot be read: {error}"),
    };
    let protocol = match record.protocol_identifier {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        number => number.to_string(),
    };
    let from = end(&record.source_pod_name, record.source_ip.as_deref());
    let mut to = end(&record.destination_pod_name, record.destination_ip.as_deref());
    if record.destination_transport_port != 0 {
        to = format!("{to}:{}", record.destination_transport_port);
    }
    if !record.destination_service_port_name.is_empty() {
        to = format!("{to} via {}", record.destination_service_port_name);
    }
    format!(
        "  {:13} {protocol:6} {from} → {to}  {} B there, {} B back",
        flow_type(record.flow_type),
        record.octet_delta_count,
        record.reverse_octet_delta_count
    )
}

fn end(pod: &str, address: Option<&str>) -> String {
    if pod.is_empty() { address.unwrap_or("?").to_owned() } else { pod.to_owned() }
}

fn flow_type(number: u8) -> &'static str {
    let all =
        [FlowType::IntraNode, FlowType::InterNode, FlowType::ToExternal, FlowType::FromExternal];
    all.into_iter().find(|t| t.number() == number).map_or("unspecified", FlowType::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"flowType":2,"protocolIdentifier":6,"sourcePodName":"web-0",
        "destinationPodName":"orders-0","destinationTransportPort":8080,"octetDeltaCount":7,
        "destinationServicePortName":"shop/orders:http","reverseOctetDeltaCount":9,"more":[]}"#;

    #[test]
    fn a_record_is_one_line() {
        let line = describe(&RECORD.replace('\n', ""));
        assert_eq!(
            line,
            "  inter-node    tcp    web-0 → orders-0:8080 via shop/orders:http  7 B there, 9 B back"
        );
    }

    #[test]
    fn an_unfinished_line_waits_for_its_end() {
        let mut unfinished = String::new();
        assert!(lines(&mut unfinished, "{\"flowType\"").is_empty());
        assert_eq!(lines(&mut unfinished, ":1}\n{").len(), 1);
        assert_eq!(unfinished, "{");
    }

    #[test]
    fn a_flood_is_counted() {
        let shown = lines(&mut String::new(), &"{}\n".repeat(100));
        assert_eq!(shown.len(), MOST_LINES + 1);
        assert_eq!(shown.last().unwrap(), "  … and 92 more records");
    }
}
