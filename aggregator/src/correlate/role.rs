//! Whose half of a flow a record is.
//!
//! Antrea's rules: only flows between Nodes have two halves, and those that enter the cluster
//! through another Node than their Pod's. A record names its own Node only, at the end where its
//! Pod is, which tells the source's half from the destination's. Antrea's exporters name the Node
//! where they name the Pod; ours where a Pod of the Node is, be it known which or not.

use flow::{Endpoint, FlowKey, FlowRecord, FlowType, PolicyRule};

/// What part of a flow a record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// All of it: no other Node sees this flow.
    Whole,
    Source,
    Destination,
}

impl Role {
    pub(super) fn of(record: &FlowRecord) -> Self {
        let is_ingress_half = is_ingress_half(record);
        if record.flow_type != FlowType::InterNode && !is_ingress_half {
            Self::Whole
        } else if is_ingress_half || is_from_source(record) {
            Self::Source
        } else {
            Self::Destination
        }
    }
}

/// A connection from outside that this Node sends on to a Pod of another Node.
pub(super) fn is_ingress_half(record: &FlowRecord) -> bool {
    record.flow_type == FlowType::FromExternal
        && is_elsewhere(&record.destination)
        && record.proxy_snat_ip.is_some()
}

fn is_from_source(record: &FlowRecord) -> bool {
    !is_elsewhere(&record.source) && is_elsewhere(&record.destination)
}

/// Whether the Node that tells has no Pod at this end.
fn is_elsewhere(end: &Endpoint) -> bool {
    end.pod.is_empty() && end.node.is_empty()
}

/// Whether a rule refused the flow so that the other Node need not report it. Ingress drops are
/// not among them: the source Node still sees the first packet.
pub(super) fn is_refused(record: &FlowRecord) -> bool {
    matches!(record.egress.action, PolicyRule::DROP | PolicyRule::REJECT)
        || record.ingress.action == PolicyRule::REJECT
}

/// The key under which both halves meet. The destination Node knows an external client only by
/// the address that the ingress Node's source NAT gave it.
pub(super) fn correlation_key(record: &FlowRecord) -> FlowKey {
    match record.proxy_snat_ip {
        Some(address) if is_ingress_half(record) => {
            FlowKey { source: address, source_port: record.proxy_snat_port, ..record.key }
        }
        _ => record.key,
    }
}
