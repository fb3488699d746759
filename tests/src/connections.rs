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
    /// Ids of the rules that let it in and out: ingress, egress.
    pub rules: [Option<u32>; 2],
    /// No other Node has it in its table.
    pub only_at: Option<String>,
    /// The Node by whose Egress it leaves the cluster, if that is another than its Pod's.
    pub leaves_by: Option<String>,
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
        if self.only_at.as_deref().is_some_and(|only| only != node) {
            return None;
        }
        let enters = node_of(self.client.ip())
            .or_else(|| {
                let node = cluster.node_at(self.server.ip(), self.start_ms).owner()?;
                Some(node.name.as_str())
            })
            .or_else(|| node_of(backend.ip()));
        let (original, reply) = if enters == Some(node) {
            let kept = self.leaves_by.is_some();
            let seen = self.translated.filter(|_| !kept).unwrap_or(self.client);
            (self.tuple(self.client, self.server), self.tuple(backend, seen))
        } else if node_of(backend.ip()) == Some(node) {
            let client = self.translated.unwrap_or(self.client);
            (self.tuple(client, backend), self.tuple(backend, client))
        } else if self.leaves_by.as_deref() == Some(node) {
            let seen = self.translated.unwrap_or(self.client);
            (self.tuple(self.client, self.server), self.tuple(self.server, seen))
        } else {
            return None;
        };
        let is_first = kind == Kind::New;
        let [ingress, egress] = self.rules;
        let own = |rule: Option<u32>, pod: IpAddr| rule.filter(|_| node_of(pod) == Some(node));
        let labels = [own(egress, self.client.ip()), own(ingress, backend.ip())];
        Some(Entry {
            mark: self.mark(node_of(self.client.ip()), node, original != reply.reversed()),
            labels: labels_of(labels).filter(|_| kind != Kind::Destroy),
            id: self.id ^ u32::from(enters == Some(node)),
            counters: (!is_first).then(|| self.counters(now_ms)),
            start_ns: (!is_first).then_some(self.start_ms * 1_000_000),
            stop_ns: (kind == Kind::Destroy).then_some(self.end_ms * 1_000_000),
            ..Entry::new(kind, original, reply)
        })
    }

    /// What Antrea writes on it: where its first packet came from, and that a Service's address
    /// was replaced.
    fn mark(&self, client: Option<&str>, node: &str, is_translated: bool) -> u32 {
        let source = match client {
            Some(client) if client == node => 3, // a Pod of this Node
            Some(_) => 1,                        // the tunnel
            None => 2,                           // the gateway
        };
        source | if is_translated && self.backend.is_some() { 1 << 4 } else { 0 }
    }

    /// The same with Antrea on the Node: what the host's rules translate is tracked in zone 0 as
    /// well as, in what is left of it, in Antrea's zone. Pods' connections are in that alone.
    pub fn antreas_entries(&self, entry: &Entry) -> Vec<Entry> {
        let zone = if self.client.is_ipv6() { 65510 } else { 65520 };
        let antrea = Entry { zone, ..*entry };
        // What the host's rules are for; AntreaProxy itself translates what Pods send.
        let is_translated = entry.original == self.tuple(self.client, self.server)
            && self.is_from_outside
            && self.backend.is_some();
        if !is_translated {
            return vec![antrea];
        }
        let chosen = self.virtual_address.or(self.backend).unwrap_or(self.server);
        let seen = self.translated.unwrap_or(self.client);
        let (reply, id) = (self.tuple(chosen, seen), entry.id + 1_000_000);
        let host = Entry { reply, id, mark: 0, labels: None, ..*entry };
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

/// A connection's label: the ids of both rules, if there is one.
fn labels_of([egress, ingress]: [Option<u32>; 2]) -> Option<[u8; 16]> {
    let half = |id: Option<u32>| u128::from(id.unwrap_or_default());
    let both = half(egress) << 32 | half(ingress);
    (both != 0).then_some(both.to_be_bytes())
}
