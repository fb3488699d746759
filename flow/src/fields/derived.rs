//! Pairs of attributes that something is computed from.

/// What the rules at both ends did with the flow, the egress rule's first.
pub const ACTIONS: [&str; 2] = ["egressNetworkPolicyRuleAction", "ingressNetworkPolicyRuleAction"];
/// Octets since the record before, in both directions.
pub const DELTA_OCTETS: [&str; 2] = ["octetDeltaCount", "reverseOctetDeltaCount"];
/// Packets since the record before, in both directions.
pub const DELTA_PACKETS: [&str; 2] = ["packetDeltaCount", "reversePacketDeltaCount"];
/// When the flow began and ended.
pub const SPAN: [&str; 2] = ["flowStartMilliseconds", "flowEndMilliseconds"];
