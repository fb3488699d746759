//! What one change at a time does. Whether answers are true as a whole is for `tests/truth.rs`.

use std::net::IpAddr;

use super::*;
use crate::lookup::{Lookup, Reason};
use crate::objects::{Namespace, Node, Owned, Owner, Phase, Pod, Service, ServicePort};

/// The moment at which a cluster is first listed.
const START: u64 = 1_700_000_000_000;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    Name::from(text)
}

/// A tracker of a cluster that was empty at [`START`].
fn tracker_with(limits: Limits) -> Tracker {
    let mut tracker = Tracker::new(Margins::default(), limits, LabelFilter::new(["app*"]));
    for kind in Kind::ALL {
        tracker.apply(Change::ListBegun(kind), START);
        tracker.apply(Change::ListEnded(kind), START);
    }
    tracker
}

fn tracker() -> Tracker {
    tracker_with(Limits::default())
}

/// A Pod made and running at `made`.
fn pod(uid: &str, pod_name: &str, address: &str, made: u64) -> Pod {
    Pod {
        uid: name(uid),
        namespace: name("shop"),
        name: name(pod_name),
        node: name("a"),
        addresses: vec![ip(address)],
        created_ms: made,
        started_ms: made,
        network_ready_ms: made,
        phase: Phase::Running,
        ..Pod::default()
    }
}

fn apply(tracker: &mut Tracker, pod: &Pod, now: u64) {
    tracker.apply(Change::Applied(Object::Pod(pod.clone())), now);
}

fn delete(tracker: &mut Tracker, uid: &str, pod_name: &str, now: u64) {
    let (kind, namespace, name, uid) = (Kind::Pod, name("shop"), name(pod_name), name(uid));
    tracker.apply(Change::Deleted { kind, namespace, name, uid }, now);
}

/// The uid of who had the address, asked half a minute later.
fn owner(tracker: &mut Tracker, address: &str, time: u64) -> Result<String, Reason> {
    let now = tracker.now.max(time + MINUTE / 2);
    tracker.advance(now);
    match tracker.cluster().pod(ip(address), time) {
        Lookup::Found(pod) => Ok(pod.uid.to_string()),
        Lookup::Likely(pod) => panic!("only likely: {pod:?}"),
        Lookup::Missing(reason) => Err(reason),
    }
}

#[test]
fn a_departed_pod_keeps_its_address_for_five_minutes() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    delete(&mut tracker, "1", "web", made + MINUTE);
    tracker.advance(made + 6 * MINUTE - 1);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 30 * SECOND), Ok("1".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 2 * MINUTE), Err(Reason::Vacant));
    tracker.advance(made + 6 * MINUTE);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 30 * SECOND), Err(Reason::Unknown));
    assert_eq!(tracker.pods.len(), 0);
}

#[test]
fn where_two_may_have_had_an_address_none_is_named() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    // The next one is made at second 10, the address is free by then or a while later, and it
    // has it by second 13.
    delete(&mut tracker, "1", "web", made + 10 * SECOND + 200);
    let next = Pod {
        network_ready_ms: made + 12 * SECOND,
        ..pod("2", "web2", "10.0.0.1", made + 10 * SECOND)
    };
    apply(&mut tracker, &next, made + 14 * SECOND);
    let skew = Margins::default().skew_ms;
    for (time, expected) in [
        (made + 5 * SECOND, Ok("1".into())),
        (made + 10 * SECOND - skew - 1, Ok("1".into())),
        (made + 10 * SECOND - skew, Err(Reason::Ambiguous)),
        (made + 13 * SECOND + skew - 1, Err(Reason::Ambiguous)),
        (made + 13 * SECOND + skew, Ok("2".into())),
        (made + MINUTE, Ok("2".into())),
    ] {
        assert_eq!(owner(&mut tracker, "10.0.0.1", time), expected, "{}", time - made);
    }
}

#[test]
fn what_is_recent_is_only_likely_and_nobody_is_named_after_an_end() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    tracker.advance(made + 10 * SECOND);
    let cluster = tracker.cluster();
    let ask = |time| cluster.pod(ip("10.0.0.1"), time);
    assert!(matches!(ask(made + 5 * SECOND), Lookup::Found(_)));
    assert!(matches!(ask(made + 5 * SECOND + 1), Lookup::Likely(_)));
    delete(&mut tracker, "1", "web", made + 10 * SECOND);
    let cluster = tracker.cluster();
    let ask = |time| cluster.pod(ip("10.0.0.1"), time);
    assert!(matches!(ask(made + 10 * SECOND - 1), Lookup::Likely(_)));
    assert_eq!(ask(made + 10 * SECOND), Lookup::Missing(Reason::TooRecent));
}

