//! What Antrea writes on a connection: the mark and the labels of its own zones.
//!
//! The values are those of Antrea 1.5 and later (`pkg/agent/openflow/fields.go`); before, the
//! mark was one enumerated value.

/// Where the first packet of a connection came from (`ConnSourceCTMarkField`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkedSource {
    Tunnel,
    Gateway,
    LocalPod,
    Uplink,
    /// A port of the bridge itself.
    Bridge,
    /// What `TrafficControl` gave back.
    TrafficControl,
    /// What the engine of layer 7 policies gave back.
    L7Engine,
    /// A number that Antrea 2.7 does not use.
    Other(u8),
}

/// The 32 bits of `ct_mark` in Antrea's zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CtMark(pub u32);

impl CtMark {
    const SOURCE: u32 = 0xf;
    const SERVICE_DNAT: u32 = 1 << 4;
    const SERVICE_SNAT: u32 = 1 << 5;
    const HAIRPIN: u32 = 1 << 6;
    const L7_REDIRECT: u32 = 1 << 7;

    /// `None` if no `NetworkPolicy` has let the connection pass in both directions (yet): Antrea
    /// writes the source when both have.
    pub fn source(self) -> Option<MarkedSource> {
        let number = (self.0 & Self::SOURCE) as u8;
        match number {
            0 => None,
            1 => Some(MarkedSource::Tunnel),
            2 => Some(MarkedSource::Gateway),
            3 => Some(MarkedSource::LocalPod),
            4 => Some(MarkedSource::Uplink),
            5 => Some(MarkedSource::Bridge),
            6 => Some(MarkedSource::TrafficControl),
            7 => Some(MarkedSource::L7Engine),
            other => Some(MarkedSource::Other(other)),
        }
    }

    /// A connection without a source has been committed, but not let pass.
    pub const fn is_allowed(self) -> bool {
        self.0 & Self::SOURCE != 0
    }

    /// A Service's address was replaced by that of one of its Endpoints.
    pub const fn is_service_dnat(self) -> bool {
        self.0 & Self::SERVICE_DNAT != 0
    }

    /// On its way to a Service the client's address was replaced.
    pub const fn is_service_snat(self) -> bool {
        self.0 & Self::SERVICE_SNAT != 0
    }

    /// It leaves by the port it came from.
    pub const fn is_hairpin(self) -> bool {
        self.0 & Self::HAIRPIN != 0
    }

    /// It passes the engine of layer 7 policies.
    pub const fn is_l7_redirected(self) -> bool {
        self.0 & Self::L7_REDIRECT != 0
    }
}

/// The 128 bits of `ct_label` in Antrea's zones, most significant byte first, as in
/// [`Entry::labels`](super::Entry::labels).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Labels(pub [u8; 16]);

impl Labels {
    /// The conjunction id of the ingress rule that let the connection pass.
    pub fn ingress_rule(self) -> Option<u32> {
        let [.., a, b, c, d] = self.0;
        Some(u32::from_be_bytes([a, b, c, d])).filter(|&id| id != 0)
    }

    /// The conjunction id of the egress rule that let the connection pass.
    pub fn egress_rule(self) -> Option<u32> {
        let [.., a, b, c, d, _, _, _, _] = self.0;
        Some(u32::from_be_bytes([a, b, c, d])).filter(|&id| id != 0)
    }

    /// The VLAN by which a layer 7 rule tells its engine which rules are meant.
    pub fn l7_vlan(self) -> Option<u16> {
        let [.., high, low, _, _, _, _, _, _, _, _] = self.0;
        Some(u16::from_be_bytes([high & 0xf, low])).filter(|&vlan| vlan != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples are those of Antrea's documentation of its pipeline.
    #[test]
    fn a_mark_says_where_a_connection_came_from_and_what_became_of_it() {
        let local = CtMark(0x13);
        assert_eq!(local.source(), Some(MarkedSource::LocalPod));
        assert!(local.is_service_dnat() && local.is_allowed());
        assert!(!(local.is_service_snat() || local.is_hairpin() || local.is_l7_redirected()));
        let hairpin = CtMark(0x72);
        assert_eq!(hairpin.source(), Some(MarkedSource::Gateway));
        assert!(hairpin.is_service_dnat() && hairpin.is_service_snat() && hairpin.is_hairpin());
        assert!(CtMark(0x83).is_l7_redirected());
        assert_eq!((CtMark(0x10).source(), CtMark(0x10).is_allowed()), (None, false));
        assert_eq!(CtMark(0xf).source(), Some(MarkedSource::Other(15)));
    }

    #[test]
    fn labels_hold_both_rules_and_a_vlan() {
        // As `conntrack` and OVS write it: 0x200000001.
        let both = Labels(0x2_0000_0001_u128.to_be_bytes());
        assert_eq!((both.ingress_rule(), both.egress_rule()), (Some(1), Some(2)));
        assert_eq!(both.l7_vlan(), None);
        let vlan = Labels((0xabc_u128 << 64 | 0xf << 76).to_be_bytes());
        assert_eq!((vlan.l7_vlan(), vlan.ingress_rule()), (Some(0xabc), None));
        let widest = Labels((u128::from(u32::MAX) << 32).to_be_bytes());
        assert_eq!((widest.ingress_rule(), widest.egress_rule()), (None, Some(u32::MAX)));
    }
}
