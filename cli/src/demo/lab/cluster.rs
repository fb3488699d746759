//! Which Kubernetes objects the lab pretends to have.
//!
//! Two readers need the same facts: the exporters read them as a cluster file, the
//! Nodes' packet filters carry them out as NAT rules. Both are derived from the tables
//! here, and so are the names the check expects.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::host::{Family, Host};
use super::topology;

/// The port every Pod of the lab serves on.
pub const SERVED_PORT: u16 = 8080;

/// A Node as Kubernetes knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    pub name: &'static str,
    pub host: Host,
}

pub const NODES: [Node; 2] =
    [Node { name: "node-a", host: Host::NodeA }, Node { name: "node-b", host: Host::NodeB }];

/// A Pod as Kubernetes knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pod {
    pub name: &'static str,
    pub namespace: &'static str,
    pub node: &'static str,
    pub host: Host,
}

#[rustfmt::skip]
pub const PODS: [Pod; 4] = [
    Pod { name: "web-0", namespace: "shop", node: "node-a", host: Host::PodA1 },
    Pod { name: "cart-0", namespace: "shop", node: "node-a", host: Host::PodA2 },
    Pod { name: "orders-0", namespace: "shop", node: "node-b", host: Host::PodB1 },
    Pod { name: "grafana-0", namespace: "monitoring", node: "node-b", host: Host::PodB2 },
];

/// A Service with one Pod behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    pub name: &'static str,
    pub namespace: &'static str,
    /// The last number of its ClusterIP, in both families.
    pub number: u8,
    pub backend: Host,
    pub ports: &'static [ServicePort],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServicePort {
    pub name: &'static str,
    /// In capitals, as Kubernetes writes it.
    pub protocol: &'static str,
    pub port: u16,
    pub node_port: Option<u16>,
}

const HTTP: ServicePort = ServicePort { name: "http", protocol: "TCP", port: 80, node_port: None };
const EVENTS: ServicePort =
    ServicePort { name: "events", protocol: "UDP", port: 80, node_port: None };
const WEB: ServicePort = ServicePort { node_port: Some(30080), ..HTTP };
const GRAFANA: ServicePort = ServicePort { node_port: Some(30081), ..HTTP };

#[rustfmt::skip]
pub const SERVICES: [Service; 4] = [
    Service { name: "orders", namespace: "shop", number: 0x10, backend: Host::PodB1, ports: &[HTTP, EVENTS] },
    Service { name: "cart", namespace: "shop", number: 0x11, backend: Host::PodA2, ports: &[HTTP] },
    Service { name: "web", namespace: "shop", number: 0x12, backend: Host::PodA1, ports: &[WEB] },
    Service { name: "grafana", namespace: "monitoring", number: 0x13, backend: Host::PodB2, ports: &[GRAFANA] },
];

impl Service {
    /// 10.96.0.10 and `fd00:96::10` for number 0x10: they look alike on purpose.
    pub fn cluster_ip(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => Ipv4Addr::new(10, 96, 0, self.number - 6).into(),
            Family::V6 => Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, u16::from(self.number)).into(),
        }
    }
}

/// Finds the Pod that has `address`.
pub fn pod_at(address: IpAddr) -> Option<&'static Pod> {
    PODS.iter().find(|pod| Family::ALL.iter().any(|&family| pod.host.address(family) == address))
}

/// Tells on which Node a Pod with `address` is: by the Pod CIDRs, so that a Pod nobody
/// has heard of counts too. The Node's own address in there, the gateway, is no Pod's.
pub fn node_of_pod_address(address: IpAddr) -> Option<&'static Node> {
    NODES.iter().find(|node| {
        let (ipv4, ipv6) = topology::gateway(node.host);
        let is_gateway = [IpAddr::from(ipv4), IpAddr::from(ipv6)].contains(&address);
        let cidrs = topology::pod_cidrs(node.host);
        !is_gateway && cidrs.iter().any(|&(network, length)| is_inside(address, network, length))
    })
}

fn is_inside(address: IpAddr, network: IpAddr, length: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(length)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(length)
        }
        _ => false,
    }
}

/// The cluster file the exporters are given, in YAML.
pub(super) fn file() -> String {
    let mut text = String::from("nodes:\n");
    for node in NODES {
        let addresses = addresses(node.host);
        let cidrs = topology::pod_cidrs(node.host)
            .map(|(network, length)| format!("\"{network}/{length}\""))
            .join(", ");
        let name = node.name;
        line(
            &mut text,
            &format!("  - {{name: {name}, addresses: [{addresses}], podCIDRs: [{cidrs}]}}"),
        );
    }
    text.push_str("pods:\n");
    for Pod { name, namespace, node, host } in PODS {
        let addresses = addresses(host);
        line(
            &mut text,
            &format!(
                "  - {{name: {name}, namespace: {namespace}, node: {node}, addresses: [{addresses}]}}"
            ),
        );
    }
    text.push_str("services:\n");
    for service in &SERVICES {
        line(&mut text, &service_line(service));
    }
    text
}

fn service_line(service: &Service) -> String {
    let ips = Family::ALL.map(|family| format!("\"{}\"", service.cluster_ip(family))).join(", ");
    let ports = service.ports.iter().map(|port| {
        let ServicePort { name, protocol, port, node_port } = port;
        let node_port = node_port.map(|port| format!(", nodePort: {port}")).unwrap_or_default();
        format!("{{name: {name}, protocol: {protocol}, port: {port}{node_port}}}")
    });
    let ports = ports.collect::<Vec<_>>().join(", ");
    let Service { name, namespace, .. } = service;
    format!("  - {{name: {name}, namespace: {namespace}, clusterIPs: [{ips}], ports: [{ports}]}}")
}

/// Quoted, since a bare `fd00:10::2` in YAML's flow style is up to the parser's mood.
fn addresses(host: Host) -> String {
    Family::ALL.map(|family| format!("\"{}\"", host.address(family))).join(", ")
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_file_lists_nodes_pods_and_services() {
        let file = file();
        for line in [
            r#"  - {name: node-a, addresses: ["192.168.77.1", "fd00:77::1"], podCIDRs: ["10.10.0.0/24", "fd00:10::/64"]}"#,
            r#"  - {name: orders-0, namespace: shop, node: node-b, addresses: ["10.10.1.2", "fd00:10:1::2"]}"#,
            r#"  - {name: web, namespace: shop, clusterIPs: ["10.96.0.12", "fd00:96::12"], ports: [{name: http, protocol: TCP, port: 80, nodePort: 30080}]}"#,
        ] {
            assert!(file.lines().any(|got| got == line), "{line}\nis not in\n{file}");
        }
    }

    #[test]
    fn a_pod_address_leads_to_its_node_and_no_other_does() {
        let node = |address: &str| node_of_pod_address(address.parse().unwrap()).map(|n| n.name);
        assert_eq!(node("10.10.0.2"), Some("node-a"));
        assert_eq!(node("10.10.1.3"), Some("node-b"));
        assert_eq!(node("fd00:10:1::2"), Some("node-b"));
        assert_eq!(node("10.10.0.1"), None, "the gateway is not a Pod");
        assert_eq!(node("192.168.77.1"), None);
        assert_eq!(node("10.96.0.10"), None);
    }
}
