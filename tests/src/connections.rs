//! Connections as the kernels of the Nodes they cross tell them.

use std::net::{IpAddr, SocketAddr};

use exporter::conntrack::{Counters, Entry, Icmp, Kind, Tuple};
use k8s::Cluster;

/// One connection, as the person who writes the scenario sees it.
#[derive(Debug, Clone)]
pub struct Connection {
    pub protocol: u8,
    pub client: SocketAddr,
    /// What the client connects to.
    pub server: SocketAddr,
    /// What destination NAT makes of it.
    pub backend: Option<SocketAddr>,
    /// What the host makes of `server` where Antrea itself chooses the backend.
    pub virtual_address: Option<SocketAddr>,
    pub is_from_outside: bool,
    /// What source NAT makes of the client.
    pub translated: Option<SocketAddr>,
    pub start_ms: u64,
    pub end_ms: u64,
    /// From the client, to the client.
    pub octets: [u64; 2],
    pub id: u32,
    /// How often the kernel of a Node fails to say that it ended.
    pub end_unheard: bool,
}

/// Octets per packet.
const PACKET: u64 = 100;

impl Connection {
    /// What is counted by `now`: traffic flows evenly.
    pub fn counters(&self, now_ms: u64) -> Counters {
        let lasted = now_ms.clamp(self.start_ms, self.end_ms) - self.start_ms;
        let lasts = (self.end_ms - self.start_ms).max(1);
        let by_now =
            |octets: u64| if now_ms >= self.end_ms { octets } else { octets * lasted / lasts };
        let [octets, reverse_octets] = self.octets.map(by_now);
        Counters {
            packets: octets.div_ceil(PACKET),
            octets,
            reverse_packets: reverse_octets.div_ceil(PACKET),
            reverse_octets,
        }
    }

    pub fn is_alive(&self, now_ms: u64) -> bool {
        (self.start_ms..self.end_ms).contains(&now_ms)
    }

    /// What the kernel of `node` has of this connection: none if it does not cross the Node, and
    /// behind source NAT only what the translation left.
    pub fn entry(&self, cluster: &Cluster, node: &str, kind: Kind, now_ms: u64) -> Option<Entry> {
        let backend = self.backend.unwrap_or(self.server);
        let node_of = |address: IpAddr| {
            cluster.pod(address, self.start_ms).owner().map(|pod| pod.node.as_str())
        };
        // A client from outside enters by the Node that has the address it connects to.
        let enters = node_of(self.client.ip())
            .or_else(|| {
                let node = cluster.node_at(self.server.ip(), self.start_ms).owner()?;
                Some(node.name.as_str())
            })
            .or_else(|| node_of(backend.ip()));
        let (original, reply) = if enters == Some(node) {
            let seen_client = self.translated.unwrap_or(self.client);
            (self.tuple(self.client, self.server), self.tuple(backend, seen_client))
        } else if node_of(backend.ip()) == Some(node) {
            let client = self.translated.unwrap_or(self.client);
            (self.tuple(client, backend), self.tuple(backend, client))
        } else {
            return None;
        };
        let is_first = kind == Kind::New;
        Some(Entry {
            id: self.id ^ u32::from(enters == Some(node)),
            counters: (!is_first).then(|| self.counters(now_ms)),
            start_ns: (!is_first).then_some(self.start_ms * 1_000_000),
            stop_ns: (kind == Kind::Destroy).then_some(self.end_ms * 1_000_000),
            ..Entry::new(kind, original, reply)
        })
    }

    /// The same with Antrea on the Node: what the host's rules translate is tracked in zone 0 as
    /// well as, in what is left of it, in Antrea's zone. Pods' connections are in that alone.
    pub fn antreas_entries(&self, entry: &Entry) -> Vec<Entry> {
        let antrea = Entry { zone: 65520, mark: 2, ..*entry };
        // What the host's rules are for; AntreaProxy itself translates what Pods send.
        let is_translated = entry.original == self.tuple(self.client, self.server)
            && self.is_from_outside
            && self.backend.is_some();
        if !is_translated {
            return vec![antrea];
        }
        let chosen = self.virtual_address.or(self.backend).unwrap_or(self.server);
        let seen = self.translated.unwrap_or(self.client);
        let host = Entry { reply: self.tuple(chosen, seen), id: entry.id + 1_000_000, ..*entry };
        vec![host, Entry { original: self.tuple(seen, chosen), ..antrea }]
    }

    fn tuple(&self, source: SocketAddr, destination: SocketAddr) -> Tuple {
        match self.protocol {
            flow::protocol::ICMP | flow::protocol::ICMPV6 => {
                let icmp = Icmp { kind: 8, code: 0, id: self.client.port() };
                Tuple::icmp(source.ip(), destination.ip(), icmp)
            }
            protocol => Tuple::new(
                (source.ip(), source.port()),
                (destination.ip(), destination.port()),
                protocol,
            ),
        }
    }
}
