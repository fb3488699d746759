//! Kubernetes objects, trimmed to what naming an address needs, and how they change.
//!
//! Whoever watches the API server makes [`Change`]s; the tracker makes snapshots of them. Texts
//! are shared strings, times are milliseconds since 1970. An object of the API server that has no
//! `uid` or no name is not an object; it must be counted by who reads it and not become one here.

use std::net::IpAddr;

use flow::Name;
use ipnet::IpNet;

/// News about one kind of object, in the order in which the API server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The object is new, or has changed, or is listed.
    Applied(Object),
    /// The object has been deleted.
    ///
    /// `uid` may be empty if it is not known: then whatever has that name is meant. `namespace`
    /// is empty for kinds that live in none.
    Deleted { kind: Kind, namespace: Name, name: Name, uid: Name },
    /// A complete list of the kind begins: [`Change::Applied`] says what is in it. It shows at
    /// least what there was at the time of this change, at which it was asked for.
    ListBegun(Kind),
    /// The list is complete. What was known before and is not in it has been deleted, at some
    /// unknown time since it was last seen.
    ListEnded(Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Pod,
    Service,
    EndpointSlice,
    Node,
    Namespace,
    ReplicaSet,
    Job,
    /// A custom resource.
    Custom(&'static Custom),
}

/// A custom resource that belongs to the cluster rather than to a namespace.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Custom {
    /// As in `apiVersion:` of a manifest, before the slash.
    pub group: &'static str,
    pub version: &'static str,
    /// As in a path and in a rule.
    pub plural: &'static str,
    /// As in `kind:` of a manifest.
    pub kind: &'static str,
}

impl Kind {
    /// All but custom resources.
    pub const ALL: [Self; 7] = [
        Self::Pod,
        Self::Service,
        Self::EndpointSlice,
        Self::Node,
        Self::Namespace,
        Self::ReplicaSet,
        Self::Job,
    ];

    /// As in `kind:` of a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Node => "Node",
            Self::Namespace => "Namespace",
            Self::ReplicaSet => "ReplicaSet",
            Self::Job => "Job",
            Self::Custom(custom) => custom.kind,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    Pod(Pod),
    Service(Service),
    EndpointSlice(EndpointSlice),
    Node(Node),
    Namespace(Namespace),
    /// A `ReplicaSet`, of which only the metadata counts.
    ReplicaSet(Owned),
    /// A Job, of which only the metadata counts.
    Job(Owned),
    Custom(CustomObject),
}

impl Object {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Pod(_) => Kind::Pod,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Node(_) => Kind::Node,
            Self::Namespace(_) => Kind::Namespace,
            Self::ReplicaSet(_) => Kind::ReplicaSet,
            Self::Job(_) => Kind::Job,
            Self::Custom(object) => Kind::Custom(object.kind),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    pub uid: Name,
    pub namespace: Name,
    pub name: Name,
    /// `spec.nodeName`; empty until it is scheduled.
    pub node: Name,
    /// `spec.hostNetwork`: its addresses are the Node's.
    pub host_network: bool,
    /// `status.podIPs`.
    pub addresses: Vec<IpAddr>,
    /// `metadata.creationTimestamp`, cut to the second by the API server's clock. 0: not known.
    pub created_ms: u64,
    /// `status.startTime`: when the kubelet took the Pod up, before it got an address. Cut to the
    /// second by the Node's clock. 0: not yet, or not known.
    pub started_ms: u64,
    /// Since when it has had its present addresses, for certain: `lastTransitionTime` of the
    /// condition `PodReadyToStartContainers`, or where there is none (before Kubernetes 1.29) of
    /// `ContainersReady`, if that is `True`. Cut to the second by the Node's clock. 0: neither is.
    pub network_ready_ms: u64,
    pub phase: Phase,
    /// Once it has ended: the latest `lastTransitionTime` of its conditions, by when its
    /// containers had. Cut to the second by the Node's clock. 0: not ended, or not told.
    pub ended_ms: u64,
    /// The entry of `metadata.ownerReferences` with `controller: true`.
    pub owner: Option<Owner>,
    pub labels: Labels,
    /// Annotation `nodeportlocal.antrea.io`, as far as it is of an address in `status.hostIPs`:
    /// whoever may make a Pod may write there what he likes.
    pub local_ports: Vec<LocalPort>,
}

