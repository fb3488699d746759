//! ClickHouse, for tests: the engine of today behind an HTTP interface of ours, which can be made to
//! fail, and an old server, which is a whole one.
mod engine; // today's engine
mod old_server; // Debian's server, 18.16

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::Duration;

pub use engine::{Engine, Fault, Seen, Stats};
pub use old_server::OldServer;

use crate::binary::signal;

/// Who tests are to ClickHouse.
pub const USER: &str = "fyke";
pub const PASSWORD: &str = "s3cret";

/// Antrea's own table, as the chart of its end-to-end tests makes it, but for its TTL: 53 columns.
/// A retry of what was stored stores nothing, as in a replicated table.
pub fn antrea_table(name: &str) -> String {
    let columns: Vec<_> =
        ANTREA_COLUMNS.iter().map(|(column, kind)| format!("{column} {kind}")).collect();
    format!(
        "CREATE TABLE {name} ({}) ENGINE = MergeTree ORDER BY (timeInserted, flowEndSeconds) \
         SETTINGS non_replicated_deduplication_window = 1000",
        columns.join(", ")
    )
}

/// Names and types, in order.
pub const ANTREA_COLUMNS: [(&str, &str); 53] = [
    ("timeInserted", "DateTime DEFAULT now()"),
    ("flowStartSeconds", "DateTime"),
    ("flowEndSeconds", "DateTime"),
    ("flowEndSecondsFromSourceNode", "DateTime"),
    ("flowEndSecondsFromDestinationNode", "DateTime"),
    ("flowEndReason", "UInt8"),
    ("sourceIP", "String"),
    ("destinationIP", "String"),
    ("sourceTransportPort", "UInt16"),
    ("destinationTransportPort", "UInt16"),
    ("protocolIdentifier", "UInt8"),
    ("packetTotalCount", "UInt64"),
    ("octetTotalCount", "UInt64"),
    ("packetDeltaCount", "UInt64"),
    ("octetDeltaCount", "UInt64"),
    ("reversePacketTotalCount", "UInt64"),
    ("reverseOctetTotalCount", "UInt64"),
    ("reversePacketDeltaCount", "UInt64"),
    ("reverseOctetDeltaCount", "UInt64"),
    ("sourcePodName", "String"),
    ("sourcePodNamespace", "String"),
    ("sourceNodeName", "String"),
    ("destinationPodName", "String"),
    ("destinationPodNamespace", "String"),
    ("destinationNodeName", "String"),
    ("destinationClusterIP", "String"),
    ("destinationServicePort", "UInt16"),
    ("destinationServicePortName", "String"),
    ("ingressNetworkPolicyName", "String"),
    ("ingressNetworkPolicyNamespace", "String"),
    ("ingressNetworkPolicyRuleName", "String"),
    ("ingressNetworkPolicyRuleAction", "UInt8"),
    ("ingressNetworkPolicyType", "UInt8"),
    ("egressNetworkPolicyName", "String"),
    ("egressNetworkPolicyNamespace", "String"),
    ("egressNetworkPolicyRuleName", "String"),
    ("egressNetworkPolicyRuleAction", "UInt8"),
    ("egressNetworkPolicyType", "UInt8"),
    ("tcpState", "String"),
    ("flowType", "UInt8"),
    ("sourcePodLabels", "String"),
    ("destinationPodLabels", "String"),
    ("throughput", "UInt64"),
    ("reverseThroughput", "UInt64"),
    ("throughputFromSourceNode", "UInt64"),
    ("throughputFromDestinationNode", "UInt64"),
    ("reverseThroughputFromSourceNode", "UInt64"),
    ("reverseThroughputFromDestinationNode", "UInt64"),
    ("clusterUUID", "String"),
    ("trusted", "UInt8 DEFAULT 0"),
    ("egressName", "String"),
    ("egressIP", "String"),
    ("egressNodeName", "String"),
];

/// A server's process, if it runs; it ends with the test.
#[derive(Debug, Default)]
struct Running(Option<Child>);

impl Running {
    /// Ends it in good order.
    fn stop(&mut self) {
        if let Some(mut process) = self.0.take() {
            signal(process.id(), "TERM");
            process.wait().expect("its end");
        }
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        if let Some(mut process) = self.0.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks by HTTP as plain as can be: nothing of the product has a part in it. Returns the status and
/// the answer.
fn post(port: u16, path: &str, headers: &str, body: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_mins(2)))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer).map_err(io::Error::other)?;
    let cut_off = || io::Error::other("the answer is cut off");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut_off)?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(cut_off)?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { joined(body).ok_or_else(cut_off)? } else { body.to_owned() };
    Ok((status, body))
}

/// What chunks tell together (RFC 9112, section 7.1).
fn joined(mut chunks: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n")?;
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..length)?);
        chunks = rest.get(length + 2..)?;
    }
}

/// Asks as the user of tests.
fn try_ask(port: u16, statement: &str) -> io::Result<(u16, String)> {
    let who = format!("X-ClickHouse-User: {USER}\r\nX-ClickHouse-Key: {PASSWORD}\r\n");
    post(port, "/", &who, statement)
}

/// As [`try_ask`]; fails if the answer is not good.
#[track_caller]
fn ask(port: u16, statement: &str) -> String {
    let (status, answer) = try_ask(port, statement).expect("an answer");
    assert_eq!(status, 200, "{statement}: {answer}");
    answer
}
