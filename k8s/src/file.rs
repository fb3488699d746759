//! A cluster described by hand, in YAML.
//!
//! ```yaml
//! nodes:
//!   - {name: node-a, addresses: [192.168.77.1], podCIDRs: [10.10.0.0/24], zone: z1, region: r1}
//! pods:
//!   - name: web-1
//!     namespace: shop
//!     node: node-a
//!     addresses: [10.10.0.2]
//!     workload: {kind: Deployment, name: web}
//!     labels: {app: web}
//! services:
//!   - name: db
//!     namespace: shop
//!     clusterIPs: [10.96.0.10]
//!     externalIPs: [192.0.2.10]
//!     loadBalancerIPs: [192.0.2.20]
//!     ports: [{name: http, protocol: TCP, port: 80, nodePort: 30080}]
//! ```
//!
//! What it describes has always been so: the time does not matter in look-ups.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use config::Problems;
use flow::{Name, protocol};
use ipnet::IpNet;
use serde::Deserialize;

use crate::objects::{Node, Object, Owner, Phase, Pod, Service, ServicePort};
use crate::{Cluster, Stats, Tracker};

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
    #[serde(default)]
    zone: String,
    #[serde(default)]
    region: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedPod {
    name: String,
    namespace: String,
    node: String,
    addresses: Vec<IpAddr>,
    workload: Option<DescribedWorkload>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedWorkload {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedService {
    name: String,
    namespace: String,
    #[serde(rename = "clusterIPs", default)]
    cluster_ips: Vec<IpAddr>,
    #[serde(rename = "externalIPs", default)]
    external_ips: Vec<IpAddr>,
    #[serde(rename = "loadBalancerIPs", default)]
    load_balancer_ips: Vec<IpAddr>,
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
        let mut problems = Problems::default();
        let mut objects = Vec::new();
        for (index, node) in described.nodes.iter().enumerate() {
            objects.push(Object::Node(node.object(&format!("nodes[{index}]"), &mut problems)));
        }
        objects.extend(described.pods.iter().map(|pod| Object::Pod(pod.object())));
        for (index, service) in described.services.iter().enumerate() {
            let place = format!("services[{index}]");
            objects.push(Object::Service(service.object(&place, &mut problems)));
        }
        let (cluster, stats) = Tracker::timeless(objects);
        if stats != Stats::default() {
            problems.note("cluster", format!("exceeds limits: {stats:?}"));
        }
        described.contradictions(&cluster, &mut problems);
        problems.result(cluster).map_err(FileError::Invalid)
    }
}

impl Described {
    /// What cannot be at once.
    fn contradictions(&self, cluster: &Cluster, problems: &mut Problems) {
        let mut named = HashSet::new();
        let nodes = self.nodes.iter().map(|node| format!("Node {:?}", node.name));
        let pods = self.pods.iter().map(|pod| format!("Pod {}/{}", pod.namespace, pod.name));
        let services = self.services.iter();
        let services =
            services.map(|service| format!("Service {}/{}", service.namespace, service.name));
        for name in nodes.chain(pods).chain(services) {
            if let Some(twice) = named.replace(name) {
                problems.note("cluster", format!("{twice} is described twice"));
            }
        }
        let mut owners = HashMap::new();
        for (index, pod) in self.pods.iter().enumerate() {
            if !cluster.has_node(&pod.node) {
                let what = format!("Node {:?} is not described", pod.node);
                problems.note(format!("pods[{index}].node"), what);
            }
            for address in &pod.addresses {
                if let Some(DescribedPod { namespace, name, .. }) = owners.insert(address, pod) {
                    let what = format!("{address} belongs to {namespace}/{name} already");
                    problems.note(format!("pods[{index}].addresses"), what);
                }
            }
        }
    }
}

impl DescribedNode {
    fn object(&self, place: &str, problems: &mut Problems) -> Node {
        let cidrs = self.pod_cidrs.iter().filter_map(|text| {
            let network = text.parse::<IpNet>();
            problems.check(format!("{place}.podCIDRs: {text:?}"), network)
        });
        Node {
            uid: name(&self.name),
            name: name(&self.name),
            addresses: self.addresses.clone(),
            pod_cidrs: cidrs.collect(),
            created_ms: 0,
            zone: name(&self.zone),
            region: name(&self.region),
        }
    }
}

impl DescribedPod {
    fn object(&self) -> Pod {
        let labels = self.labels.iter().map(|(key, value)| (name(key), name(value)));
        let owner = self.workload.as_ref().map(|workload| Owner {
            kind: name(&workload.kind),
            name: name(&workload.name),
            uid: name(&format!("{}/{}", workload.kind, workload.name)),
        });
        Pod {
            uid: name(&format!("{}/{}", self.namespace, self.name)),
            namespace: name(&self.namespace),
            name: name(&self.name),
            node: name(&self.node),
            addresses: self.addresses.clone(),
            phase: Phase::Running,
            owner,
            labels: labels.collect(),
            ..Pod::default()
        }
    }
}

impl DescribedService {
    fn object(&self, place: &str, problems: &mut Problems) -> Service {
        let mut ports = Vec::new();
        for (index, port) in self.ports.iter().enumerate() {
            let Some(protocol) = protocol_number(&port.protocol) else {
                let what = format!("{:?} is not one of TCP, UDP, SCTP", port.protocol);
                problems.note(format!("{place}.ports[{index}].protocol"), what);
                continue;
            };
            let (name, number) = (name(&port.name), port.port);
            ports.push(ServicePort { name, protocol, port: number, node_port: port.node_port });
        }
        Service {
            uid: name(&format!("{}/{}", self.namespace, self.name)),
            namespace: name(&self.namespace),
            name: name(&self.name),
            cluster_ips: self.cluster_ips.clone(),
            external_ips: self.external_ips.clone(),
            load_balancer_ips: self.load_balancer_ips.clone(),
            created_ms: 0,
            ports,
            localized: None,
        }
    }
}

fn name(text: &str) -> Name {
    Name::from(text)
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
    use crate::{Lookup, Reason};

    const SHOP: &str = "
nodes:
  - {name: a, addresses: [192.168.77.1], podCIDRs: [10.10.0.0/24, 'fd00:10::/64'], zone: z1, region: r1}
pods:
  - {name: web, namespace: shop, node: a, addresses: [10.10.0.2, 'fd00:10::2'],
     workload: {kind: Deployment, name: web}, labels: {tier: front, app: web}}
services:
  - name: db
    namespace: shop
    clusterIPs: [10.96.0.10]
    externalIPs: [192.0.2.10]
    loadBalancerIPs: ['2001:db8::20']
    ports: [{name: sql, port: 80, nodePort: 30080}]
";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_find_their_owners_at_any_time() {
        let cluster = Cluster::from_yaml(SHOP).unwrap();
        for time in [0, 1, 1_700_000_000_000, u64::MAX] {
            let Lookup::Found(pod) = cluster.pod(ip("fd00:10::2"), time) else { panic!("{time}") };
            assert_eq!(pod.name.as_str(), "web");
            assert_eq!(cluster.pod(ip("10.10.0.3"), time), Lookup::Missing(Reason::Unknown));
            assert_eq!(cluster.pod(ip("192.168.77.1"), time), Lookup::Missing(Reason::Node));
            for (address, port) in [
                ("10.96.0.10", 80),
                ("192.0.2.10", 80),
                ("2001:db8::20", 80),
                ("192.168.77.1", 30080),
            ] {
                let service = cluster.service(ip(address), port, protocol::TCP, time);
                let Lookup::Found(service) = service else { panic!("{address}: {service:?}") };
                assert_eq!(service.port_name.as_str(), "shop/db:sql");
            }
            let other = cluster.service(ip("10.96.0.10"), 80, protocol::UDP, time);
            assert_eq!(other, Lookup::Missing(Reason::Unknown));
        }
        assert!(cluster.is_pod_address(ip("10.10.0.3")));
        assert!(cluster.is_gateway(ip("10.10.0.1")) && cluster.is_gateway(ip("fd00:10::1")));
    }

    #[test]
    fn what_a_pod_belongs_to_and_where_it_runs_is_told() {
        let cluster = Cluster::from_yaml(SHOP).unwrap();
        let pod = cluster.pod(ip("10.10.0.2"), 0).owner().unwrap();
        let workload = cluster.workload(pod).unwrap();
        assert_eq!((workload.kind.as_str(), workload.name.as_str()), ("Deployment", "web"));
        let labels = pod.labels.iter().map(|(key, value)| format!("{key}={value}"));
        assert_eq!(labels.collect::<Vec<_>>(), ["app=web", "tier=front"]);
        let node = cluster.node(&pod.node).unwrap();
        assert_eq!((node.zone.as_str(), node.region.as_str()), ("z1", "r1"));
    }

    #[test]
    fn every_contradiction_is_told() {
        let text = "
nodes: [{name: a, podCIDRs: [10.10.0.0/33]}]
pods:
  - {name: x, namespace: n, node: a, addresses: [10.10.0.2]}
  - {name: y, namespace: n, node: b, addresses: [10.10.0.2]}
  - {name: y, namespace: '', node: a, addresses: []}
services:
  - {name: s, namespace: n, ports: [{port: 1, protocol: tcp}]}
  - {name: s, namespace: n, ports: []}
";
        let told = Cluster::from_yaml(text).unwrap_err().to_string();
        for part in [
            "10.10.0.0/33",
            "\"b\" is not described",
            "belongs to n/x",
            "\"tcp\" is not",
            "Service n/s is described twice",
            "objects_malformed: 1",
        ] {
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
