//! The Collecting Process: Transport Sessions become batches of Flow Records.
//!
//! Those of IPFIX are [`ipfix::transport::collect`]'s: a task each, and what a peer sends can end its own
//! and nothing else. Here is what becomes of their messages. A full queue stops the reading, and
//! TCP stops the sender.
//!
//! A Flow Record takes far more memory than its bytes on the wire. So the records that exist
//! between here and correlation are bounded in number, over all sessions, and a message is not
//! decoded before there is room for as many records as its length allows.
mod decoder; // messages become Flow Records
mod room; // how many there may be
mod session; // what each session of IPFIX does with its messages
mod grpc; // sessions of the other protocol
mod netflow; // datagrams of routers
mod reporter; // what every session does with its records
mod claims; // which Node a session may speak for
mod senders; // who has been heard, and by how many sessions at once
mod live; // sessions as others see them
mod pace; // how often the log is told
mod counters; // what is counted
mod gauges; // what is shown of sessions and Nodes when it is asked for

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use flow::FlowRecord;
use ipfix::transport::collect::{CollectingProcess, Limits};
use ipfix::transport::{KernelDrops, ServerTls};
use k8s::Cluster;
use k8s::certificates::ServerSource;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::metrics::Metrics;
pub use claims::{Claims, Verdict};
pub use decoder::Decoder;
pub use live::{SessionCounters, SessionReport, Transport};
pub use room::Room;
pub use senders::NodeReport;

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
    /// Open at a time: over TCP and TLS together, and over gRPC.
    pub sessions: usize,
    /// Peers that are remembered over UDP, and of `NetFlow`. Anybody can make some up.
    pub datagram_peers: usize,
    /// Records that are being decoded or wait for correlation, over all sessions: about 20 MB.
    pub records: usize,
    /// A session on a connection that is silent for this long is closed.
    pub idle: Duration,
    /// A peer that sends datagrams is forgotten after such a silence, and its Templates with it.
    pub idle_datagrams: Duration,
}

impl Default for CollectorLimits {
    fn default() -> Self {
        Self {
            sessions: 4096,
            datagram_peers: 1024,
            records: 65_536,
            idle: Duration::from_mins(10),
            idle_datagrams: Duration::from_mins(30),
        }
    }
}

/// A moment by both clocks. Where no more than a moment is known, it tells the time of day.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    at: Instant,
    unix_ms: u64,
}

impl Epoch {
    /// `at` was `unix_ms` milliseconds after 1970 began.
    pub const fn new(at: Instant, unix_ms: u64) -> Self {
        Self { at, unix_ms }
    }

    fn ms(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.at).as_millis();
        self.unix_ms.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

/// What is remembered of one connection: Antrea's Agents have two templates of 43 fields. A field
/// takes about 32 bytes, so 1 MiB at worst, and 4 GiB over all connections there may be.
const CONNECTED: ipfix::decode::Limits =
    ipfix::decode::Limits { templates: 128, fields_per_template: 256, domains: 64 };
/// And of one peer over UDP, whose address anybody can make up: 256 KiB at worst, 256 MiB over all.
const STRANGERS: ipfix::decode::Limits =
    ipfix::decode::Limits { templates: 64, fields_per_template: 128, domains: 16 };

/// What the Collecting Process is told.
#[derive(Debug, Clone, Copy)]
pub struct CollectOptions {
    pub limits: CollectorLimits,
    /// What becomes of records whose session may not speak for the Node they name.
    pub claims: Claims,
    /// How long a Node of the cluster tells nothing before it counts as silent.
    pub silent_after: Duration,
}

impl Default for CollectOptions {
    fn default() -> Self {
        let silent_after = Duration::from_mins(5);
        Self { limits: CollectorLimits::default(), claims: Claims::Count, silent_after }
    }
}

/// The Collecting Process. Clones are the same process.
///
/// Every method that takes a socket runs until `shutdown` turns true, then reads what has been
/// sent by then.
#[derive(Debug, Clone)]
pub struct Collecting {
    shared: Arc<Shared>,
    streams: CollectingProcess<session::Sessions>,
    datagrams: CollectingProcess<session::Sessions>,
    places: grpc::Places,
}

/// What all sessions have in common.
#[derive(Debug)]
struct Shared {
    options: CollectOptions,
    room: Room,
    metrics: Arc<Metrics>,
    seen: Arc<Seen>,
}

/// What sessions have told of themselves.
#[derive(Debug)]
struct Seen {
    counters: counters::Counters,
    cluster: Option<Arc<ArcSwap<Cluster>>>,
    senders: senders::Senders,
    roster: live::Roster,
    epoch: Epoch,
    silent_after: Duration,
    /// For peers that get no session, and for records that were lost.
    refusals: pace::Pace,
    losses: pace::Pace,
}

/// Who is connected, and what was heard of Nodes. Clones see the same.
///
/// Unlike a [`Collecting`] it keeps no queue open: whoever looks does not keep a process from
/// ending.
#[derive(Debug, Clone)]
pub struct Connected(Arc<Seen>);

impl Collecting {
    /// Records go to `room`. Without a `cluster` nobody knows which Node a peer is.
    pub fn new(
        options: CollectOptions,
        room: Room,
        metrics: Arc<Metrics>,
        cluster: Option<Arc<ArcSwap<Cluster>>>,
        epoch: Epoch,
    ) -> Self {
        let CollectorLimits { sessions, datagram_peers, idle, idle_datagrams, .. } = options.limits;
        let seen = Arc::new(Seen {
            counters: counters::Counters::default(),
            cluster,
            senders: senders::Senders::default(),
            roster: live::Roster::default(),
            epoch,
            silent_after: options.silent_after,
            refusals: pace::Pace::default(),
            losses: pace::Pace::default(),
        });
        let shared = Arc::new(Shared { options, room, metrics, seen });
        let session = CONNECTED;
        let limits =
            Limits { sessions, session, idle, idle_udp: idle_datagrams, ..Limits::default() };
        let few = Limits { sessions: datagram_peers, session: STRANGERS, ..limits };
        let opens = || session::Sessions::new(Arc::clone(&shared));
        Self {
            streams: CollectingProcess::new(opens(), limits),
            datagrams: CollectingProcess::new(opens(), few),
            places: grpc::Places::new(sessions),
            shared,
        }
    }

