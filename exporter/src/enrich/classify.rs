//! What kind of flow a connection is, and which Node tells of it.

use std::net::IpAddr;

use flow::FlowType;
use ipnet::IpNet;
use k8s::{Cluster, Node};

/// How traffic leaves a Node: Antrea's `trafficEncapMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrafficMode {
    /// `encap`, `noEncap` and `hybrid`: each Node has networks for its Pods.
    #[default]
    Routed,
    /// `networkPolicyOnly`: the cloud gives Pods their addresses.
    PolicyOnly,
}

/// What is configured of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    pub mode: TrafficMode,
    /// Networks of Pods beside those of Nodes.
    pub pod_networks: Vec<IpNet>,
    /// Traffic between this Node and its own Pods is told too, as between Nodes.
    pub host_flows: bool,
}

/// Why a connection makes no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untold {
    /// To a Node's end of its Pod network.
    ToGateway,
    /// Between this Node itself and one of its Pods: probes of the kubelet.
    Host,
    /// Neither end is a Pod.
    NoPod,
    /// No Pod of this Node has a part in it; that includes a Pod of another Node that leaves the
    /// cluster here, by an Egress.
    Passing,
    /// Nodes are not listed yet, so nobody knows whose addresses are Pods'.
    NotListed,
}

impl Untold {
    /// As a metric's label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToGateway => "to_gateway",
            Self::Host => "host",
            Self::NoPod => "no_pod",
            Self::Passing => "passing",
            Self::NotListed => "not_listed",
        }
    }
}

/// One end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub address: IpAddr,
    /// It is, or was, a Pod of this Node, whether that is known by name or not.
    pub is_local: bool,
}

/// Tells by where addresses lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map<'a> {
    pub cluster: &'a Cluster,
    pub own: Option<&'a Node>,
    pub rules: &'a Rules,
    /// The source is an address of this Node itself, and the destination a Pod of it.
    pub from_own_address: bool,
}

impl Map<'_> {
    /// Antrea's decision table, in its order, but that this Node's own gateway is the Node.
    pub(super) fn flow_type(&self, from: Place, to: Place) -> Result<FlowType, Untold> {
        let is_host = self.from_own_address || self.is_own_gateway(from.address);
        match self.rules.mode {
            _ if is_host && to.is_local => self.host(),
            TrafficMode::Routed => self.routed(from, to),
            TrafficMode::PolicyOnly => self.policy_only(from, to),
        }
    }

    fn host(&self) -> Result<FlowType, Untold> {
        if self.rules.host_flows { Ok(FlowType::InterNode) } else { Err(Untold::Host) }
    }

    fn routed(&self, from: Place, to: Place) -> Result<FlowType, Untold> {
        if self.cluster.is_gateway(to.address) {
            return Err(Untold::ToGateway);
        }
        if self.cluster.is_gateway(from.address) {
            return if to.is_local { Ok(FlowType::InterNode) } else { Err(Untold::Passing) };
        }
        match (self.is_pod(from), self.is_pod(to)) {
            (false, false) => Err(Untold::NoPod),
            (false, true) => Ok(FlowType::FromExternal),
            (true, false) if from.is_local => Ok(FlowType::ToExternal),
            (true, true) => between(from, to).ok_or(Untold::Passing),
            (true, false) => Err(Untold::Passing),
        }
    }

    /// Without any network that is known to be Pods' every other address may be a Pod's, and
    /// counts as one, as in Antrea.
    fn policy_only(&self, from: Place, to: Place) -> Result<FlowType, Untold> {
        let knows_pods = self.cluster.has_pod_networks() || !self.rules.pod_networks.is_empty();
        match (from.is_local, to.is_local) {
            (false, false) => Err(Untold::NoPod),
            (true, false) if knows_pods && !self.is_pod(to) => Ok(FlowType::ToExternal),
            (false, true) if knows_pods && !self.is_pod(from) => Ok(FlowType::FromExternal),
            _ => between(from, to).ok_or(Untold::NoPod),
        }
    }

    fn is_own_gateway(&self, address: IpAddr) -> bool {
        self.own.is_some_and(|own| own.is_gateway(address))
    }

    fn is_pod(&self, end: Place) -> bool {
        end.is_local
            || self.cluster.is_pod_address(end.address)
            || self.rules.pod_networks.iter().any(|network| network.contains(&end.address))
    }
}

fn between(from: Place, to: Place) -> Option<FlowType> {
    match (from.is_local, to.is_local) {
        (true, true) => Some(FlowType::IntraNode),
        (true, false) | (false, true) => Some(FlowType::InterNode),
        (false, false) => None,
    }
}
