//! What is known of a flow beside what its Nodes told: labels, identities, workloads, zones, and who told it.

use ipfix::registry::{antrea, iana};

use super::{Access, Field, Group, member, name, one, part, per_family, rows, unregistered};
use crate::{Direction, ObservedBy};

rows! {
pub(super) static ROWS: [Field; 19] = [
    one("sourcePodLabels", antrea::SOURCE_POD_LABELS, name!(Labels, source.labels)).at(&[8, 5]).of(Group::Source),
    one("destinationPodLabels", antrea::DESTINATION_POD_LABELS, name!(Labels, destination.labels)).at(&[8, 11]).of(Group::Destination),
    one("sourcePodUUID", antrea::SOURCE_POD_UUID, part!(Uuid, source.pod_uid)).at(&[8, 4]).of(Group::Source),
    one("destinationPodUUID", antrea::DESTINATION_POD_UUID, part!(Uuid, destination.pod_uid)).at(&[8, 10]).of(Group::Destination),
    one("sourceNodeUUID", antrea::SOURCE_NODE_UUID, part!(Uuid, source.node_uid)).at(&[8, 7]).of(Group::Source),
    one("destinationNodeUUID", antrea::DESTINATION_NODE_UUID, part!(Uuid, destination.node_uid)).at(&[8, 13]).of(Group::Destination),
    one("destinationServiceUUID", antrea::DESTINATION_SERVICE_UUID, part!(Uuid, uids.service)).at(&[8, 17]),
    one("ingressNetworkPolicyUUID", antrea::INGRESS_NETWORK_POLICY_UUID, part!(Uuid, uids.ingress_policy)).at(&[8, 21]),
    one("egressNetworkPolicyUUID", antrea::EGRESS_NETWORK_POLICY_UUID, part!(Uuid, uids.egress_policy)).at(&[8, 27]),
    one("egressUUID", antrea::EGRESS_UUID, part!(Uuid, uids.egress)).at(&[8, 34]),
    one("egressNodeUUID", antrea::EGRESS_NODE_UUID, part!(Uuid, uids.egress_node)).at(&[8, 33]),
    one("originalObservationDomainId", iana::ORIGINAL_OBSERVATION_DOMAIN_ID, member!(U32, origin.domain)),
    per_family("originalExporterIP", iana::ORIGINAL_EXPORTER_IPV4_ADDRESS, iana::ORIGINAL_EXPORTER_IPV6_ADDRESS, member!(Ip, origin.exporter)),
    one("flowDirection", iana::FLOW_DIRECTION, Access::U8 { get: |r| r.direction as u8, set: |r, v| r.direction = Direction::from_u8(v) }).at(&[12]),
    unregistered("sourceWorkload", name!(source.workload)).of(Group::Source),
    unregistered("destinationWorkload", name!(destination.workload)).of(Group::Destination),
    unregistered("sourceZone", name!(source.zone)).of(Group::Source),
    unregistered("destinationZone", name!(destination.zone)).of(Group::Destination),
    unregistered("observedBy", Access::U8 { get: |r| r.observed_by as u8, set: |r, v| r.observed_by = ObservedBy::from_u8(v) }),
];
}
