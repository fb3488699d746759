//! What the server has, listed by the `kube` crate and read as `k8s-openapi` has it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s::Cluster;
use k8s::objects::{
    EndpointPort, EndpointSlice, Kind, Labels, Namespace, Node, Object, Owned, Owner, Pod, Service,
    ServicePort,
};
use k8s_openapi::api::{apps, batch, core, discovery};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client};
use tests::api_server::StandIn;

/// Objects by kind, namespace and name.
pub(crate) type Picture = BTreeMap<(Kind, String, String), Object>;

/// A plain list of everything, as a `kube` client of its own sees it.
pub(crate) async fn of(server: &StandIn) -> Picture {
    let client = super::world::admin(server).await;
    let mut picture = Picture::new();
    for pod in all::<core::v1::Pod>(&client).await {
        insert(&mut picture, Object::Pod(pod_of(pod)));
    }
    for service in all::<core::v1::Service>(&client).await {
        insert(&mut picture, Object::Service(service_of(service)));
    }
    for slice in all::<discovery::v1::EndpointSlice>(&client).await {
        insert(&mut picture, Object::EndpointSlice(slice_of(slice)));
    }
    for node in all::<core::v1::Node>(&client).await {
        insert(&mut picture, Object::Node(node_of(node)));
    }
    for namespace in all::<core::v1::Namespace>(&client).await {
        let meta = namespace.metadata;
        let (uid, name) = (name(meta.uid.as_ref()), name(meta.name.as_ref()));
        let labels = labels(&meta);
        insert(&mut picture, Object::Namespace(Namespace { uid, name, labels }));
    }
    for set in all::<apps::v1::ReplicaSet>(&client).await {
        insert(&mut picture, Object::ReplicaSet(owned(&set.metadata)));
    }
    for job in all::<batch::v1::Job>(&client).await {
        insert(&mut picture, Object::Job(owned(&job.metadata)));
    }
    picture
}

/// Checks that a snapshot names what has each address now, and nobody where nobody is.
pub(crate) fn names(cluster: &Cluster, truth: &Picture, now_ms: u64) {
    let mut addresses = BTreeMap::new();
    for object in truth.values() {
        match object {
            Object::Pod(pod) => {
                let name = (pod.namespace.clone(), pod.name.clone());
                addresses.extend(pod.addresses.iter().map(|&address| (address, name.clone())));
            }
            Object::Node(node) => {
                let named = cluster.node(&node.name).expect("every Node is known");
                assert_eq!((&named.uid, &named.zone), (&node.uid, &node.zone));
            }
            Object::Service(service) => {
                for (address, port) in service.cluster_ips.iter().zip(&service.ports) {
                    let named = cluster.service(*address, port.port, port.protocol, now_ms);
                    let named = named.guess().map(|owner| &owner.uid);
                    assert_eq!(named, Some(&service.uid), "{service:?}");
                }
            }
            _ => {}
        }
    }
    for network in 0..=255 {
        for host in 0..=255 {
            let address = IpAddr::from([10, 1, network, host]);
            let named = cluster.pod(address, now_ms).guess();
            let named = named.map(|pod| (pod.namespace.clone(), pod.name.clone()));
            assert_eq!(named.as_ref(), addresses.get(&address), "{address}");
        }
    }
    for (address, name) in addresses {
        let named = cluster.pod(address, now_ms).guess().expect("every Pod is known");
        assert_eq!((&named.namespace, &named.name), (&name.0, &name.1));
    }
}

async fn all<K>(client: &Client) -> Vec<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let listed = Api::<K>::all(client.clone()).list(&ListParams::default()).await;
    listed.expect("a list of the server").items
}

/// Returns where it is in the picture.
pub(crate) fn insert(picture: &mut Picture, object: Object) -> (Kind, String, String) {
    let key = key(&object);
    picture.insert(key.clone(), object);
    key
}

fn key(object: &Object) -> (Kind, String, String) {
    let (namespace, name) = match object {
        Object::Pod(pod) => (pod.namespace.as_str(), &pod.name),
        Object::Service(service) => (service.namespace.as_str(), &service.name),
        Object::EndpointSlice(slice) => (slice.namespace.as_str(), &slice.name),
        Object::Node(node) => ("", &node.name),
        Object::Namespace(namespace) => ("", &namespace.name),
        Object::ReplicaSet(owned) | Object::Job(owned) => (owned.namespace.as_str(), &owned.name),
        Object::Custom(object) => ("", &object.name),
    };
    (object.kind(), namespace.to_owned(), name.as_str().to_owned())
}

