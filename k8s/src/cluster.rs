//! An immutable picture of a cluster, with what it remembers of the past.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use flow::{Endpoint, Name, Shared};
use ipnet::IpNet;

use crate::holding::{Coverage, Holding, Margins};
use crate::lookup::{Lookup, Reason};
use crate::networks::{Networks, first_address};
use crate::objects::Owner;
use crate::persistent::Map;

/// A Pod, as far as flows are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub uid: Name,
    pub name: Name,
    pub namespace: Name,
    pub node: Name,
    /// Its controller; [`Cluster::workload`] knows what a person would call it.
    pub owner: Option<Owner>,
    /// Its names as records have them.
    pub end: Shared<Endpoint>,
    /// Those that the tracker was told to keep, in the order of their keys.
    pub labels: Arc<[(Name, Name)]>,
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub uid: Name,
    pub name: Name,
    pub namespace: Name,
    /// `namespace/name:portName`, as AntreaProxy writes it; a nameless port leaves its part out,
    /// and so does a port of `NodePortLocal`. If several Services have the latter, `|` is between
    /// them.
    pub port_name: Name,
}

/// A Node and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub uid: Name,
    pub name: Name,
    /// Empty if it has none.
    pub zone: Name,
    /// Empty if it has none.
    pub region: Name,
    /// The networks that its Pods have addresses of.
    pub pod_networks: Arc<[IpNet]>,
}

impl Node {
    /// Whether `address` lies in the Node's own Pod networks.
    pub fn has_pod_address(&self, address: IpAddr) -> bool {
        self.pod_networks.iter().any(|network| network.contains(&address))
    }

    /// Whether `address` is the Node's end of one of its Pod networks.
    pub fn is_gateway(&self, address: IpAddr) -> bool {
        self.pod_networks.iter().any(|network| first_address(*network) == Some(address))
    }
}

/// Address, port and IANA number of the protocol.
pub(crate) type FrontEnd = (IpAddr, u16, u8);
pub(crate) type Holdings<K, T> = Map<K, Holding<T>>;

/// Pods, Nodes and Services as they are known at one moment, and who had their addresses before.
///
/// Look-ups take the time of what is to be named, in milliseconds since 1970, neither lock nor
/// allocate, and never guess: see [`Lookup`]. A copy is cheap and shares everything.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) pods: Holdings<IpAddr, Pod>,
    pub(crate) front_ends: Holdings<FrontEnd, Service>,
    /// Port and protocol: they are the same at every Node's addresses.
    pub(crate) node_ports: Holdings<(u16, u8), Service>,
    /// Ports of a Node that are those of one of its Pods.
    pub(crate) local_ports: Holdings<FrontEnd, Service>,
    pub(crate) node_addresses: Holdings<IpAddr, Node>,
    pub(crate) nodes: Map<Name, Arc<Node>>,
    pub(crate) networks: Networks,
    /// By the uid of what they own.
    pub(crate) owners: Map<Name, Arc<Owner>>,
    pub(crate) namespaces: Map<Name, Arc<[(Name, Name)]>>,
    pub(crate) coverage: Covered,
    pub(crate) margins: Margins,
}

/// Which times are known of the kinds that have addresses.
#[derive(Debug, Clone)]
pub(crate) struct Covered {
    pub pods: Coverage,
    pub services: Coverage,
    pub nodes: Coverage,
}

impl Cluster {
    pub(crate) fn new(margins: Margins) -> Self {
        let none = Coverage::none;
        Self {
            pods: Map::default(),
            front_ends: Map::default(),
            node_ports: Map::default(),
            local_ports: Map::default(),
            node_addresses: Map::default(),
            nodes: Map::default(),
            networks: Networks::default(),
            owners: Map::default(),
            namespaces: Map::default(),
            coverage: Covered { pods: none(), services: none(), nodes: none() },
            margins,
        }
    }

