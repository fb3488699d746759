//! The networks that Nodes give their Pods addresses from, asked "is this address inside?" for
//! every record.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::persistent::Map;

/// A set of networks. A look-up costs one hash per distinct prefix length, of which a cluster
/// has one per family, however many Nodes there are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Networks {
    /// And how many Nodes have them.
    members: Map<IpNet, u32>,
    lengths: Arc<Lengths>,
}

/// Prefix lengths in use, and how many networks have them.
#[derive(Debug, Clone, Default)]
struct Lengths {
    v4: Vec<(u8, u32)>,
    v6: Vec<(u8, u32)>,
}

impl Networks {
    pub(crate) fn insert(&mut self, network: IpNet) {
        let network = network.trunc();
        let nodes = self.members.get(&network).copied().unwrap_or_default();
        self.members.insert(network, nodes + 1);
        if nodes > 0 {
            return;
        }
        let lengths = Arc::make_mut(&mut self.lengths).of(network);
        match lengths.iter_mut().find(|(length, _)| *length == network.prefix_len()) {
            Some((_, networks)) => *networks += 1,
            None => lengths.push((network.prefix_len(), 1)),
        }
    }

    /// One Node less has the network.
    pub(crate) fn remove(&mut self, network: IpNet) {
        let network = network.trunc();
        match self.members.get(&network).copied() {
            None => {}
            Some(nodes @ 2..) => self.members.insert(network, nodes - 1),
            Some(_) => self.remove_last(network),
        }
    }

    fn remove_last(&mut self, network: IpNet) {
        self.members.remove(&network);
        let lengths = Arc::make_mut(&mut self.lengths).of(network);
        for (_, networks) in
            lengths.iter_mut().filter(|(length, _)| *length == network.prefix_len())
        {
            *networks -= 1;
        }
        lengths.retain(|&(_, networks)| networks > 0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lengths.v4.is_empty() && self.lengths.v6.is_empty()
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.with_lengths(address).any(|network| self.members.contains(&network.trunc()))
    }

    /// Whether `address` is the first one of a network. Few addresses follow one that any network
    /// begins with, so there is seldom something to look up.
    pub(crate) fn is_gateway(&self, address: IpAddr) -> bool {
        let Some(base) = before(address) else { return false };
        let mut networks = self.with_lengths(base);
        networks.any(|network| network.trunc() == network && self.members.contains(&network))
    }

    /// `address` with each prefix length in use.
    fn with_lengths(&self, address: IpAddr) -> impl Iterator<Item = IpNet> {
        let lengths = if address.is_ipv4() { &self.lengths.v4 } else { &self.lengths.v6 };
        lengths.iter().filter_map(move |&(length, _)| IpNet::new(address, length).ok())
    }
}

fn before(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_sub(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(address) => address.to_bits().checked_sub(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

impl Lengths {
    fn of(&mut self, network: IpNet) -> &mut Vec<(u8, u32)> {
        match network {
            IpNet::V4(_) => &mut self.v4,
            IpNet::V6(_) => &mut self.v6,
        }
    }
}

/// Antrea gives a Node the network address of its Pod CIDR plus one.
pub(crate) fn first_address(network: IpNet) -> Option<IpAddr> {
    match network.network() {
        IpAddr::V4(base) => base.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(base) => base.to_bits().checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_inside_are_contained() {
        let mut networks = Networks::default();
        for network in ["10.10.0.0/24", "10.20.0.0/16", "fd00:10::/64"] {
            networks.insert(network.parse().unwrap());
        }
        let check = |text: &str| networks.contains(text.parse().unwrap());
        assert!(check("10.10.0.255") && check("10.20.77.1") && check("fd00:10::9"));
        assert!(!check("10.10.1.0") && !check("10.21.0.0") && !check("fd00:11::9"));
    }

    #[test]
    fn a_network_is_gone_when_its_last_node_is() {
        let mut networks = Networks::default();
        let [shared, other]: [IpNet; 2] =
            ["10.10.0.0/24", "10.10.1.0/24"].map(|text| text.parse().unwrap());
        let inside: IpAddr = "10.10.0.1".parse().unwrap();
        for network in [shared, shared, other] {
            networks.insert(network);
        }
        networks.remove(shared);
        assert!(networks.contains(inside) && networks.is_gateway(inside));
        networks.remove(shared);
        assert!(!networks.contains(inside) && !networks.is_gateway(inside));
        assert!(networks.contains("10.10.1.7".parse().unwrap()));
        networks.remove(other);
        assert!(networks.lengths.v4.is_empty());
    }
}
