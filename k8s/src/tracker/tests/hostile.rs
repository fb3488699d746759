//! Whatever is made to be too much is refused and counted.
use super::kinds::{node, service};
use super::*;
use crate::objects::{Node, Owned};

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
    for (uid, pod_name) in [("", "web"), ("1", ""), (long.as_str(), "web"), ("1", long.as_str())] {
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
    let labels = vec![(name("app"), name(&long)), (name(&format!("app{long:0>320}")), name(""))];
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
