//! What is known of a flow beside what its Nodes told: labels, identities, and who told it.

use ipfix::registry::{antrea, iana};

use super::{Access, Field, member, one, per_family};
use crate::Direction;

/// Builds an [`Access`] to one of a record's [`crate::Uids`].
macro_rules! uid {
    ($name:ident) => {
        Access::Uuid {
            get: |r| r.uid(|uids| uids.$name),
            set: |r, v| r.set_uid(|uids| &mut uids.$name, v),
        }
    };
}

#[rustfmt::skip] // one attribute, one line
pub(super) static ROWS: [Field; 14] = [
    one("sourcePodLabels", antrea::SOURCE_POD_LABELS, Access::Labels { get: |r| &r.source_labels, set: |r, v| r.source_labels = v }).at(&[8, 5]),
    one("destinationPodLabels", antrea::DESTINATION_POD_LABELS, Access::Labels { get: |r| &r.destination_labels, set: |r, v| r.destination_labels = v }).at(&[8, 11]),
    one("sourcePodUUID", antrea::SOURCE_POD_UUID, uid!(source_pod)).at(&[8, 4]),
    one("destinationPodUUID", antrea::DESTINATION_POD_UUID, uid!(destination_pod)).at(&[8, 10]),
    one("sourceNodeUUID", antrea::SOURCE_NODE_UUID, uid!(source_node)).at(&[8, 7]),
    one("destinationNodeUUID", antrea::DESTINATION_NODE_UUID, uid!(destination_node)).at(&[8, 13]),
    one("destinationServiceUUID", antrea::DESTINATION_SERVICE_UUID, uid!(service)).at(&[8, 17]),
    one("ingressNetworkPolicyUUID", antrea::INGRESS_NETWORK_POLICY_UUID, uid!(ingress_policy)).at(&[8, 21]),
    one("egressNetworkPolicyUUID", antrea::EGRESS_NETWORK_POLICY_UUID, uid!(egress_policy)).at(&[8, 27]),
    one("egressUUID", antrea::EGRESS_UUID, uid!(egress)).at(&[8, 34]),
    one("egressNodeUUID", antrea::EGRESS_NODE_UUID, uid!(egress_node)).at(&[8, 33]),
    one("originalObservationDomainId", iana::ORIGINAL_OBSERVATION_DOMAIN_ID, member!(U32, origin.domain)),
    per_family("originalExporterIP", iana::ORIGINAL_EXPORTER_IPV4_ADDRESS, iana::ORIGINAL_EXPORTER_IPV6_ADDRESS, member!(Ip, origin.exporter)),
    one("flowDirection", iana::FLOW_DIRECTION, Access::U8 { get: |r| r.direction as u8, set: |r, v| r.direction = Direction::from_u8(v) }).at(&[12]),
];
