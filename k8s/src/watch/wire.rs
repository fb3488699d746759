//! What is read of the API server's JSON: these fields; all others are passed over.
//!
//! Every field may be missing or `null`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// One line of a watch.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    pub(super) metadata: PageMeta,
    #[serde(borrow)]
    pub(super) items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageMeta {
    pub(super) resource_version: Option<String>,
    #[serde(rename = "continue")]
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Bookmark {
    pub(super) metadata: BookmarkMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookmarkMeta {
    pub(super) resource_version: Option<String>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// An object that is gone.
#[derive(Deserialize)]
pub(super) struct Gone {
    pub(super) metadata: GoneMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GoneMeta {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
}

/// An object of which only the metadata is read.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) metadata: Meta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) creation_timestamp: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) annotations: Option<Annotations>,
    pub(super) owner_references: Option<Vec<Owner>>,
}

/// Of all that may be there, which can be much.
#[derive(Deserialize, Default)]
pub(super) struct Annotations {
    #[serde(rename = "nodeportlocal.antrea.io")]
    pub(super) local_ports: Option<String>,
    #[serde(rename = "nodeportlocal.antrea.io/enabled")]
    pub(super) localized: Option<String>,
}

/// One of a JSON list in an annotation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LocalPort {
    pub(super) pod_port: Option<i64>,
    #[serde(rename = "nodeIP")]
    pub(super) node_ip: Option<String>,
    pub(super) node_port: Option<i64>,
    pub(super) protocol: Option<String>,
    /// In older versions of Antrea: all that have this number.
    pub(super) protocols: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(super) struct Owner {
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) controller: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: Meta,
    pub(super) spec: Option<PodSpec>,
    pub(super) status: Option<PodStatus>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) node_name: Option<String>,
    pub(super) host_network: Option<bool>,
    pub(super) containers: Option<Vec<Container>>,
}

#[derive(Deserialize)]
pub(super) struct Container {
    pub(super) ports: Option<Vec<ContainerPort>>,
}

#[derive(Deserialize)]
pub(super) struct ContainerPort {
    pub(super) name: Option<String>,
    #[serde(rename = "containerPort")]
    pub(super) number: Option<i64>,
    pub(super) protocol: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodStatus {
    pub(super) phase: Option<String>,
    pub(super) start_time: Option<String>,
    #[serde(rename = "podIPs")]
    pub(super) pod_ips: Option<Vec<Ip>>,
    #[serde(rename = "hostIP")]
    pub(super) host_ip: Option<String>,
    /// From Kubernetes 1.28 on.
    #[serde(rename = "hostIPs")]
    pub(super) host_ips: Option<Vec<Ip>>,
    pub(super) conditions: Option<Vec<Condition>>,
}

#[derive(Deserialize)]
pub(super) struct Ip {
    pub(super) ip: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    pub(super) last_transition_time: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Service {
    pub(super) metadata: Meta,
    pub(super) spec: Option<ServiceSpec>,
    pub(super) status: Option<ServiceStatus>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    #[serde(rename = "clusterIPs")]
    pub(super) cluster_ips: Option<Vec<String>>,
    #[serde(rename = "externalIPs")]
    pub(super) external_ips: Option<Vec<String>>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) selector: Option<BTreeMap<String, String>>,
    pub(super) ports: Option<Vec<ServicePort>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServicePort {
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) port: Option<i64>,
    pub(super) node_port: Option<i64>,
    pub(super) target_port: Option<TargetPort>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum TargetPort {
    Number(i64),
    Named(String),
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceStatus {
    pub(super) load_balancer: Option<LoadBalancer>,
}

#[derive(Deserialize, Default)]
pub(super) struct LoadBalancer {
    pub(super) ingress: Option<Vec<Ip>>,
}

#[derive(Deserialize)]
pub(super) struct EndpointSlice {
    pub(super) metadata: Meta,
    pub(super) endpoints: Option<Vec<Endpoint>>,
    pub(super) ports: Option<Vec<EndpointPort>>,
}

#[derive(Deserialize)]
pub(super) struct Endpoint {
    pub(super) addresses: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(super) struct EndpointPort {
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) port: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Node {
    pub(super) metadata: Meta,
    pub(super) spec: Option<NodeSpec>,
    pub(super) status: Option<NodeStatus>,
}

#[derive(Deserialize, Default)]
pub(super) struct NodeSpec {
    #[serde(rename = "podCIDRs")]
    pub(super) pod_cidrs: Option<Vec<String>>,
    /// Before `podCIDRs` there was one, and it is still told.
    #[serde(rename = "podCIDR")]
    pub(super) pod_cidr: Option<String>,
}

#[derive(Deserialize, Default)]
pub(super) struct NodeStatus {
    pub(super) addresses: Option<Vec<NodeAddress>>,
}

#[derive(Deserialize)]
pub(super) struct NodeAddress {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) address: Option<String>,
}
