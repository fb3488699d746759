//! What Antrea's `NodePortLocal` writes on Pods, and reads on Services.

use std::net::IpAddr;

use super::{PORT_LIMIT, Trimmer, port_number, protocol_number, wire};
use crate::objects::{LocalPort, Localized, TargetPort};
use crate::watch::state::LeftOut;

/// Ports of one Pod. Each is one port of the Node, of which there are 1,000 by default.
const LOCAL_PORT_LIMIT: usize = 64;
/// Bytes of the annotation that are read: 64 ports take 10 KiB.
const ANNOTATION_LIMIT: usize = 64 << 10;

impl Trimmer {
    pub(super) fn local_ports(
        &mut self,
        meta: &wire::Meta,
        spec: &wire::PodSpec,
        status: &wire::PodStatus,
    ) -> Vec<LocalPort> {
        let told = meta.annotations.as_ref().and_then(|it| it.local_ports.as_deref());
        let Some(told) = told.filter(|told| !told.is_empty()) else { return Vec::new() };
        let read =
            if told.len() > ANNOTATION_LIMIT { None } else { serde_json::from_str(told).ok() };
        let Some(told) = read as Option<Vec<wire::LocalPort>> else {
            self.left.count(LeftOut::Port);
            return Vec::new();
        };
        let hosts = host_addresses(status);
        let mut kept = Vec::new();
        for port in told {
            for (protocol, node, number) in ends(&port) {
                let is_of_its_node = node.0.is_some_and(|address| hosts.contains(&address));
                if !is_of_its_node || kept.len() == LOCAL_PORT_LIMIT {
                    self.left.count(LeftOut::Port);
                    continue;
                }
                let name = self.shared(container_name(spec, protocol, number));
                kept.push(LocalPort { node, protocol, port: number, name });
            }
        }
        kept
    }

    /// As Antrea, not for those of type `NodePort`.
    pub(super) fn localized(
        &mut self,
        meta: &wire::Meta,
        spec: &wire::ServiceSpec,
    ) -> Option<Localized> {
        let told = meta.annotations.as_ref().and_then(|it| it.localized.as_deref());
        if told != Some("true") || spec.kind.as_deref() == Some("NodePort") {
            return None;
        }
        let selector = self.pairs(spec.selector.as_ref());
        let mut targets = Vec::new();
        for port in spec.ports.iter().flatten().take(PORT_LIMIT) {
            let Some(protocol) = protocol_number(port.protocol.as_deref()) else { continue };
            let target = match &port.target_port {
                Some(wire::TargetPort::Named(name)) => {
                    Some(TargetPort::Named(self.shared(Some(name))))
                }
                Some(wire::TargetPort::Number(number)) => {
                    port_number(*number).map(TargetPort::Number)
                }
                None => port.port.and_then(port_number).map(TargetPort::Number),
            };
            targets.extend(target.map(|target| (protocol, target)));
        }
        Some(Localized { selector, targets })
    }
}

/// The Node's addresses, as the kubelet says.
fn host_addresses(status: &wire::PodStatus) -> Vec<IpAddr> {
    let several = status.host_ips.iter().flatten().filter_map(|it| it.ip.as_deref());
    let texts = several.chain(status.host_ip.as_deref());
    texts.filter_map(|text| text.parse().ok()).collect()
}

/// Protocol, address and port of the Node, port of the Pod: of each protocol that is told.
fn ends(port: &wire::LocalPort) -> Vec<(u8, (Option<IpAddr>, u16), u16)> {
    let numbers = port.node_port.and_then(port_number).zip(port.pod_port.and_then(port_number));
    let Some((node_port, number)) = numbers else { return Vec::new() };
    let address = port.node_ip.as_deref().and_then(|text| text.parse().ok());
    let words = port.protocol.iter().chain(port.protocols.iter().flatten());
    let mut protocols: Vec<_> =
        words.filter_map(|word| protocol_number(Some(&word.to_uppercase()))).collect();
    protocols.sort_unstable();
    protocols.dedup();
    protocols.into_iter().map(|protocol| (protocol, (address, node_port), number)).collect()
}

/// What a container calls a port of the Pod.
fn container_name(spec: &wire::PodSpec, protocol: u8, number: u16) -> Option<&str> {
    let containers = spec.containers.iter().flatten();
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let is_it = |port: &&wire::ContainerPort| {
        port.number.and_then(port_number) == Some(number)
            && protocol_number(port.protocol.as_deref()) == Some(protocol)
    };
    ports.find(is_it)?.name.as_deref()
}
