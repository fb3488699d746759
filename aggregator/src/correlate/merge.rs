//! The names of both ends in one record.
//!
//! Each Node knows its own Pod and its own policies; the source's also knows the Service. What a
//! half sets replaces what the record has.

use std::mem::take;
use std::net::IpAddr;

use flow::{Endpoint, FlowRecord, FlowType, Name, PolicyRule, Service};

use super::role::is_ingress_half;

/// Takes over from `half` what it knows better.
pub(super) fn merge(record: &mut FlowRecord, mut half: FlowRecord) {
    if is_ingress_half(&half) {
        // The other half knows the client only by its translated address.
        record.key.source = half.key.source;
        record.key.source_port = half.key.source_port;
        record.proxy_snat_ip = half.proxy_snat_ip;
        record.proxy_snat_port = half.proxy_snat_port;
        record.flow_type = FlowType::FromExternal;
    }
    endpoint(&mut record.source, &mut half.source);
    endpoint(&mut record.destination, &mut half.destination);
    service(&mut record.service, &mut half.service);
    policy(&mut record.ingress, &mut half.ingress);
    policy(&mut record.egress, &mut half.egress);
    for (ours, theirs) in [
        (&mut record.egress_name, &mut half.egress_name),
        (&mut record.egress_ip, &mut half.egress_ip),
        (&mut record.egress_node_name, &mut half.egress_node_name),
    ] {
        name(ours, theirs);
    }
}

fn name(ours: &mut Name, theirs: &mut Name) {
    if !theirs.is_empty() {
        *ours = take(theirs);
    }
}

fn endpoint(ours: &mut Endpoint, theirs: &mut Endpoint) {
    name(&mut ours.pod, &mut theirs.pod);
    name(&mut ours.namespace, &mut theirs.namespace);
    name(&mut ours.node, &mut theirs.node);
}

fn service(ours: &mut Service, theirs: &mut Service) {
    name(&mut ours.name, &mut theirs.name);
    let theirs_ip: Option<IpAddr> = theirs.ip;
    ours.ip = theirs_ip.or(ours.ip);
    if theirs.port != 0 {
        ours.port = theirs.port;
    }
}

fn policy(ours: &mut PolicyRule, theirs: &mut PolicyRule) {
    name(&mut ours.name, &mut theirs.name);
    name(&mut ours.namespace, &mut theirs.namespace);
    name(&mut ours.rule, &mut theirs.rule);
    if theirs.policy_type != 0 {
        ours.policy_type = theirs.policy_type;
    }
    if theirs.action != 0 {
        ours.action = theirs.action;
    }
}