/// A port of its Node that Antrea's `NodePortLocal` has given a Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalPort {
    /// Where clients connect to.
    pub node: (Option<IpAddr>, u16),
    /// IANA number.
    pub protocol: u8,
    /// What the Pod listens at.
    pub port: u16,
    /// What a container of the Pod calls that port; empty if none does.
    pub name: Name,
}

impl Pod {
    /// Whether all its containers have ended for good. Its address may be another's by then,
    /// though the object still shows it.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }
}

/// `status.phase` of a Pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
    /// Also what is absent or not known to us.
    #[default]
    Unknown,
}

impl From<&str> for Phase {
    fn from(text: &str) -> Self {
        match text {
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// Who made an object and looks after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// As in a manifest: `ReplicaSet`, `StatefulSet`, `Job`, or any custom resource's.
    pub kind: Name,
    pub name: Name,
    pub uid: Name,
}

/// Keys and values, in any order.
pub type Labels = Vec<(Name, Name)>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    pub uid: Name,
    pub namespace: Name,
    pub name: Name,
    /// `spec.clusterIPs` without `None`.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// `ip` of `status.loadBalancer.ingress`; host names are left out.
    pub load_balancer_ips: Vec<IpAddr>,
    /// `metadata.creationTimestamp`. 0: not known.
    pub created_ms: u64,
    pub ports: Vec<ServicePort>,
    /// Its Pods get ports of their Nodes (annotation `nodeportlocal.antrea.io/enabled`).
    pub localized: Option<Localized>,
}

/// Which Pods are a Service's, and which of their ports, where `NodePortLocal` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Localized {
    /// `spec.selector`; an empty one selects none.
    pub selector: Labels,
    /// Protocols, as IANA numbers, with the ports of Pods that they lead to.
    pub targets: Vec<(u8, TargetPort)>,
}

/// `targetPort` of a Service's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPort {
    Number(u16),
    /// As a container calls it.
    Named(Name),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServicePort {
    /// Empty if it has none.
    pub name: Name,
    /// IANA number: 6 for TCP, which is the default, 17 for UDP, 132 for SCTP.
    pub protocol: u8,
    pub port: u16,
    /// `nodePort`, if every Node serves it.
    pub node_port: Option<u16>,
}

/// `discovery.k8s.io/v1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointSlice {
    pub uid: Name,
    pub namespace: Name,
    pub name: Name,
    /// Label `kubernetes.io/service-name`; empty if it belongs to none.
    pub service: Name,
    /// Of all endpoints, ready or not; host names are left out.
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<EndpointPort>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointPort {
    /// Empty if it has none. It equals the name of the Service's port.
    pub name: Name,
    /// IANA number.
    pub protocol: u8,
    /// What the endpoint listens at, which need not be the Service's port.
    pub port: u16,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    pub uid: Name,
    pub name: Name,
    /// `InternalIP` and `ExternalIP` of `status.addresses`.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<IpNet>,
    /// `metadata.creationTimestamp`. 0: not known.
    pub created_ms: u64,
    /// Label `topology.kubernetes.io/zone`; empty if it has none.
    pub zone: Name,
    /// Label `topology.kubernetes.io/region`; empty if it has none.
    pub region: Name,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    pub uid: Name,
    pub name: Name,
    pub labels: Labels,
}

/// An object between a Pod and the workload a person knows: a `ReplicaSet`, a `Job`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owned {
    pub uid: Name,
    pub namespace: Name,
    pub name: Name,
    /// The entry of `metadata.ownerReferences` with `controller: true`.
    pub owner: Option<Owner>,
}

/// A custom resource, which whoever asked for it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomObject {
    pub kind: &'static Custom,
    pub uid: Name,
    pub name: Name,
    /// `metadata.creationTimestamp`, cut to the second by the API server's clock. 0: not known.
    pub created_ms: u64,
    /// The whole object, as the API server sent it.
    pub json: Box<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_has_ended_when_no_container_will_start_again() {
        for (phase, ended) in [
            ("Pending", false),
            ("Running", false),
            ("Succeeded", true),
            ("Failed", true),
            ("Unknown", false),
            ("", false),
            ("succeeded", false),
        ] {
            let pod = Pod { phase: phase.into(), ..Pod::default() };
            assert_eq!(pod.has_ended(), ended, "{phase}");
        }
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let mut names = Kind::ALL.map(Kind::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        assert_eq!(Object::Job(Owned::default()).kind().name(), "Job");
    }
}
