//! The Collecting Process: Transport Sessions become batches of Flow Records.
//!
//! Those of IPFIX are [`ipfix::transport::collect`]'s: a task each, and what a peer sends can end its own
//! and nothing else. Here is what becomes of their messages. A full queue stops the reading, and
//! TCP stops the sender.
//!
//! A Flow Record takes far more memory than its bytes on the wire. So the records that exist
//! between here and correlation are bounded in number, over all sessions, and a message is not
//! decoded before there is room for as many records as its length allows.
pub mod grpc; // sessions of the other protocol
mod decoder; // messages become Flow Records
mod room; // how many there may be
mod session; // what each session does with its messages

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use flow::FlowRecord;
use ipfix::transport::ServerTls;
use ipfix::transport::collect::{CollectingProcess, Limits};
use k8s::certificates::ServerSource;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::metrics::Metrics;
pub use decoder::{Decoder, Malformed};
pub use room::Room;
use session::Sessions;

/// What one message of a session told, or some flows of one Node.
#[derive(Debug)]
pub struct Reported {
    /// Whose session it was: with tunnels between Nodes, the Node's gateway.
    pub peer: IpAddr,
    /// The Node, by Observation Domain.
    pub domain: u32,
    pub records: Vec<FlowRecord>,
    /// Given back when the records have been taken.
    _room: OwnedSemaphorePermit,
}

/// Bounds of the Collecting Process.
#[derive(Debug, Clone, Copy)]
pub struct CollectorLimits {
    /// Open at a time, of each protocol.
    pub sessions: usize,
    /// Records that are being decoded or wait for correlation, over all sessions: about 45 MB.
    pub records: usize,
    /// A session that is silent for this long is closed.
    pub idle: Duration,
}

impl Default for CollectorLimits {
    fn default() -> Self {
        Self { sessions: 4096, records: 65_536, idle: Duration::from_mins(10) }
    }
}

/// Accepts Transport Sessions of IPFIX over TCP until `shutdown` turns true, then lets those that are open finish.
pub async fn collect(
    listener: TcpListener,
    limits: CollectorLimits,
    room: Room,
    metrics: Arc<Metrics>,
    shutdown: watch::Receiver<bool>,
) {
    process(limits, room, metrics).tcp(listener, shutdown).await;
}

/// As [`collect()`], over TLS. Each handshake uses what `certificates` says then.
pub async fn collect_tls(
    listener: TcpListener,
    certificates: ServerSource,
    limits: CollectorLimits,
    room: Room,
    metrics: Arc<Metrics>,
    shutdown: watch::Receiver<bool>,
) {
    let tls = ServerTls::new(move || certificates.config());
    process(limits, room, metrics).tls(listener, tls, shutdown).await;
}

/// As [`collect()`], over UDP.
pub async fn collect_udp(
    socket: UdpSocket,
    limits: CollectorLimits,
    room: Room,
    metrics: Arc<Metrics>,
    shutdown: watch::Receiver<bool>,
) {
    process(limits, room, metrics).udp(socket, shutdown).await;
}

fn process(
    limits: CollectorLimits,
    room: Room,
    metrics: Arc<Metrics>,
) -> CollectingProcess<Sessions> {
    let CollectorLimits { sessions, idle, .. } = limits;
    let limits = Limits { sessions, idle, ..Limits::default() };
    CollectingProcess::new(Sessions { room, metrics }, limits)
}

#[cfg(test)]
mod tests;
