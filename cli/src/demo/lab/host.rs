//! Who lives in the lab, and under which addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 or IPv6; everything in the lab speaks both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }
}

/// One network namespace of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Host {
    NodeA,
    NodeB,
    PodA1,
    PodA2,
    PodB1,
    PodB2,
    /// A machine outside the cluster.
    External,
    /// Where the aggregator runs: outside the Pod network, as on a Node of its own.
    Aggregator,
    /// The switch between the Nodes.
    Fabric,
}

impl Host {
    pub const ALL: [Self; 9] = [
        Self::NodeA,
        Self::NodeB,
        Self::PodA1,
        Self::PodA2,
        Self::PodB1,
        Self::PodB2,
        Self::External,
        Self::Aggregator,
        Self::Fabric,
    ];

    /// The namespace's name, without the lab's prefix.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeA => "nA",
            Self::NodeB => "nB",
            Self::PodA1 => "pA1",
            Self::PodA2 => "pA2",
            Self::PodB1 => "pB1",
            Self::PodB2 => "pB2",
            Self::External => "ext",
            Self::Aggregator => "agg",
            Self::Fabric => "fab",
        }
    }

    /// The host's address; the switch has none.
    pub fn address(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.ipv4().into(),
            Family::V6 => self.ipv6().into(),
        }
    }

    pub(super) fn ipv4(self) -> Ipv4Addr {
        match self {
            Self::NodeA => Ipv4Addr::new(192, 168, 77, 1),
            Self::NodeB => Ipv4Addr::new(192, 168, 77, 2),
            Self::Aggregator => Ipv4Addr::new(192, 168, 77, 50),
            Self::External => Ipv4Addr::new(192, 168, 77, 100),
            Self::PodA1 => Ipv4Addr::new(10, 10, 0, 2),
            Self::PodA2 => Ipv4Addr::new(10, 10, 0, 3),
            Self::PodB1 => Ipv4Addr::new(10, 10, 1, 2),
            Self::PodB2 => Ipv4Addr::new(10, 10, 1, 3),
            Self::Fabric => Ipv4Addr::UNSPECIFIED,
        }
    }

    pub(super) fn ipv6(self) -> Ipv6Addr {
        let outside = |host| Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, host);
        let pod = |subnet, host| Ipv6Addr::new(0xfd00, 0x10, subnet, 0, 0, 0, 0, host);
        match self {
            Self::NodeA => outside(1),
            Self::NodeB => outside(2),
            Self::Aggregator => outside(0x50),
            Self::External => outside(0x100),
            Self::PodA1 => pod(0, 2),
            Self::PodA2 => pod(0, 3),
            Self::PodB1 => pod(1, 2),
            Self::PodB2 => pod(1, 3),
            Self::Fabric => Ipv6Addr::UNSPECIFIED,
        }
    }
}