#[test]
fn what_was_missed_while_a_watch_was_broken_is_not_guessed() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    let (stays, goes) = (pod("1", "web", "10.0.0.1", made), pod("2", "db", "10.0.0.2", made));
    apply(&mut tracker, &stays, made + SECOND);
    apply(&mut tracker, &goes, made + SECOND);
    tracker.advance(made + MINUTE);
    let listed = made + 2 * MINUTE;
    tracker.apply(Change::ListBegun(Kind::Pod), listed);
    apply(&mut tracker, &stays, listed);
    tracker.apply(Change::ListEnded(Kind::Pod), listed);
    let broken = made + 90 * SECOND;
    assert_eq!(owner(&mut tracker, "10.0.0.1", broken), Ok("1".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.2", broken), Err(Reason::Unwatched));
    assert_eq!(owner(&mut tracker, "10.0.0.2", made + 50 * SECOND), Ok("2".into()));
}

#[test]
fn what_a_list_lacked_may_return_and_what_was_deleted_may_not() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    let one = pod("1", "web", "10.0.0.1", made);
    apply(&mut tracker, &one, made + SECOND);
    // A list of before it was made.
    tracker.apply(Change::ListBegun(Kind::Pod), made + 2 * SECOND);
    tracker.apply(Change::ListEnded(Kind::Pod), made + 2 * SECOND);
    apply(&mut tracker, &one, made + 3 * SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + MINUTE), Ok("1".into()));
    let gone = made + 3 * MINUTE;
    delete(&mut tracker, "1", "web", gone);
    apply(&mut tracker, &one, gone + SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", gone + MINUTE), Err(Reason::Vacant));
    assert_eq!(tracker.stats().objects_late, 1);
    // The end that was only supposed is forgotten without consequence.
    apply(&mut tracker, &pod("3", "db", "10.0.0.3", made), gone + SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + MINUTE), Ok("1".into()));
}

#[test]
fn a_name_that_is_used_again_is_another_pods() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "db-0", "10.0.0.1", made), made + SECOND);
    // The deletion is never told; a late one has no effect.
    let next = made + MINUTE;
    apply(&mut tracker, &pod("2", "db-0", "10.0.0.2", next), next + SECOND);
    delete(&mut tracker, "1", "db-0", next + 2 * SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 30 * SECOND), Ok("1".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.1", next + 30 * SECOND), Err(Reason::Vacant));
    assert_eq!(owner(&mut tracker, "10.0.0.2", next + 30 * SECOND), Ok("2".into()));
    // Without a uid, whoever has the name is meant.
    delete(&mut tracker, "", "db-0", next + MINUTE);
    assert_eq!(owner(&mut tracker, "10.0.0.2", next + 2 * MINUTE), Err(Reason::Vacant));
}

#[test]
fn whose_successor_is_forgotten_does_not_get_the_address_back() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    // Its deletion is never told.
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    let next = made + MINUTE;
    apply(&mut tracker, &pod("2", "web2", "10.0.0.1", next), next + SECOND);
    delete(&mut tracker, "2", "web2", next + MINUTE);
    let last = next + 10 * MINUTE;
    apply(&mut tracker, &pod("3", "web3", "10.0.0.1", last), last + SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 30 * SECOND), Ok("1".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.1", next + 30 * SECOND), Err(Reason::Forgotten));
    assert_eq!(owner(&mut tracker, "10.0.0.1", last + 30 * SECOND), Ok("3".into()));
}

#[test]
fn a_pod_that_has_ended_gives_up_its_address() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    let running = pod("1", "job", "10.0.0.1", made);
    apply(&mut tracker, &running, made + SECOND);
    let ended = Pod { phase: Phase::Failed, ended_ms: made + 10 * SECOND, ..running.clone() };
    apply(&mut tracker, &ended, made + 20 * SECOND);
    // Not again, whatever a list of before says.
    apply(&mut tracker, &running, made + 21 * SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 9 * SECOND), Ok("1".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 17 * SECOND), Err(Reason::Vacant));
    // One that was never seen alive had it once.
    let made = made + MINUTE;
    let ended = Pod { uid: name("2"), name: name("short"), created_ms: made, ..ended };
    let short = Pod { addresses: vec![ip("10.0.0.2")], ended_ms: 0, ..ended };
    apply(&mut tracker, &short, made + 30 * SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.2", made + 29 * SECOND), Ok("2".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.2", made + 40 * SECOND), Err(Reason::Vacant));
}

