//! Ranges of addresses.

use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses of one family, from the first to the last, both included.
///
/// IPv4-mapped addresses are IPv4 addresses, here as everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// `None` if the ends are of two families or the wrong way round.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let (first, last) = (first.to_canonical(), last.to_canonical());
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    pub fn first(self) -> IpAddr {
        self.first
    }

    pub fn last(self) -> IpAddr {
        self.last
    }

    /// Whether an address, canonical or not, lies in the range.
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && (self.first..=self.last).contains(&address)
    }
}

/// A prefix; bits behind its length do not matter.
impl From<IpNet> for AddressRange {
    fn from(net: IpNet) -> Self {
        let (first, last) = (net.network(), net.broadcast());
        // A prefix of mapped addresses only is one of IPv4 addresses. Any other is one of IPv6, of
        // which mapped addresses are no part.
        match (first.to_canonical(), last.to_canonical()) {
            (first @ IpAddr::V4(_), last @ IpAddr::V4(_)) => Self { first, last },
            _ => Self { first, last },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn holds(net: &str, address: &str) -> bool {
        AddressRange::from(net.parse::<IpNet>().unwrap()).contains(address.parse().unwrap())
    }

    #[test]
    fn a_prefix_holds_what_has_its_first_bits() {
        for (net, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "11.0.0.1", false),
            ("2001:db8::/32", "2001:db8:ffff::", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::/0", "10.0.0.1", false),
            ("::/0", "::1", true),
            ("::/0", "ffff::", true),
            ("0.0.0.0/0", "::1", false),
            // Mapped addresses are the last of this prefix.
            ("::/80", "::1", true),
            ("::/80", "10.0.0.1", false),
            // And the first of none: ::ffff:0:0/96 is all of IPv4.
            ("::ffff:0:0/96", "1.2.3.4", true),
            ("::ffff:0:0/95", "1.2.3.4", false),
            ("::ffff:0:0/95", "::fffe:0:1", true),
        ] {
            assert_eq!(holds(net, address), expected, "{address} in {net}");
        }
    }

    #[test]
    fn the_ends_of_a_range_are_of_one_family_and_in_order() {
        let new = |first: &str, last: &str| {
            AddressRange::new(first.parse().unwrap(), last.parse().unwrap())
        };
        assert!(new("10.0.0.1", "10.0.0.9").unwrap().contains("10.0.0.9".parse().unwrap()));
        assert!(new("::ffff:10.0.0.1", "10.0.0.9").is_some());
        assert_eq!(new("10.0.0.9", "10.0.0.1"), None);
        assert_eq!(new("10.0.0.9", "::2"), None);
    }
}
