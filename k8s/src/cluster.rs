//! An immutable picture of a cluster.

use std::net::IpAddr;

use flow::Name;
use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;

use crate::networks::Networks;

/// A Pod, as far as flows are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub name: Name,
    pub namespace: Name,
    pub node: Name,
}

/// A Node and the networks its Pods live in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: Name,
    pub addresses: Vec<IpAddr>,
    pub pod_cidrs: Vec<IpNet>,
}

/// Pods, Nodes and Services at one moment.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    pods: HashMap<IpAddr, Pod>,
    services: HashMap<(IpAddr, u16, u8), Name>,
    pod_networks: Networks,
    gateways: HashSet<IpAddr>,
    nodes: HashMap<IpAddr, Name>,
    node_names: HashSet<Name>,
}

impl Cluster {
    /// The Pod that has `address`. Pods on the host's network have none of their own.
    pub fn pod(&self, address: IpAddr) -> Option<&Pod> {
        self.pods.get(&address)
    }

    /// The Service behind `address:port`, as `namespace/name:portName`.
    ///
    /// `protocol` is the IANA number.
    pub fn service(&self, address: IpAddr, port: u16, protocol: u8) -> Option<&Name> {
        self.services.get(&(address, port, protocol))
    }

    /// Whether `address` lies in any Node's Pod network.
    pub fn is_pod_address(&self, address: IpAddr) -> bool {
        self.pod_networks.contains(address)
    }

    /// Whether `address` is a Node's end of its Pod network: the first address in it.
    pub fn is_gateway(&self, address: IpAddr) -> bool {
        self.gateways.contains(&address)
    }

    /// The Node that has `address` itself, not for its Pods.
    pub fn node(&self, address: IpAddr) -> Option<&Name> {
        self.nodes.get(&address)
    }

    pub fn has_node(&self, name: &str) -> bool {
        self.node_names.contains(&Name::from(name))
    }

    pub fn insert_node(&mut self, node: Node) {
        for &network in &node.pod_cidrs {
            self.pod_networks.insert(network);
            self.gateways.extend(first_address(network));
        }
        self.nodes.extend(node.addresses.iter().map(|&address| (address, node.name.clone())));
        self.node_names.insert(node.name);
    }

    pub fn insert_pod(&mut self, pod: &Pod, addresses: &[IpAddr]) {
        for &address in addresses {
            self.pods.insert(address, pod.clone());
        }
    }

    /// Makes `address:port` lead to the Service `name` (`namespace/name:portName`).
    pub fn insert_service(&mut self, name: Name, address: IpAddr, port: u16, protocol: u8) {
        self.services.insert((address, port, protocol), name);
    }

    /// Makes `port` of every Node lead to the Service `name`. Nodes must be inserted before.
    pub fn insert_node_port(&mut self, name: &Name, port: u16, protocol: u8) {
        for address in self.nodes.keys() {
            self.services.insert((*address, port, protocol), name.clone());
        }
    }
}

/// Antrea gives a Node the network address of its Pod CIDR plus one.
fn first_address(network: IpNet) -> Option<IpAddr> {
    match network.network() {
        IpAddr::V4(base) => base.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(base) => base.to_bits().checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}