    /// Accepts sessions of IPFIX over TCP. Nobody is asked who they are.
    pub async fn tcp(&self, listener: TcpListener, shutdown: watch::Receiver<bool>) {
        self.streams.tcp(listener, shutdown).await;
    }

    /// Accepts sessions of IPFIX over TLS. Each handshake uses the certificates of its moment.
    pub async fn tls(
        &self,
        listener: TcpListener,
        certificates: ServerSource,
        shutdown: watch::Receiver<bool>,
    ) {
        let tls = ServerTls::new(move || certificates.config());
        self.streams.tls(listener, tls, shutdown).await;
    }

    /// Takes IPFIX from a socket of [`ipfix::transport::bind_udp`].
    pub async fn udp(&self, socket: UdpSocket, shutdown: watch::Receiver<bool>) {
        self.follow_drops("udp", &socket);
        self.datagrams.udp(socket, shutdown).await;
    }

    /// Takes `NetFlow` of versions 5 and 9 from a socket of [`ipfix::transport::bind_udp`].
    pub async fn netflow(&self, socket: UdpSocket, shutdown: watch::Receiver<bool>) {
        self.follow_drops("netflow", &socket);
        netflow::listen(&self.shared, socket, shutdown).await;
    }

    /// Accepts connections over gRPC. Without certificates they are not encrypted.
    pub async fn grpc(
        &self,
        listener: TcpListener,
        certificates: Option<ServerSource>,
        shutdown: watch::Receiver<bool>,
    ) {
        grpc::listen(&self.shared, listener, certificates, &self.places, shutdown).await;
    }

    /// Who is connected, for others to look at.
    pub fn connected(&self) -> Connected {
        Connected(Arc::clone(&self.shared.seen))
    }

    fn follow_drops(&self, listener: &'static str, socket: &UdpSocket) {
        match KernelDrops::of(socket) {
            Ok(drops) => self.shared.seen.counters.follow_drops(listener, drops),
            Err(error) => tracing::warn!(%error, "what the kernel drops is not known"),
        }
    }
}

impl Connected {
    /// The sessions that are open, oldest first: `limit` of them at most, and how many there are.
    pub fn sessions(&self, limit: usize) -> (Vec<SessionReport>, usize) {
        self.0.roster.sessions(limit)
    }

    /// What was heard of the cluster's Nodes, and of those that records name while the cluster is
    /// not known, by name.
    pub fn nodes(&self, now: Instant) -> Vec<NodeReport> {
        let cluster = self.0.cluster.as_ref().map(|cluster| cluster.load_full());
        self.0.senders.report(cluster.as_deref(), self.0.epoch.ms(now))
    }

    /// Has every family show a series, for a Node or listener of this name.
    #[cfg(test)]
    pub(crate) fn show_all(&self, name: &'static str) {
        self.0.senders.node(&name.into(), 0).told(1, 0, 0);
        self.0.counters.show_drops(name);
    }

    /// Makes what is counted here visible.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(gauges::Gauges(self.clone())));
        self.0.counters.register(registry.sub_registry_with_prefix("fyke_aggregator"));
    }
}

#[cfg(test)]
mod tests;