#[test]
fn an_address_that_changes_is_each_ones_in_its_time() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    let first = pod("1", "web", "10.0.0.1", made);
    apply(&mut tracker, &first, made + SECOND);
    let both = Pod { addresses: vec![ip("10.0.0.2"), ip("fd00::2")], ..first };
    apply(&mut tracker, &both, made + MINUTE);
    let later = made + 2 * MINUTE;
    for (address, time, expected) in [
        ("10.0.0.1", made + 30 * SECOND, Ok("1".into())),
        ("10.0.0.1", later, Err(Reason::Vacant)),
        ("10.0.0.2", later, Ok("1".into())),
        ("fd00::2", later, Ok("1".into())),
    ] {
        assert_eq!(owner(&mut tracker, address, time), expected, "{address}");
    }
}

#[test]
fn an_address_may_move_to_another_node() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    delete(&mut tracker, "1", "web", made + MINUTE);
    let moved = Pod { node: name("b"), ..pod("2", "web2", "10.0.0.1", made + 2 * MINUTE) };
    apply(&mut tracker, &moved, made + 2 * MINUTE + SECOND);
    let time = made + 3 * MINUTE;
    assert_eq!(owner(&mut tracker, "10.0.0.1", time), Ok("2".into()));
    let cluster = tracker.cluster();
    assert_eq!(cluster.pod(ip("10.0.0.1"), time).owner().unwrap().node.as_str(), "b");
}

