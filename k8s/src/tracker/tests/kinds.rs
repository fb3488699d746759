//! Kinds beside Pods.

use super::*;
use crate::objects::{Namespace, Node, Owned, Owner, Service, ServicePort};

pub(super) fn node(uid: &str, node_name: &str, address: &str, cidr: &str) -> Node {
    Node {
        uid: name(uid),
        name: name(node_name),
        addresses: vec![ip(address)],
        pod_cidrs: vec![cidr.parse().unwrap()],
        created_ms: START,
        zone: name("z1"),
        region: name("r1"),
    }
}

#[test]
fn a_nodes_address_is_the_nodes_and_not_that_of_its_pods() {
    let mut tracker = tracker();
    let node = node("n", "a", "192.168.0.1", "10.0.0.0/24");
    tracker.apply(Change::Applied(Object::Node(node)), START + SECOND);
    let made = START + MINUTE;
    let host = Pod { host_network: true, ..pod("1", "proxy", "192.168.0.1", made) };
    apply(&mut tracker, &host, made);
    assert_eq!(owner(&mut tracker, "192.168.0.1", made), Err(Reason::Node));
    let cluster = tracker.cluster();
    let Lookup::Found(found) = cluster.node_at(ip("192.168.0.1"), made) else { panic!() };
    assert_eq!(
        (found.name.as_str(), found.zone.as_str(), found.region.as_str()),
        ("a", "z1", "r1")
    );
    assert!(cluster.is_pod_address(ip("10.0.0.9")) && cluster.is_gateway(ip("10.0.0.1")));
}

#[test]
fn a_node_that_has_left_is_known_until_its_last_flows_are_told() {
    let mut tracker = tracker();
    let at = START + MINUTE;
    let old = node("1", "a", "192.168.0.1", "10.0.0.0/24");
    tracker.apply(Change::Applied(Object::Node(old.clone())), at);
    // Missing in a list, back, and then gone: its network is to be forgotten once.
    tracker.apply(Change::ListBegun(Kind::Node), at + SECOND);
    tracker.apply(Change::ListEnded(Kind::Node), at + SECOND);
    tracker.apply(Change::Applied(Object::Node(old)), at + 2 * SECOND);
    let other = node("2", "b", "192.168.0.2", "10.0.1.0/24");
    tracker.apply(Change::Applied(Object::Node(other)), at + 2 * SECOND);
    let (kind, namespace, uid) = (Kind::Node, Name::default(), name("1"));
    let deleted = Change::Deleted { kind, namespace, name: name("a"), uid };
    tracker.apply(deleted, at + 3 * MINUTE);
    tracker.advance(at + 8 * MINUTE - 1);
    assert!(tracker.cluster().is_pod_address(ip("10.0.0.9")));
    assert!(tracker.cluster().has_node("a"));
    tracker.advance(at + 8 * MINUTE);
    let cluster = tracker.cluster();
    assert!(!cluster.is_pod_address(ip("10.0.0.9")) && !cluster.has_node("a"));
    assert!(cluster.is_pod_address(ip("10.0.1.9")) && cluster.has_node("b"));
    assert_eq!(cluster.node_at(ip("192.168.0.1"), at), Lookup::Missing(Reason::Unknown));
}

pub(super) fn service(uid: &str, service_name: &str) -> Service {
    let port = |port_name: &str, protocol, port, node_port| ServicePort {
        name: name(port_name),
        protocol,
        port,
        node_port,
    };
    Service {
        uid: name(uid),
        namespace: name("shop"),
        name: name(service_name),
        cluster_ips: vec![ip("10.96.0.1"), ip("fd00:96::1")],
        external_ips: vec![ip("192.0.2.1")],
        load_balancer_ips: vec![ip("192.0.2.2")],
        created_ms: START + MINUTE,
        ports: vec![port("http", 6, 80, Some(30080)), port("", 17, 53, None)],
        localized: None,
    }
}

#[test]
fn a_service_is_found_by_all_that_leads_to_it() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    for (uid, name, address) in [("1", "a", "192.168.0.1"), ("2", "b", "192.168.0.2")] {
        let node = node(uid, name, address, "10.0.0.0/24");
        tracker.apply(Change::Applied(Object::Node(node)), made);
    }
    tracker.apply(Change::Applied(Object::Service(service("1", "web"))), made);
    let time = made + MINUTE;
    tracker.advance(time + MINUTE);
    let cluster = tracker.cluster();
    let ask = |address, port, protocol| {
        let found = cluster.service(ip(address), port, protocol, time).owner();
        found.map(|service| service.port_name.to_string())
    };
    for address in ["10.96.0.1", "fd00:96::1", "192.0.2.1", "192.0.2.2"] {
        assert_eq!(ask(address, 80, 6).as_deref(), Some("shop/web:http"), "{address}");
        assert_eq!(ask(address, 53, 17).as_deref(), Some("shop/web"), "{address}");
        assert_eq!((ask(address, 53, 6), ask(address, 30080, 6)), (None, None), "{address}");
    }
    for node in ["192.168.0.1", "192.168.0.2"] {
        assert_eq!(ask(node, 30080, 6).as_deref(), Some("shop/web:http"));
    }
    assert_eq!(ask("192.168.0.3", 30080, 6), None);
}

