//! Sets of networks, asked "is this address inside?" for every record.

use std::net::IpAddr;

use hashbrown::HashSet;
use ipnet::IpNet;

/// A set of networks. A look-up costs one hash per distinct prefix length, of which a cluster
/// has one per family, however many Nodes there are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Networks {
    members: HashSet<IpNet>,
    v4_lengths: Vec<u8>,
    v6_lengths: Vec<u8>,
}

impl Networks {
    pub(crate) fn insert(&mut self, network: IpNet) {
        let lengths = match network {
            IpNet::V4(_) => &mut self.v4_lengths,
            IpNet::V6(_) => &mut self.v6_lengths,
        };
        if !lengths.contains(&network.prefix_len()) {
            lengths.push(network.prefix_len());
        }
        self.members.insert(network.trunc());
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let lengths = if address.is_ipv4() { &self.v4_lengths } else { &self.v6_lengths };
        lengths.iter().any(|&length| {
            IpNet::new(address, length).is_ok_and(|network| self.members.contains(&network.trunc()))
        })
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
}
