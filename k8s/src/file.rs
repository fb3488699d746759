//! A cluster described by hand, in YAML.
//!
//! ```yaml
//! nodes:
//!   - {name: node-a, addresses: [192.168.77.1], podCIDRs: [10.10.0.0/24]}
//! pods:
//!   - {name: web-1, namespace: shop, node: node-a, addresses: [10.10.0.2]}
//! services:
//!   - name: db
//!     namespace: shop
//!     clusterIPs: [10.96.0.10]
//!     ports: [{name: http, protocol: TCP, port: 80, nodePort: 30080}]
//! ```

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use config::Problems;
use flow::{Name, protocol};
use ipnet::IpNet;
use serde::Deserialize;

use crate::{Cluster, Node, Pod};

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cluster file {} cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("cluster file is not what is expected (nodes, pods, services)")]
    Yaml(#[source] serde_yaml::Error),
    #[error("cluster file contradicts itself:\n{0}")]
    Invalid(Problems),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    #[serde(default)]
    nodes: Vec<DescribedNode>,
    #[serde(default)]
    pods: Vec<DescribedPod>,
    #[serde(default)]
    services: Vec<DescribedService>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DescribedNode {
    name: String,
    #[serde(default)]
    addresses: Vec<IpAddr>,
    #[serde(default, rename = "podCIDRs")]
    pod_cidrs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedPod {
    name: String,
    namespace: String,
    node: String,
    addresses: Vec<IpAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedService {
    name: String,
    namespace: String,
    #[serde(rename = "clusterIPs", default)]
    cluster_ips: Vec<IpAddr>,
    ports: Vec<DescribedPort>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DescribedPort {
    #[serde(default)]
    name: String,
    #[serde(default = "tcp")]
    protocol: String,
    port: u16,
    node_port: Option<u16>,
}

fn tcp() -> String {
    "TCP".to_owned()
}

impl Cluster {
    /// Reads a cluster file.
    pub fn from_file(path: &Path) -> Result<Self, FileError> {
        let text =
            fs::read_to_string(path).map_err(|error| FileError::Read(path.to_owned(), error))?;
        Self::from_yaml(&text)
    }

    /// Reads a cluster's description; every contradiction in it is reported.
    pub fn from_yaml(text: &str) -> Result<Self, FileError> {
        let described: Described = serde_yaml::from_str(text).map_err(FileError::Yaml)?;
        let mut cluster = Self::default();
        let mut problems = Problems::default();
        for (index, node) in described.nodes.iter().enumerate() {
            add_node(&mut cluster, node, &format!("nodes[{index}]"), &mut problems);
        }
        for (index, pod) in described.pods.iter().enumerate() {
            add_pod(&mut cluster, pod, &format!("pods[{index}]"), &mut problems);
        }
        for (index, service) in described.services.iter().enumerate() {
            add_service(&mut cluster, service, &format!("services[{index}]"), &mut problems);
        }
        problems.result(cluster).map_err(FileError::Invalid)
    }
}

fn add_node(cluster: &mut Cluster, node: &DescribedNode, place: &str, problems: &mut Problems) {
    if cluster.has_node(&node.name) {
        problems.note(place, format!("Node {:?} is described twice", node.name));
    }
    let cidrs = node.pod_cidrs.iter().filter_map(|text| {
        let network = text.parse::<IpNet>();
        problems.check(format!("{place}.podCIDRs: {text:?}"), network)
    });
    let pod_cidrs = cidrs.collect();
    let name = Name::from(node.name.as_str());
    cluster.insert_node(Node { name, addresses: node.addresses.clone(), pod_cidrs });
}

fn add_pod(cluster: &mut Cluster, pod: &DescribedPod, place: &str, problems: &mut Problems) {
    if !cluster.has_node(&pod.node) {
        problems.note(format!("{place}.node"), format!("Node {:?} is not described", pod.node));
    }
    for &address in &pod.addresses {
        if let Some(other) = cluster.pod(address) {
            let owner = format!("{address} belongs to {}/{} already", other.namespace, other.name);
            problems.note(format!("{place}.addresses"), owner);
        }
    }
    let described = Pod {
        name: Name::from(pod.name.as_str()),
        namespace: Name::from(pod.namespace.as_str()),
        node: Name::from(pod.node.as_str()),
    };
    cluster.insert_pod(&described, &pod.addresses);
}

fn add_service(
    cluster: &mut Cluster,
    service: &DescribedService,
    place: &str,
    problems: &mut Problems,
) {
    for (index, port) in service.ports.iter().enumerate() {
        let Some(protocol) = protocol_number(&port.protocol) else {
            let what = format!("{:?} is not one of TCP, UDP, SCTP", port.protocol);
            problems.note(format!("{place}.ports[{index}].protocol"), what);
            continue;
        };
        let name = port_name(service, port);
        for &address in &service.cluster_ips {
            cluster.insert_service(name.clone(), address, port.port, protocol);
        }
        if let Some(node_port) = port.node_port {
            cluster.insert_node_port(&name, node_port, protocol);
        }
    }
}

/// `namespace/name:portName`, as AntreaProxy writes it; a nameless port leaves its part out.
fn port_name(service: &DescribedService, port: &DescribedPort) -> Name {
    let mut name = format!("{}/{}", service.namespace, service.name);
    if !port.name.is_empty() {
        name.push(':');
        name.push_str(&port.name);
    }
    Name::from(name.as_str())
}

fn protocol_number(name: &str) -> Option<u8> {
    match name {
        "TCP" => Some(protocol::TCP),
        "UDP" => Some(protocol::UDP),
        "SCTP" => Some(protocol::SCTP),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = "
nodes:
  - {name: a, addresses: [192.168.77.1], podCIDRs: [10.10.0.0/24, 'fd00:10::/64']}
pods:
  - {name: web, namespace: shop, node: a, addresses: [10.10.0.2, 'fd00:10::2']}
services:
  - name: db
    namespace: shop
    clusterIPs: [10.96.0.10]
    ports: [{name: sql, port: 80, nodePort: 30080}]
";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_find_their_owners() {
        let cluster = Cluster::from_yaml(SHOP).unwrap();
        assert_eq!(cluster.pod(ip("fd00:10::2")).unwrap().name.as_str(), "web");
        assert_eq!(cluster.pod(ip("10.10.0.3")), None);
        assert!(cluster.is_pod_address(ip("10.10.0.3")));
        assert!(cluster.is_gateway(ip("10.10.0.1")) && cluster.is_gateway(ip("fd00:10::1")));
        for (address, port) in [("10.96.0.10", 80), ("192.168.77.1", 30080)] {
            let name = cluster.service(ip(address), port, protocol::TCP).unwrap();
            assert_eq!(name.as_str(), "shop/db:sql");
        }
        assert_eq!(cluster.service(ip("10.96.0.10"), 80, protocol::UDP), None);
    }

    #[test]
    fn every_contradiction_is_told() {
        let text = "
nodes: [{name: a, podCIDRs: [10.10.0.0/33]}]
pods:
  - {name: x, namespace: n, node: a, addresses: [10.10.0.2]}
  - {name: y, namespace: n, node: b, addresses: [10.10.0.2]}
services: [{name: s, namespace: n, ports: [{port: 1, protocol: tcp}]}]
";
        let told = Cluster::from_yaml(text).unwrap_err().to_string();
        for part in ["10.10.0.0/33", "\"b\" is not described", "belongs to n/x", "\"tcp\" is not"] {
            assert!(told.contains(part), "{part} is missing in: {told}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = Cluster::from_yaml("pod: []").unwrap_err();
        let FileError::Yaml(cause) = error else { panic!("{error}") };
        assert!(cause.to_string().contains("unknown field"), "{cause}");
    }
}