#[test]
fn a_services_address_and_port_may_become_anothers() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    let old = service("1", "web");
    tracker.apply(Change::Applied(Object::Service(old.clone())), made);
    // Port 80 goes to another Service with the same external address.
    let fewer = Service { ports: old.ports[1..].to_vec(), ..old.clone() };
    tracker.apply(Change::Applied(Object::Service(fewer)), made + MINUTE);
    let new = Service {
        cluster_ips: vec![ip("10.96.0.2")],
        created_ms: made + 2 * MINUTE,
        ..service("2", "new")
    };
    tracker.apply(Change::Applied(Object::Service(new)), made + 2 * MINUTE);
    tracker.advance(made + 4 * MINUTE);
    let cluster = tracker.cluster();
    let ask = |time| cluster.service(ip("192.0.2.1"), 80, 6, made + time);
    assert_eq!(ask(30 * SECOND).owner().unwrap().name.as_str(), "web");
    assert_eq!(ask(90 * SECOND), Lookup::Missing(Reason::Vacant));
    assert_eq!(ask(3 * MINUTE).owner().unwrap().name.as_str(), "new");
    let kept = cluster.service(ip("10.96.0.1"), 53, 17, made + 3 * MINUTE);
    assert_eq!(kept.owner().unwrap().name.as_str(), "web");
}

#[test]
fn a_pod_belongs_to_what_made_its_maker() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    let owner = |kind: &str, owner_name: &str, uid: &str| {
        Some(Owner { kind: name(kind), name: name(owner_name), uid: name(uid) })
    };
    let middle = |uid: &str, owner| Owned {
        uid: name(uid),
        namespace: name("shop"),
        name: name(uid),
        owner,
    };
    let replica_set = middle("rs", owner("Deployment", "web", "d"));
    let job = middle("job", owner("CronJob", "nightly", "c"));
    tracker.apply(Change::Applied(Object::ReplicaSet(replica_set)), made);
    for (index, (owner, expected)) in [
        (owner("ReplicaSet", "web-1", "rs"), Some("Deployment/web")),
        (owner("Job", "nightly-1", "job"), Some("CronJob/nightly")),
        (owner("Job", "once", "other"), Some("Job/once")),
        (owner("StatefulSet", "db", "s"), Some("StatefulSet/db")),
        (None, None),
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("10.0.0.{index}");
        let pod = Pod { owner, ..pod(&address, &address, &address, made) };
        apply(&mut tracker, &pod, made);
        // What comes later than its Pod counts, too, and so does what has just gone.
        tracker.apply(Change::Applied(Object::Job(job.clone())), made);
        let cluster = tracker.cluster();
        let pod = cluster.pod(ip(&address), made).guess().unwrap();
        let workload = cluster.workload(pod).map(|owner| format!("{}/{}", owner.kind, owner.name));
        assert_eq!(workload.as_deref(), expected);
    }
    let (kind, namespace, uid) = (Kind::ReplicaSet, name("shop"), name("rs"));
    tracker.apply(Change::Deleted { kind, namespace, name: name("rs"), uid }, made + SECOND);
    let kept = |tracker: &Tracker| tracker.cluster.owners.contains(&name("rs"));
    assert!(kept(&tracker));
    tracker.advance(made + 6 * MINUTE);
    assert!(!kept(&tracker) && tracker.cluster.owners.contains(&name("job")));
}

#[test]
fn labels_are_kept_if_they_are_allowed() {
    let mut tracker = tracker();
    let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (name(k), name(v))).collect();
    let labels: Labels =
        labels(&[("tier", "front"), ("app.kubernetes.io/name", "web"), ("app", "w")]);
    let kept = [("app", "w"), ("app.kubernetes.io/name", "web")].map(|(k, v)| (name(k), name(v)));
    apply(
        &mut tracker,
        &Pod { labels: labels.clone(), ..pod("1", "web", "10.0.0.1", START) },
        START,
    );
    let namespace = Namespace { uid: name("n"), name: name("shop"), labels };
    tracker.apply(Change::Applied(Object::Namespace(namespace)), START);
    let cluster = tracker.cluster();
    assert_eq!(*cluster.pod(ip("10.0.0.1"), START).guess().unwrap().labels, kept);
    assert_eq!(cluster.namespace(&name("shop")).map(AsRef::as_ref), Some(&kept[..]));
    assert_eq!(cluster.namespace(&name("other")), None);
}
