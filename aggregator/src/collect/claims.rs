//! Which Node a session may speak for.
//!
//! All Agents share one certificate, so TLS tells that a peer is an exporter and not which. What
//! tells more is where it comes from: an Agent is on its Node's network, so its address is one of
//! the Node's own or, where Nodes tunnel to each other, the Node's end of its Pod network. Over UDP
//! an address proves nothing, for anybody can write it down.

use std::net::IpAddr;

use flow::{FlowRecord, Name, observation_domain};
use k8s::Cluster;

/// What becomes of records whose session may not speak for the Node they name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Claims {
    /// They are counted by verdict, and taken.
    #[default]
    Count,
    /// They are counted by verdict, and dropped. So is what comes from elsewhere than from Nodes.
    Refuse,
}

/// What was made of the Node that a record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The peer is the Node that is named, or a Node if none is.
    Own,
    /// The peer is another Node.
    OtherNode,
    /// The peer has the address of no Node: another network is in between, or it is a Pod.
    Stranger,
    /// The cluster has no Node of that name.
    NoSuchNode,
    /// The peer is the Node that is named, but the Observation Domain is not that Node's.
    OtherDomain,
    /// Nodes are not known, or not yet.
    Unknown,
}

impl Verdict {
    pub const ALL: [Self; 6] = [
        Self::Own,
        Self::OtherNode,
        Self::Stranger,
        Self::NoSuchNode,
        Self::OtherDomain,
        Self::Unknown,
    ];

    /// As a metric's label has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::OtherNode => "other_node",
            Self::Stranger => "stranger",
            Self::NoSuchNode => "no_such_node",
            Self::OtherDomain => "other_domain",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a session with such a record says what it has no right to.
    pub fn is_doubtful(self) -> bool {
        !matches!(self, Self::Own | Self::Unknown)
    }
}

/// Judges whether the exporter at `peer` may tell of the Node `named`, for `domain`.
pub(super) fn judge(
    cluster: &Cluster,
    peer: IpAddr,
    named: &Name,
    domain: u32,
    now_ms: u64,
) -> Verdict {
    if !cluster.knows_nodes() {
        return Verdict::Unknown;
    }
    let is_some_node = cluster.is_node_address(peer) || cluster.is_gateway(peer);
    if named.is_empty() {
        return if is_some_node { Verdict::Own } else { Verdict::Stranger };
    }
    let Some(node) = cluster.node(named) else { return Verdict::NoSuchNode };
    let at_peer = cluster.node_at(peer, now_ms).guess();
    if node.is_gateway(peer) || at_peer.is_some_and(|at_peer| at_peer.name == node.name) {
        let is_its_own = domain == observation_domain(named);
        return if is_its_own { Verdict::Own } else { Verdict::OtherDomain };
    }
    if is_some_node { Verdict::OtherNode } else { Verdict::Stranger }
}

/// The Nodes a record names, that of its source first. An exporter names its own alone.
pub(super) fn named(record: &FlowRecord) -> (&Name, Option<&Name>) {
    let (source, destination) = (&record.source.node, &record.destination.node);
    match (source.is_empty(), destination.is_empty()) {
        (_, true) => (source, None),
        (true, false) => (destination, None),
        (false, false) if source == destination => (source, None),
        (false, false) => (source, Some(destination)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "
nodes:
  - {name: node-a, addresses: [192.168.1.10], podCIDRs: [10.10.0.0/24]}
  - {name: node-b, addresses: [192.168.1.11], podCIDRs: [10.10.1.0/24]}
";

    #[track_caller]
    fn verdict(peer: &str, node: &str, domain: Option<u32>) -> Verdict {
        let cluster = Cluster::from_yaml(CLUSTER).unwrap();
        let domain = domain.unwrap_or_else(|| observation_domain(node));
        judge(&cluster, peer.parse().unwrap(), &node.into(), domain, 1)
    }

    #[test]
    fn a_node_speaks_for_itself_from_its_address_and_from_its_gateway() {
        for peer in ["192.168.1.10", "10.10.0.1"] {
            assert_eq!(verdict(peer, "node-a", None), Verdict::Own);
            assert_eq!(verdict(peer, "node-b", None), Verdict::OtherNode);
            assert_eq!(verdict(peer, "node-c", None), Verdict::NoSuchNode);
            assert_eq!(verdict(peer, "node-a", Some(7)), Verdict::OtherDomain);
            assert_eq!(verdict(peer, "", None), Verdict::Own);
        }
    }

    #[test]
    fn a_pod_is_no_node() {
        for peer in ["10.10.0.2", "203.0.113.1", "127.0.0.1"] {
            assert_eq!(verdict(peer, "node-a", None), Verdict::Stranger, "{peer}");
            assert_eq!(verdict(peer, "", None), Verdict::Stranger, "{peer}");
        }
    }

    #[test]
    fn nothing_is_judged_before_nodes_are_known() {
        let tracker = k8s::Tracker::new(
            k8s::Margins::default(),
            k8s::Limits::default(),
            k8s::LabelFilter::default(),
        );
        let peer = IpAddr::from([10, 0, 0, 1]);
        let verdict = judge(&tracker.cluster(), peer, &"node-a".into(), 7, 1);
        assert_eq!(verdict, Verdict::Unknown);
    }
}
