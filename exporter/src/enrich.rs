//! Addresses become Pods, Services and flow types.
//!
//! A Node names only its own Pods: the other Node knows its own better, and the aggregator joins
//! the two. Who is meant is who had the address when the connection began. Names are looked up
//! anew for each record, so that a Pod that became known late is named from then on.

use std::net::IpAddr;
use std::sync::Arc;

use flow::{Endpoint, FlowEndReason, FlowKey, FlowRecord, FlowType, Name, Profile, Service};
use k8s::{Cluster, Pod};

use crate::conntrack::{Counters, tcp_state};
use crate::meter::{Due, EndReason};

/// Makes Flow Records of what the meter hands out.
#[derive(Debug)]
pub struct Enricher {
    cluster: Arc<Cluster>,
    node: Name,
    profile: Profile,
    tcp_states: Vec<Name>,
}

impl Enricher {
    /// `node` is the name of the Node this runs on.
    pub fn new(cluster: Arc<Cluster>, node: &str, profile: Profile) -> Self {
        let states = (0..).map_while(tcp_state::name).map(Name::from);
        Self { cluster, node: node.into(), profile, tcp_states: states.collect() }
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The record of a connection; `None` for traffic that is not a Pod's, or that another Node
    /// reports completely.
    pub fn record(&self, due: &Due<'_>) -> Option<FlowRecord> {
        let key = self.key(due);
        let start_ms = due.start_ns / 1_000_000;
        let source = self.local_pod(key.source, start_ms);
        let destination = self.local_pod(key.destination, start_ms);
        let snat = translated_source(due);
        let flow_type = self.flow_type(&key, source.is_some(), destination.is_some())?;
        let is_translated = due.original.reversed() != *due.reply;
        let entered_elsewhere = destination.is_none() && !is_translated;
        if flow_type == FlowType::FromExternal && entered_elsewhere {
            return None;
        }
        let tcp_state = due.tcp_state.and_then(|state| self.tcp_states.get(usize::from(state)));
        Some(FlowRecord {
            flow_id: u64::from(due.id),
            key,
            start_ms,
            end_ms: due.end_ns / 1_000_000,
            end_reason: end_reason(due.reason),
            forward: forward(&due.totals, &due.deltas),
            reverse: reverse(&due.totals, &due.deltas),
            source: self.endpoint(source),
            destination: self.endpoint(destination),
            service: self.service(due),
            tcp_state: tcp_state.cloned().unwrap_or_default(),
            flow_type,
            proxy_snat_ip: snat.map(|(address, _)| address),
            proxy_snat_port: snat.map_or(0, |(_, port)| port),
            ..FlowRecord::default()
        })
    }

    /// Source as the client has it, destination after NAT.
    fn key(&self, due: &Due<'_>) -> FlowKey {
        let (source, destination) = (due.original.source(), due.reply.source());
        let protocol = due.original.protocol();
        match due.original.as_icmp() {
            Some(icmp) => FlowKey {
                source,
                destination,
                // Antrea's template has no room for what tells pings apart; its ports are 0.
                source_port: if self.profile == Profile::Fyke { icmp.id } else { 0 },
                destination_port: 0,
                protocol,
                icmp_type_code: u16::from_be_bytes([icmp.kind, icmp.code]),
            },
            None => FlowKey {
                source,
                destination,
                source_port: due.original.source_port(),
                destination_port: due.reply.source_port(),
                protocol,
                icmp_type_code: 0,
            },
        }
    }

    fn local_pod(&self, address: IpAddr, time_ms: u64) -> Option<&Pod> {
        self.cluster.pod(address, time_ms).owner().filter(|pod| pod.node == self.node)
    }

    fn endpoint(&self, pod: Option<&Pod>) -> Endpoint {
        pod.map_or_else(Endpoint::default, |pod| Endpoint {
            pod: pod.name.clone(),
            namespace: pod.namespace.clone(),
            node: self.node.clone(),
        })
    }

    /// Antrea's decision table for clusters with a route per Node, in its order.
    fn flow_type(&self, key: &FlowKey, source: bool, destination: bool) -> Option<FlowType> {
        let cluster = &self.cluster;
        if cluster.is_gateway(key.destination) {
            return None;
        }
        if cluster.is_gateway(key.source) {
            return destination.then_some(FlowType::InterNode);
        }
        if !cluster.is_pod_address(key.source) {
            return cluster.is_pod_address(key.destination).then_some(FlowType::FromExternal);
        }
        if !cluster.is_pod_address(key.destination) {
            return source.then_some(FlowType::ToExternal);
        }
        match (source, destination) {
            (true, true) => Some(FlowType::IntraNode),
            (true, false) | (false, true) => Some(FlowType::InterNode),
            // Neither Pod is here: this Node only forwards.
            (false, false) => None,
        }
    }

    /// The address that the client used, if destination NAT replaced it. It is told even when no
    /// Service is known by it.
    fn service(&self, due: &Due<'_>) -> Service {
        let (ip, port) = (due.original.destination(), due.original.destination_port());
        let is_translated = ip != due.reply.source() || port != due.reply.source_port();
        if !is_translated || due.original.as_icmp().is_some() {
            return Service::default();
        }
        let time_ms = due.start_ns / 1_000_000;
        let service = self.cluster.service(ip, port, due.original.protocol(), time_ms).owner();
        let name = service.map(|service| service.port_name.clone()).unwrap_or_default();
        Service { ip: Some(ip), port, name }
    }
}

/// What source NAT made of the client's address and port, if it changed them.
fn translated_source(due: &Due<'_>) -> Option<(IpAddr, u16)> {
    let seen = (due.reply.destination(), due.reply.destination_port());
    let client = (due.original.source(), due.original.source_port());
    (seen != client).then_some(seen)
}

fn end_reason(reason: EndReason) -> FlowEndReason {
    match reason {
        EndReason::IdleTimeout => FlowEndReason::IdleTimeout,
        EndReason::ActiveTimeout => FlowEndReason::ActiveTimeout,
        EndReason::EndOfFlow => FlowEndReason::EndOfFlow,
        EndReason::Forced => FlowEndReason::ForcedEnd,
    }
}

fn forward(totals: &Counters, deltas: &Counters) -> flow::Counters {
    flow::Counters {
        packets_total: totals.packets,
        octets_total: totals.octets,
        packets_delta: deltas.packets,
        octets_delta: deltas.octets,
    }
}

fn reverse(totals: &Counters, deltas: &Counters) -> flow::Counters {
    flow::Counters {
        packets_total: totals.reverse_packets,
        octets_total: totals.reverse_octets,
        packets_delta: deltas.reverse_packets,
        octets_delta: deltas.reverse_octets,
    }
}

#[cfg(test)]
mod tests;