    /// The Pod that had `address` at `time_ms`. Pods on the host's network have none of their
    /// own.
    pub fn pod(&self, address: IpAddr, time_ms: u64) -> Lookup<'_, Pod> {
        match self.pods.get(&address) {
            Some(holding) => holding.at(time_ms, &self.coverage.pods, &self.margins),
            None if self.node_addresses.contains(&address) => Lookup::Missing(Reason::Node),
            None => unknown(&self.coverage.pods),
        }
    }

    /// The Pod that has `address`, if no other is known to have had it, and times at all of which
    /// [`Self::pod`] finds it in this picture.
    pub fn pod_alone(&self, address: IpAddr) -> Option<(&Pod, RangeInclusive<u64>)> {
        self.pods.get(&address)?.alone(&self.coverage.pods, &self.margins)
    }

    /// The Service that `address:port` led to at `time_ms`: at its ClusterIP, at an IP of its
    /// load balancer, at an external IP, or at a NodePort of any Node's address. Where there is
    /// none of these, those that `NodePortLocal` has given the port for.
    ///
    /// `protocol` is the IANA number.
    pub fn service(
        &self,
        address: IpAddr,
        port: u16,
        protocol: u8,
        time_ms: u64,
    ) -> Lookup<'_, Service> {
        let own = self.front_ends.get(&(address, port, protocol));
        let holding = own.or_else(|| {
            let node_port = self.node_ports.get(&(port, protocol))?;
            self.node_addresses.contains(&address).then_some(node_port)
        });
        let coverage = &self.coverage.services;
        match (holding, self.local_ports.get(&(address, port, protocol))) {
            (Some(holding), _) => holding.at(time_ms, coverage, &self.margins),
            // Which Pod it leads to its annotation says.
            (None, Some(local)) => local.at(time_ms, &self.coverage.pods, &self.margins),
            (None, None) => unknown(coverage),
        }
    }

    /// The Node that had `address` itself, not for its Pods, at `time_ms`.
    pub fn node_at(&self, address: IpAddr, time_ms: u64) -> Lookup<'_, Node> {
        let coverage = &self.coverage.nodes;
        match self.node_addresses.get(&address) {
            Some(holding) => holding.at(time_ms, coverage, &self.margins),
            None => unknown(coverage),
        }
    }

    /// Whether `address` is, or was a short while ago, a Node's own.
    pub fn is_node_address(&self, address: IpAddr) -> bool {
        self.node_addresses.contains(&address)
    }

    /// The Node of that name, also if it left a short while ago.
    pub fn node(&self, name: &Name) -> Option<&Node> {
        self.nodes.get(name).map(AsRef::as_ref)
    }

    /// All Nodes, those that left a short while ago among them, in no order. Takes the time of a
    /// walk through the whole map.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().map(AsRef::as_ref)
    }

    pub fn has_node(&self, name: &str) -> bool {
        self.nodes.contains(&Name::from(name))
    }

    /// What a person would say `pod` belongs to: the `Deployment` of its `ReplicaSet`, the
    /// `CronJob` of its `Job`, else its controller. `None` for a Pod of its own.
    pub fn workload<'a>(&'a self, pod: &'a Pod) -> Option<&'a Owner> {
        let controller = pod.owner.as_ref()?;
        Some(self.owners.get(&controller.uid).map_or(controller, AsRef::as_ref))
    }

    /// Labels of a namespace, as far as they are kept, in the order of their keys. `None` if the
    /// namespace is not known.
    pub fn namespace(&self, name: &Name) -> Option<&Arc<[(Name, Name)]>> {
        self.namespaces.get(name)
    }

    /// Until when everything about Pods is known, save in gaps. Milliseconds since 1970.
    pub fn pods_known_until(&self) -> u64 {
        self.coverage.pods.settled()
    }

    /// As [`Self::pods_known_until`], for Services.
    pub fn services_known_until(&self) -> u64 {
        self.coverage.services.settled()
    }

    /// Whether Nodes have been listed once. Before, nothing is known of where Pods are.
    pub fn knows_nodes(&self) -> bool {
        !self.coverage.nodes.is_none()
    }

    /// Whether any Node has a network for its Pods.
    pub fn has_pod_networks(&self) -> bool {
        !self.networks.is_empty()
    }

    /// Whether `address` lies in any Node's Pod network.
    pub fn is_pod_address(&self, address: IpAddr) -> bool {
        self.networks.contains(address)
    }

    /// Whether `address` is a Node's end of its Pod network: the first address in it.
    pub fn is_gateway(&self, address: IpAddr) -> bool {
        self.networks.is_gateway(address)
    }
}

fn unknown<'a, T>(coverage: &Coverage) -> Lookup<'a, T> {
    Lookup::Missing(if coverage.is_none() { Reason::NotListed } else { Reason::Unknown })
}
