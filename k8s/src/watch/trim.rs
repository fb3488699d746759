//! The API server's JSON, made into objects of ours.
//!
//! Whoever may create a Pod writes most of what is in one. What cannot be read, or is more than
//! the limits allow, is left out and counted; the rest of the object stands.

mod local_ports; // what NodePortLocal writes on Pods and Services

use std::collections::BTreeMap;
use std::net::IpAddr;

use flow::{Interner, Name, protocol};
use ipnet::IpNet;
use jiff::Timestamp;

use super::state::{Left, LeftOut};
use super::wire;
use crate::objects::{
    Custom, CustomObject, EndpointPort, EndpointSlice, Kind, Labels, Namespace, Node, Object,
    Owned, Owner, Phase, Pod, Service, ServicePort,
};

/// Distinct texts that many objects of a kind share.
const SHARED_NAMES: usize = 65_536;
/// Names in Kubernetes have 253 bytes at most, and uids 36.
const IDENTITY_LIMIT: usize = 253;
/// A Pod has two addresses, an `EndpointSlice` 1,000 endpoints of one address each, a Service at
/// most as many as somebody has patience to write.
const ADDRESS_LIMIT: usize = 1_024;
const POD_ADDRESS_LIMIT: usize = 16;
const PORT_LIMIT: usize = 1_024;
const LABEL_LIMIT: usize = 128;
/// Of keys and values together; a key has 317 bytes at most and a value 63.
const LABEL_BYTES: usize = 16 << 10;
const CIDR_LIMIT: usize = 16;

/// Reads objects of one kind.
#[derive(Debug)]
pub(super) struct Trimmer {
    kind: Kind,
    names: Interner,
    left: Left,
}

/// An object, and the version of the API server's data in which it is.
#[derive(Debug)]
pub(super) struct Versioned<T> {
    pub(super) version: Option<String>,
    pub(super) object: T,
}

/// What an object is called.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) uid: Name,
    pub(super) namespace: Name,
    pub(super) name: Name,
}

/// The object cannot be used, for this reason.
type Trimmed<T> = Result<Versioned<T>, LeftOut>;