fn pod_of(pod: core::v1::Pod) -> Pod {
    let (spec, status) = (pod.spec.unwrap(), pod.status.unwrap_or_default());
    let meta = pod.metadata;
    Pod {
        uid: name(meta.uid.as_ref()),
        namespace: name(meta.namespace.as_ref()),
        name: name(meta.name.as_ref()),
        node: name(spec.node_name.as_ref()),
        host_network: spec.host_network == Some(true),
        addresses: ips(status.pod_ips.unwrap_or_default().into_iter().map(|ip| ip.ip)),
        created_ms: created(&meta),
        phase: status.phase.as_deref().unwrap_or_default().into(),
        owner: owner(&meta),
        labels: labels(&meta),
        ..Pod::default()
    }
}

fn service_of(service: core::v1::Service) -> Service {
    let (spec, meta) = (service.spec.unwrap(), service.metadata);
    let ports = spec.ports.unwrap_or_default().into_iter().map(|port| ServicePort {
        name: name(port.name.as_ref()),
        protocol: protocol(port.protocol.as_deref()),
        port: u16::try_from(port.port).unwrap(),
        node_port: port.node_port.map(|port| u16::try_from(port).unwrap()),
    });
    Service {
        uid: name(meta.uid.as_ref()),
        namespace: name(meta.namespace.as_ref()),
        name: name(meta.name.as_ref()),
        cluster_ips: ips(spec.cluster_ips.unwrap_or_default()),
        created_ms: created(&meta),
        ports: ports.collect(),
        ..Service::default()
    }
}

fn slice_of(slice: discovery::v1::EndpointSlice) -> EndpointSlice {
    let meta = slice.metadata;
    let service = meta.labels.as_ref().and_then(|labels| labels.get("kubernetes.io/service-name"));
    let ports = slice.ports.unwrap_or_default().into_iter().map(|port| EndpointPort {
        name: name(port.name.as_ref()),
        protocol: protocol(port.protocol.as_deref()),
        port: u16::try_from(port.port.unwrap()).unwrap(),
    });
    EndpointSlice {
        uid: name(meta.uid.as_ref()),
        namespace: name(meta.namespace.as_ref()),
        name: name(meta.name.as_ref()),
        service: name(service),
        addresses: ips(slice.endpoints.into_iter().flat_map(|endpoint| endpoint.addresses)),
        ports: ports.collect(),
    }
}

fn node_of(node: core::v1::Node) -> Node {
    let (meta, spec) = (node.metadata, node.spec.unwrap_or_default());
    let label = |key: &str| name(meta.labels.as_ref().and_then(|labels| labels.get(key)));
    let addresses = node.status.unwrap_or_default().addresses.unwrap_or_default();
    let own = addresses.into_iter().filter(|address| address.type_ != "Hostname");
    let cidrs = spec.pod_cidrs.unwrap_or_default();
    Node {
        uid: name(meta.uid.as_ref()),
        name: name(meta.name.as_ref()),
        addresses: ips(own.map(|address| address.address)),
        pod_cidrs: cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect(),
        created_ms: created(&meta),
        zone: label("topology.kubernetes.io/zone"),
        region: label("topology.kubernetes.io/region"),
    }
}

fn owned(meta: &ObjectMeta) -> Owned {
    Owned {
        uid: name(meta.uid.as_ref()),
        namespace: name(meta.namespace.as_ref()),
        name: name(meta.name.as_ref()),
        owner: owner(meta),
    }
}

fn owner(meta: &ObjectMeta) -> Option<Owner> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let controller = owners.iter().find(|owner| owner.controller == Some(true))?;
    let [kind, name, uid] =
        [&controller.kind, &controller.name, &controller.uid].map(|text| text.as_str().into());
    Some(Owner { kind, name, uid })
}

fn labels(meta: &ObjectMeta) -> Labels {
    let labels = meta.labels.iter().flatten();
    labels.map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

fn created(meta: &ObjectMeta) -> u64 {
    let created = meta.creation_timestamp.as_ref().map_or(0, |time| time.0.as_millisecond());
    created.try_into().unwrap()
}

fn name(text: Option<&String>) -> flow::Name {
    text.map_or_else(flow::Name::default, |text| text.as_str().into())
}

fn ips(texts: impl IntoIterator<Item = String>) -> Vec<IpAddr> {
    texts.into_iter().map(|text| text.parse().unwrap()).collect()
}

fn protocol(name: Option<&str>) -> u8 {
    match name.unwrap_or("TCP") {
        "TCP" => 6,
        "UDP" => 17,
        other => panic!("{other} is not in the tests' objects"),
    }
}
