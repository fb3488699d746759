//! The template of Antrea's Flow Exporter (v2.7), element by element.

use std::net::IpAddr;

use ipfix::registry::{antrea, iana};

use super::{Access, Field, Group, member, name, one, part, per_family, table};
use crate::{FlowEndReason, FlowType};

table! {
pub(super) static ROWS: [Field; 43] = [
    one("flowStartSeconds", iana::FLOW_START_SECONDS, Access::Seconds { get: |r| seconds(r.start_ms), set: |r, v| set_seconds(&mut r.start_ms, v) }),
    one("flowEndSeconds", iana::FLOW_END_SECONDS, Access::Seconds { get: |r| seconds(r.end_ms), set: |r, v| set_seconds(&mut r.end_ms, v) }),
    one("flowEndReason", iana::FLOW_END_REASON, Access::U8 { get: |r| r.end_reason as u8, set: |r, v| r.end_reason = FlowEndReason::from_u8(v) }).at(&[5]),
    one("sourceTransportPort", iana::SOURCE_TRANSPORT_PORT, member!(U16, key.source_port)).at(&[7, 2]),
    one("destinationTransportPort", iana::DESTINATION_TRANSPORT_PORT, member!(U16, key.destination_port)).at(&[7, 3]),
    one("protocolIdentifier", iana::PROTOCOL_IDENTIFIER, member!(U8, key.protocol)).at(&[7, 1]),
    one("packetTotalCount", iana::PACKET_TOTAL_COUNT, member!(U64, forward.packets_total)).at(&[9, 1]),
    one("octetTotalCount", iana::OCTET_TOTAL_COUNT, member!(U64, forward.octets_total)).at(&[9, 3]),
    one("packetDeltaCount", iana::PACKET_DELTA_COUNT, member!(U64, forward.packets_delta)).at(&[9, 2]),
    one("octetDeltaCount", iana::OCTET_DELTA_COUNT, member!(U64, forward.octets_delta)).at(&[9, 4]),
    per_family("sourceIP", iana::SOURCE_IPV4_ADDRESS, iana::SOURCE_IPV6_ADDRESS, Access::Ip { get: |r| Some(r.key.source), set: |r, v| set_address(&mut r.key.source, v) }).at(&[6, 2]),
    per_family("destinationIP", iana::DESTINATION_IPV4_ADDRESS, iana::DESTINATION_IPV6_ADDRESS, Access::Ip { get: |r| Some(r.key.destination), set: |r, v| set_address(&mut r.key.destination, v) }).at(&[6, 3]),
    one("reversePacketTotalCount", iana::PACKET_TOTAL_COUNT.reverse(), member!(U64, reverse.packets_total)).at(&[10, 1]),
    one("reverseOctetTotalCount", iana::OCTET_TOTAL_COUNT.reverse(), member!(U64, reverse.octets_total)).at(&[10, 3]),
    one("reversePacketDeltaCount", iana::PACKET_DELTA_COUNT.reverse(), member!(U64, reverse.packets_delta)).at(&[10, 2]),
    one("reverseOctetDeltaCount", iana::OCTET_DELTA_COUNT.reverse(), member!(U64, reverse.octets_delta)).at(&[10, 4]),
    one("sourcePodName", antrea::SOURCE_POD_NAME, name!(source.pod)).at(&[8, 3]).of(Group::Source),
    one("sourcePodNamespace", antrea::SOURCE_POD_NAMESPACE, name!(source.namespace)).at(&[8, 2]).of(Group::Source),
    one("sourceNodeName", antrea::SOURCE_NODE_NAME, name!(source.node)).at(&[8, 6]).of(Group::Source),
    one("destinationPodName", antrea::DESTINATION_POD_NAME, name!(destination.pod)).at(&[8, 9]).of(Group::Destination),
    one("destinationPodNamespace", antrea::DESTINATION_POD_NAMESPACE, name!(destination.namespace)).at(&[8, 8]).of(Group::Destination),
    one("destinationNodeName", antrea::DESTINATION_NODE_NAME, name!(destination.node)).at(&[8, 12]).of(Group::Destination),
    one("destinationServicePort", antrea::DESTINATION_SERVICE_PORT, member!(U16, service.port)).at(&[8, 15]),
    one("destinationServicePortName", antrea::DESTINATION_SERVICE_PORT_NAME, name!(service.name)).at(&[8, 16]),
    one("ingressNetworkPolicyName", antrea::INGRESS_NETWORK_POLICY_NAME, name!(ingress.name)).at(&[8, 20]).of(Group::Ingress),
    one("ingressNetworkPolicyNamespace", antrea::INGRESS_NETWORK_POLICY_NAMESPACE, name!(ingress.namespace)).at(&[8, 19]).of(Group::Ingress),
    one("ingressNetworkPolicyType", antrea::INGRESS_NETWORK_POLICY_TYPE, part!(U8, ingress.policy_type)).at(&[8, 18]).of(Group::Ingress),
    one("ingressNetworkPolicyRuleName", antrea::INGRESS_NETWORK_POLICY_RULE_NAME, name!(ingress.rule)).at(&[8, 22]).of(Group::Ingress),
    one("ingressNetworkPolicyRuleAction", antrea::INGRESS_NETWORK_POLICY_RULE_ACTION, part!(U8, ingress.action)).at(&[8, 23]).of(Group::Ingress),
    one("egressNetworkPolicyName", antrea::EGRESS_NETWORK_POLICY_NAME, name!(egress.name)).at(&[8, 26]).of(Group::Egress),
    one("egressNetworkPolicyNamespace", antrea::EGRESS_NETWORK_POLICY_NAMESPACE, name!(egress.namespace)).at(&[8, 25]).of(Group::Egress),
    one("egressNetworkPolicyType", antrea::EGRESS_NETWORK_POLICY_TYPE, part!(U8, egress.policy_type)).at(&[8, 24]).of(Group::Egress),
    one("egressNetworkPolicyRuleName", antrea::EGRESS_NETWORK_POLICY_RULE_NAME, name!(egress.rule)).at(&[8, 28]).of(Group::Egress),
    one("egressNetworkPolicyRuleAction", antrea::EGRESS_NETWORK_POLICY_RULE_ACTION, part!(U8, egress.action)).at(&[8, 29]).of(Group::Egress),
    one("tcpState", antrea::TCP_STATE, name!(tcp_state)).at(&[7, 4, 1]),
    one("flowType", antrea::FLOW_TYPE, Access::U8 { get: |r| r.flow_type as u8, set: |r, v| r.flow_type = FlowType::from_u8(v) }).at(&[8, 1]),
    one("egressName", antrea::EGRESS_NAME, name!(exit.name)).at(&[8, 30]).of(Group::Exit),
    one("egressIP", antrea::EGRESS_IP, name!(exit.ip)).at(&[8, 31]).of(Group::Exit),
    one("egressNodeName", antrea::EGRESS_NODE_NAME, name!(exit.node)).at(&[8, 32]).of(Group::Exit),
    one("proxySnatPort", antrea::PROXY_SNAT_PORT, member!(U16, proxy_snat_port)).at(&[15]),
    per_family("destinationClusterIP", antrea::DESTINATION_CLUSTER_IPV4, antrea::DESTINATION_CLUSTER_IPV6, Access::Ip { get: |r| r.service.ip, set: |r, v| r.service.ip = r.service.ip.or(v) }).at(&[8, 14]),
    per_family("proxySnatIP", antrea::PROXY_SNAT_IPV4, antrea::PROXY_SNAT_IPV6, member!(Ip, proxy_snat_ip)).at(&[14]),
    per_family("destinationServiceIP", antrea::DESTINATION_SERVICE_IPV4, antrea::DESTINATION_SERVICE_IPV6, Access::Ip { get: |r| r.service.ip, set: |r, v| r.service.ip = v.or(r.service.ip) }).at(&[8, 35]),
];
}

/// Whole seconds; the wire's 32 bits end in 2106.
pub(super) fn seconds(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds / 1000).unwrap_or(u32::MAX)
}

/// Takes a time in seconds, unless a finer one for the same second is already known.
pub(super) fn set_seconds(milliseconds: &mut u64, value: u32) {
    if seconds(*milliseconds) != value {
        *milliseconds = u64::from(value) * 1000;
    }
}

/// A flow always has addresses: an unset one leaves what was there.
fn set_address(address: &mut IpAddr, value: Option<IpAddr>) {
    if let Some(value) = value {
        *address = value;
    }
}
