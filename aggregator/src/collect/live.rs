//! Sessions as others see them: who is connected since when, and what came of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow::Name;

/// Observation Domains and Nodes that are told of one session. An exporter has one of each; another
/// aggregator has more.
pub(super) const TOLD: usize = 16;

/// How messages arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// IPFIX, unprotected.
    Tcp,
    /// IPFIX over TLS.
    Tls,
    /// IPFIX in datagrams.
    Udp,
    Grpc,
    /// `NetFlow` of version 5 or 9, in datagrams.
    Netflow,
}

impl Transport {
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Tls, Self::Udp, Self::Grpc, Self::Netflow];

    /// As a metric's label has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
            Self::Grpc => "grpc",
            Self::Netflow => "netflow",
        }
    }
}

/// What one session has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionCounters {
    pub messages: u64,
    /// Of these messages, with their headers.
    pub octets: u64,
    /// Data Records that came, of use or not.
    pub records: u64,
    /// Data Records that sequence numbers show to be missing. `NetFlow` version 9 numbers its
    /// messages instead: there, messages.
    pub lost: u64,
    /// Templates that were new or changed.
    pub templates: u64,
    /// Messages, Sets and Templates that could not be used.
    pub errors: u64,
    /// Records that do not say between which addresses the flow is, or are too long.
    pub unusable: u64,
    /// Records that this session was not believed: see [`super::Claims`].
    pub refused: u64,
}

impl SessionCounters {
    fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.octets += other.octets;
        self.records += other.records;
        self.lost += other.lost;
        self.templates += other.templates;
        self.errors += other.errors;
        self.unusable += other.unusable;
        self.refused += other.refused;
    }
}

/// An open session, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReport {
    /// Counted from 1, in the order in which they were opened.
    pub id: u64,
    pub peer: SocketAddr,
    pub transport: Transport,
    /// The first 16 that it spoke for.
    pub domains: Vec<u32>,
    /// The first 16 that its records named.
    pub nodes: Vec<Name>,
    /// Milliseconds since 1970.
    pub since_ms: u64,
    /// Milliseconds since 1970; when it was opened, if there was none.
    pub last_message_ms: u64,
    pub counters: SessionCounters,
}

/// An open session.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) transport: Transport,
    since_ms: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last_message_ms: u64,
    counters: SessionCounters,
    domains: Vec<u32>,
    nodes: Vec<Name>,
}

/// Whoever panicked while it was locked has counted too little at worst.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// Counts what one message told.
    pub(super) fn count(&self, now_ms: u64, message: &SessionCounters) {
        let mut state = lock(&self.state);
        state.last_message_ms = now_ms;
        state.counters.add(message);
    }

    pub(super) fn speaks_for_domain(&self, domain: u32) {
        let domains = &mut lock(&self.state).domains;
        if domains.len() < TOLD && !domains.contains(&domain) {
            domains.push(domain);
        }
    }

    pub(super) fn names_node(&self, node: &Name) {
        let nodes = &mut lock(&self.state).nodes;
        if nodes.len() < TOLD && !nodes.contains(node) {
            nodes.push(node.clone());
        }
    }

    pub(super) fn has_told(&self) -> bool {
        lock(&self.state).counters.records > 0
    }

    fn report(&self) -> SessionReport {
        let state = lock(&self.state);
        SessionReport {
            id: self.id,
            peer: self.peer,
            transport: self.transport,
            domains: state.domains.clone(),
            nodes: state.nodes.clone(),
            since_ms: self.since_ms,
            last_message_ms: state.last_message_ms,
            counters: state.counters,
        }
    }
}

/// All sessions that are open. There are no more than their listeners let in.
#[derive(Debug, Default)]
pub(super) struct Roster {
    last_id: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Live>>>,
}

impl Roster {
    pub(super) fn open(&self, peer: SocketAddr, transport: Transport, now_ms: u64) -> Arc<Live> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let state = State {
            last_message_ms: now_ms,
            counters: SessionCounters::default(),
            domains: Vec::new(),
            nodes: Vec::new(),
        };
        let live = Live { id, peer, transport, since_ms: now_ms, state: Mutex::new(state) };
        let live = Arc::new(live);
        lock(&self.open).insert(id, Arc::clone(&live));
        live
    }

    pub(super) fn close(&self, live: &Live) {
        lock(&self.open).remove(&live.id);
    }

    /// Who has the session `id`, if it is open.
    pub(super) fn peer(&self, id: u64) -> Option<SocketAddr> {
        lock(&self.open).get(&id).map(|live| live.peer)
    }

    pub(super) fn sessions(&self, limit: usize) -> (Vec<SessionReport>, usize) {
        // No session waits while the others are written down.
        let (first, all): (Vec<_>, _) = {
            let open = lock(&self.open);
            (open.values().take(limit).cloned().collect(), open.len())
        };
        (first.iter().map(|live| live.report()).collect(), all)
    }

    /// How many there are of each transport.
    pub(super) fn by_transport(&self) -> [(Transport, usize); 5] {
        let open = lock(&self.open);
        Transport::ALL.map(|transport| {
            (transport, open.values().filter(|live| live.transport == transport).count())
        })
    }
}