fn node(uid: &str, node_name: &str, address: &str, cidr: &str) -> Node {
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

fn service(uid: &str, service_name: &str) -> Service {
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
        let pod = cluster.pod(ip(&address), made).owner().unwrap();
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
    assert_eq!(*cluster.pod(ip("10.0.0.1"), START).owner().unwrap().labels, kept);
    assert_eq!(cluster.namespace_labels(&name("shop")), kept);
    assert_eq!(cluster.namespace_labels(&name("other")), []);
}

#[test]
fn a_published_snapshot_never_changes() {
    let mut tracker = tracker();
    let latest = tracker.latest();
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", START), START);
    assert_eq!(latest.load().pod(ip("10.0.0.1"), START).reason(), Some(Reason::NotListed));
    tracker.publish();
    let published = latest.load_full();
    delete(&mut tracker, "1", "web", START + SECOND);
    tracker.advance(START + 10 * MINUTE);
    tracker.publish();
    assert!(published.pod(ip("10.0.0.1"), START).owner().is_some());
    assert!(latest.load().pod(ip("10.0.0.1"), START).owner().is_none());
}

#[test]
fn news_that_change_nothing_cost_no_copy() {
    let mut tracker = tracker();
    let one = pod("1", "web", "10.0.0.1", START);
    apply(&mut tracker, &one, START);
    let before = tracker.cluster();
    apply(&mut tracker, &one, START + MINUTE);
    let holdings = |cluster: &Cluster| Arc::clone(cluster.pods.get(&ip("10.0.0.1")).unwrap());
    assert!(Arc::ptr_eq(&holdings(&before), &holdings(&tracker.cluster())));
}

mod hostile {
    //! Whatever is made to be too much is refused and counted.
    use super::*;

    #[test]
    fn too_many_objects() {
        let mut tracker = tracker_with(Limits { objects: 2, ..Limits::default() });
        for index in 0..4 {
            let text = index.to_string();
            apply(&mut tracker, &pod(&text, &text, &format!("10.0.0.{index}"), START), START);
            let owned = Owned { uid: name(&text), name: name(&text), ..Owned::default() };
            tracker.apply(Change::Applied(Object::Job(owned)), START);
        }
        assert_eq!(tracker.stats().objects_refused, 4);
        // Those that have gone take room until they are forgotten.
        delete(&mut tracker, "0", "0", START);
        apply(&mut tracker, &pod("5", "5", "10.0.0.5", START), START);
        assert_eq!(tracker.stats().objects_refused, 5);
        tracker.advance(START + 5 * MINUTE);
        apply(&mut tracker, &pod("5", "5", "10.0.0.5", START), START);
        assert_eq!(tracker.stats().objects_refused, 5);
    }

    #[test]
    fn names_that_cannot_be() {
        let mut tracker = tracker();
        let long = "x".repeat(254);
        for (uid, pod_name) in
            [("", "web"), ("1", ""), (long.as_str(), "web"), ("1", long.as_str())]
        {
            apply(&mut tracker, &pod(uid, pod_name, "10.0.0.1", START), START);
        }
        assert_eq!(tracker.stats().objects_malformed, 4);
        assert_eq!(tracker.pods.len(), 0);
    }

    #[test]
    fn too_many_addresses() {
        let mut tracker = tracker();
        let addresses = (0..10).chain(0..10).map(|last| IpAddr::from([10, 0, 0, last])).collect();
        apply(&mut tracker, &Pod { addresses, ..pod("1", "web", "10.0.0.1", START) }, START);
        assert_eq!(tracker.stats().addresses_cut, 16);
        let addresses = (0..40).map(|last| IpAddr::from([10, 0, 1, last])).collect();
        let cidrs = (0..10).map(|third| format!("10.0.{third}.0/24").parse().unwrap());
        let node =
            Node { addresses, pod_cidrs: cidrs.collect(), ..node("1", "a", "10.0.0.1", "::/64") };
        tracker.apply(Change::Applied(Object::Node(node)), START);
        assert_eq!((tracker.stats().addresses_cut, tracker.stats().networks_cut), (24, 2));
    }

    #[test]
    fn too_many_fronts() {
        let mut tracker = tracker_with(Limits { front_ends_per_service: 5, ..Limits::default() });
        // Two ports at four addresses, and a NodePort.
        tracker.apply(Change::Applied(Object::Service(service("1", "web"))), START);
        assert_eq!(tracker.stats().front_ends_cut, 4);
    }

    #[test]
    fn too_many_or_too_long_labels() {
        let mut tracker = tracker_with(Limits { labels: 3, ..Limits::default() });
        let long = "x".repeat(64);
        let labels = ["app1", "app2", "app3", "app4"].map(|key| (name(key), name("x"))).to_vec();
        apply(&mut tracker, &Pod { labels, ..pod("1", "web", "10.0.0.1", START) }, START);
        assert_eq!(tracker.stats().labels_cut, 1);
        let labels =
            vec![(name("app"), name(&long)), (name(&format!("app{long:0>320}")), name(""))];
        apply(&mut tracker, &Pod { labels, ..pod("2", "db", "10.0.0.2", START) }, START);
        assert_eq!(tracker.stats().labels_cut, 3);
    }

    #[test]
    fn too_many_owners_of_one_address() {
        let mut tracker = tracker_with(Limits { history: 3, ..Limits::default() });
        let made = START + MINUTE;
        for index in 0..6 {
            let (text, at) = (index.to_string(), made + index * 20 * SECOND);
            apply(&mut tracker, &pod(&text, &text, "10.0.0.1", at), at);
            delete(&mut tracker, &text, &text, at + 10 * SECOND);
        }
        assert_eq!(tracker.stats().histories_cut, 3);
        let second_of = |index: u64| made + index * 20 * SECOND + 5 * SECOND;
        assert_eq!(owner(&mut tracker, "10.0.0.1", second_of(2)), Err(Reason::Forgotten));
        assert_eq!(owner(&mut tracker, "10.0.0.1", second_of(3)), Ok("3".into()));
    }

    #[test]
    fn too_many_ends() {
        let mut tracker = tracker_with(Limits { departures: 4, ..Limits::default() });
        let made = START + MINUTE;
        for index in 0..4 {
            let (text, address) = (index.to_string(), format!("10.0.0.{index}"));
            apply(&mut tracker, &pod(&text, &text, &address, made), made);
            delete(&mut tracker, &text, &text, made + MINUTE);
        }
        // Each is an address and an object.
        assert_eq!(tracker.stats().forgotten_early, 4);
        assert_eq!(owner(&mut tracker, "10.0.0.0", made + MINUTE / 2), Err(Reason::Unknown));
        assert_eq!(owner(&mut tracker, "10.0.0.3", made + MINUTE / 2), Ok("3".into()));
        // Who comes next was made before; who had the address then is not known any longer.
        let next = Pod { network_ready_ms: 0, ..pod("9", "9", "10.0.0.0", made) };
        apply(&mut tracker, &next, made + 2 * MINUTE);
        assert_eq!(owner(&mut tracker, "10.0.0.0", made + SECOND), Err(Reason::Forgotten));
    }

    #[test]
    fn too_many_texts() {
        let mut tracker = tracker_with(Limits { names: 10, ..Limits::default() });
        for index in 0..20 {
            let (text, address) = (index.to_string(), format!("10.0.0.{index}"));
            apply(
                &mut tracker,
                &Pod { node: name(&text), ..pod(&text, &text, &address, START) },
                START,
            );
        }
        assert!(tracker.stats().names_shared_anew > 0);
    }
}