impl Trimmer {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, names: Interner::new(SHARED_NAMES), left: Left::default() }
    }

    /// What has been left out since this was last asked.
    pub(super) fn take_left(&mut self) -> Left {
        std::mem::take(&mut self.left)
    }

    pub(super) fn object(&mut self, json: &str) -> Trimmed<Object> {
        match self.kind {
            Kind::Pod => self.pod(parse(json)?),
            Kind::Service => self.service(parse(json)?),
            Kind::EndpointSlice => self.endpoint_slice(parse(json)?),
            Kind::Node => self.node(parse(json)?),
            Kind::Namespace => self.namespace(parse::<wire::Head>(json)?.metadata),
            Kind::ReplicaSet => self.owned(parse::<wire::Head>(json)?.metadata, Object::ReplicaSet),
            Kind::Job => self.owned(parse::<wire::Head>(json)?.metadata, Object::Job),
            Kind::Custom(kind) => self.custom(kind, json),
        }
    }

    /// Only what the object is called, for one that is deleted.
    pub(super) fn identity(&mut self, json: &str) -> Trimmed<Identity> {
        let wire::GoneMeta { name, namespace, uid, resource_version } =
            parse::<wire::Gone>(json)?.metadata;
        let object = self.called(name, namespace, uid)?;
        Ok(Versioned { version: resource_version, object })
    }

    fn named(&mut self, meta: &mut wire::Meta) -> Result<Identity, LeftOut> {
        self.called(meta.name.take(), meta.namespace.take(), meta.uid.take())
    }

    fn called(
        &mut self,
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
    ) -> Result<Identity, LeftOut> {
        let [name, namespace, uid] = [name, namespace, uid].map(Option::unwrap_or_default);
        let lives_in_one = !matches!(self.kind, Kind::Node | Kind::Namespace | Kind::Custom(_));
        let lacks = name.is_empty() || uid.is_empty() || namespace.is_empty() == lives_in_one;
        let longest = name.len().max(uid.len()).max(namespace.len());
        if lacks || longest > IDENTITY_LIMIT {
            return Err(LeftOut::Nameless);
        }
        let namespace = self.names.intern(&namespace);
        Ok(Identity { uid: uid.as_str().into(), namespace, name: name.as_str().into() })
    }

    fn pod(&mut self, pod: wire::Pod) -> Trimmed<Object> {
        let mut meta = pod.metadata;
        let Identity { uid, namespace, name } = self.named(&mut meta)?;
        let (spec, status) = (pod.spec.unwrap_or_default(), pod.status.unwrap_or_default());
        let phase = Phase::from(status.phase.as_deref().unwrap_or_default());
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let local_ports = self.local_ports(&meta, &spec, &status);
        let pod_ips = status.pod_ips.unwrap_or_default();
        let addresses = pod_ips.into_iter().filter_map(|ip| ip.ip);
        let object = Object::Pod(Pod {
            uid,
            namespace,
            name,
            node: self.shared(spec.node_name.as_deref()),
            host_network: spec.host_network.unwrap_or(false),
            addresses: self.addresses(addresses, POD_ADDRESS_LIMIT),
            created_ms: time(meta.creation_timestamp.as_deref()),
            started_ms: time(status.start_time.as_deref()),
            network_ready_ms: network_ready(conditions),
            phase,
            ended_ms: ended(phase, conditions),
            owner: self.owner(&meta),
            labels: self.labels(&meta),
            local_ports,
        });
        Ok(Versioned { version: meta.resource_version, object })
    }

    fn service(&mut self, service: wire::Service) -> Trimmed<Object> {
        let mut meta = service.metadata;
        let Identity { uid, namespace, name } = self.named(&mut meta)?;
        let spec = service.spec.unwrap_or_default();
        let balancer = service.status.unwrap_or_default().load_balancer.unwrap_or_default();
        let localized = self.localized(&meta, &spec);
        let cluster_ips = spec.cluster_ips.unwrap_or_default().into_iter();
        let ingress = balancer.ingress.unwrap_or_default().into_iter().filter_map(|ip| ip.ip);
        let object = Object::Service(Service {
            uid,
            namespace,
            name,
            // A headless Service has "None".
            cluster_ips: self.addresses(cluster_ips.filter(|ip| ip != "None"), ADDRESS_LIMIT),
            external_ips: self.addresses(spec.external_ips.unwrap_or_default(), ADDRESS_LIMIT),
            load_balancer_ips: self.addresses(ingress, ADDRESS_LIMIT),
            created_ms: time(meta.creation_timestamp.as_deref()),
            ports: self.service_ports(spec.ports.unwrap_or_default()),
            localized,
        });
        Ok(Versioned { version: meta.resource_version, object })
    }

    fn service_ports(&mut self, ports: Vec<wire::ServicePort>) -> Vec<ServicePort> {
        let mut kept = Vec::new();
        for port in ports {
            let told = (port.protocol.as_deref(), port.port);
            let Some((protocol, number)) = self.port(told, kept.len()) else { continue };
            let name = self.shared(port.name.as_deref());
            let node_port = port.node_port.and_then(port_number);
            if node_port.is_none() && port.node_port.is_some_and(|told| told != 0) {
                self.left.count(LeftOut::Port);
            }
            kept.push(ServicePort { name, protocol, port: number, node_port });
        }
        kept
    }

    /// The protocol and number of a port that can be kept beside `kept` others, else one more that
    /// is left out.
    fn port(&mut self, told: (Option<&str>, Option<i64>), kept: usize) -> Option<(u8, u16)> {
        let (protocol, number) = told;
        let port = protocol_number(protocol).zip(number.and_then(port_number));
        let port = port.filter(|_| kept < PORT_LIMIT);
        if port.is_none() {
            self.left.count(LeftOut::Port);
        }
        port
    }

    fn endpoint_slice(&mut self, slice: wire::EndpointSlice) -> Trimmed<Object> {
        let mut meta = slice.metadata;
        let Identity { uid, namespace, name } = self.named(&mut meta)?;
        let endpoints = slice.endpoints.unwrap_or_default().into_iter();
        let addresses = endpoints.flat_map(|endpoint| endpoint.addresses.unwrap_or_default());
        let object = Object::EndpointSlice(EndpointSlice {
            uid,
            namespace,
            name,
            service: self.label(&meta, "kubernetes.io/service-name"),
            addresses: self.addresses(addresses, ADDRESS_LIMIT),
            ports: self.endpoint_ports(slice.ports.unwrap_or_default()),
        });
        Ok(Versioned { version: meta.resource_version, object })
    }

    fn endpoint_ports(&mut self, ports: Vec<wire::EndpointPort>) -> Vec<EndpointPort> {
        let mut kept = Vec::new();
        // A port without a number stands for all of them, and names none.
        for port in ports.into_iter().filter(|port| port.port.is_some()) {
            let told = (port.protocol.as_deref(), port.port);
            let Some((protocol, number)) = self.port(told, kept.len()) else { continue };
            let name = self.shared(port.name.as_deref());
            kept.push(EndpointPort { name, protocol, port: number });
        }
        kept
    }

    fn node(&mut self, node: wire::Node) -> Trimmed<Object> {
        let mut meta = node.metadata;
        let Identity { uid, name, .. } = self.named(&mut meta)?;
        let spec = node.spec.unwrap_or_default();
        let addresses = node.status.unwrap_or_default().addresses.unwrap_or_default();
        let addresses = addresses
            .into_iter()
            .filter(|address| matches!(address.kind.as_deref(), Some("InternalIP" | "ExternalIP")));
        let cidrs = spec.pod_cidrs.unwrap_or_else(|| spec.pod_cidr.into_iter().collect());
        let object = Object::Node(Node {
            uid,
            name,
            addresses: self
                .addresses(addresses.filter_map(|address| address.address), ADDRESS_LIMIT),
            pod_cidrs: self.networks(&cidrs),
            created_ms: time(meta.creation_timestamp.as_deref()),
            zone: self.label(&meta, "topology.kubernetes.io/zone"),
            region: self.label(&meta, "topology.kubernetes.io/region"),
        });
        Ok(Versioned { version: meta.resource_version, object })
    }

    fn namespace(&mut self, mut meta: wire::Meta) -> Trimmed<Object> {
        let Identity { uid, name, .. } = self.named(&mut meta)?;
        let object = Object::Namespace(Namespace { uid, name, labels: self.labels(&meta) });
        Ok(Versioned { version: meta.resource_version, object })
    }

    fn owned(&mut self, mut meta: wire::Meta, kind: fn(Owned) -> Object) -> Trimmed<Object> {
        let Identity { uid, namespace, name } = self.named(&mut meta)?;
        let object = kind(Owned { uid, namespace, name, owner: self.owner(&meta) });
        Ok(Versioned { version: meta.resource_version, object })
    }

    fn custom(&mut self, kind: &'static Custom, json: &str) -> Trimmed<Object> {
        let mut meta = parse::<wire::Head>(json)?.metadata;
        let Identity { uid, name, .. } = self.named(&mut meta)?;
        let created_ms = time(meta.creation_timestamp.as_deref());
        let object =
            Object::Custom(CustomObject { kind, uid, name, created_ms, json: json.into() });
        Ok(Versioned { version: meta.resource_version, object })
    }

    fn owner(&mut self, meta: &wire::Meta) -> Option<Owner> {
        let owners = meta.owner_references.as_deref().unwrap_or_default();
        let controller = owners.iter().find(|owner| owner.controller == Some(true))?;
        Some(Owner {
            kind: self.shared(controller.kind.as_deref()),
            name: self.shared(controller.name.as_deref()),
            uid: self.shared(controller.uid.as_deref()),
        })
    }

    fn labels(&mut self, meta: &wire::Meta) -> Labels {
        self.pairs(meta.labels.as_ref())
    }

    fn pairs(&mut self, told: Option<&BTreeMap<String, String>>) -> Labels {
        let mut kept = Labels::new();
        let mut bytes = 0;
        for (key, value) in told.into_iter().flatten() {
            bytes += key.len() + value.len();
            if kept.len() == LABEL_LIMIT || bytes > LABEL_BYTES {
                self.left.count(LeftOut::Label);
                continue;
            }
            kept.push((self.shared(Some(key)), self.shared(Some(value))));
        }
        kept
    }

    fn label(&mut self, meta: &wire::Meta, key: &str) -> Name {
        let value = meta.labels.as_ref().and_then(|labels| labels.get(key));
        self.shared(value.map(String::as_str))
    }

    fn addresses(&mut self, texts: impl IntoIterator<Item = String>, limit: usize) -> Vec<IpAddr> {
        let mut kept = Vec::new();
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            match text.parse() {
                Ok(address) if kept.len() < limit => kept.push(address),
                Ok(_) | Err(_) => self.left.count(LeftOut::Address),
            }
        }
        kept
    }

    fn networks(&mut self, texts: &[String]) -> Vec<IpNet> {
        let mut kept = Vec::new();
        for text in texts.iter().filter(|text| !text.is_empty()) {
            match text.parse() {
                Ok(network) if kept.len() < CIDR_LIMIT => kept.push(network),
                Ok(_) | Err(_) => self.left.count(LeftOut::Address),
            }
        }
        kept
    }

    /// A text that other objects have too.
    fn shared(&mut self, text: Option<&str>) -> Name {
        let cut = self.names.cut();
        let name = self.names.intern(text.unwrap_or_default());
        if self.names.cut() > cut {
            self.left.count(LeftOut::NameEnd);
        }
        name
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(json: &'a str) -> Result<T, LeftOut> {
    serde_json::from_str(json).map_err(|_not_of_this_shape| LeftOut::Malformed)
}

/// Milliseconds since 1970; 0 for what is no time, or an earlier one.
fn time(text: Option<&str>) -> u64 {
    let parsed = text.and_then(|text| text.parse::<Timestamp>().ok());
    parsed.and_then(|time| time.as_millisecond().try_into().ok()).unwrap_or(0)
}

/// Before Kubernetes 1.29 nothing tells of the network alone.
fn network_ready(conditions: &[wire::Condition]) -> u64 {
    let of = |kind| conditions.iter().find(|condition| condition.kind.as_deref() == Some(kind));
    let told = of("PodReadyToStartContainers").or_else(|| of("ContainersReady"));
    let ready = told.filter(|condition| condition.status.as_deref() == Some("True"));
    time(ready.and_then(|condition| condition.last_transition_time.as_deref()))
}

fn ended(phase: Phase, conditions: &[wire::Condition]) -> u64 {
    if !matches!(phase, Phase::Succeeded | Phase::Failed) {
        return 0;
    }
    let times = conditions.iter().map(|condition| time(condition.last_transition_time.as_deref()));
    times.max().unwrap_or(0)
}

/// TCP is the default.
fn protocol_number(name: Option<&str>) -> Option<u8> {
    match name {
        None | Some("" | "TCP") => Some(protocol::TCP),
        Some("UDP") => Some(protocol::UDP),
        Some("SCTP") => Some(protocol::SCTP),
        Some(_) => None,
    }
}

fn port_number(port: i64) -> Option<u16> {
    u16::try_from(port).ok().filter(|&port| port != 0)
}

#[cfg(test)]
#[path = "trim_tests.rs"]
mod tests;
