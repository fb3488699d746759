use super::*;
use crate::objects::{Labels, LocalPort, Localized, Service, TargetPort};

const NODE: &str = "192.168.77.1";

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| (name(key), name(value))).collect()
}

/// A Pod whose port 8080, which it calls `web`, is port 61001 of its Node.
fn local_pod(uid: &str, pairs: &[(&str, &str)]) -> Pod {
    let port =
        LocalPort { node: (Some(ip(NODE)), 61_001), protocol: 6, port: 8080, name: name("web") };
    Pod { labels: labels(pairs), local_ports: vec![port], ..pod(uid, uid, "10.0.0.1", START) }
}

fn service(uid: &str, selector: &[(&str, &str)], target: TargetPort) -> Service {
    let localized = Localized { selector: labels(selector), targets: vec![(6, target)] };
    Service {
        uid: name(uid),
        namespace: name("shop"),
        name: name(uid),
        localized: Some(localized),
        ..Service::default()
    }
}

fn put(tracker: &mut Tracker, service: &Service, now: u64) {
    tracker.apply(Change::Applied(Object::Service(service.clone())), now);
}

/// What a connection to port 61001 at `time` was for, asked half a minute later.
fn named(tracker: &mut Tracker, time: u64) -> Result<String, Reason> {
    let now = tracker.now.max(time + MINUTE / 2);
    tracker.advance(now);
    match tracker.cluster().service(ip(NODE), 61_001, 6, time) {
        Lookup::Found(service) => Ok(service.port_name.to_string()),
        Lookup::Likely(service) => panic!("only likely: {service:?}"),
        Lookup::Missing(reason) => Err(reason),
    }
}

#[test]
fn a_port_of_a_node_has_the_name_of_the_service_it_was_given_for() {
    let web = [("app", "web"), ("tier", "front")];
    for (selector, target, is_for) in [
        (&web[..1], TargetPort::Number(8080), true),
        (&web[..], TargetPort::Named(name("web")), true),
        (&web[..1], TargetPort::Number(80), false),
        (&web[..1], TargetPort::Named(name("dns")), false),
        (&[("app", "db")][..], TargetPort::Number(8080), false),
        (&[][..], TargetPort::Number(8080), false),
    ] {
        // Whichever comes first.
        for is_service_first in [true, false] {
            let mut tracker = tracker();
            let service = service("svc", selector, target.clone());
            if is_service_first {
                put(&mut tracker, &service, START + 1);
            }
            apply(&mut tracker, &local_pod("1", &web), START + 2);
            if !is_service_first {
                put(&mut tracker, &service, START + 3);
            }
            let told = named(&mut tracker, START + MINUTE);
            assert_eq!(told.ok().as_deref(), is_for.then_some("shop/svc"), "{service:?}");
        }
    }
}

#[test]
fn several_services_are_told_apart_by_a_bar_and_leave_one_by_one() {
    let web = [("app", "web")];
    let mut tracker = tracker();
    apply(&mut tracker, &local_pod("1", &web), START + 1);
    for uid in ["b", "a"] {
        put(&mut tracker, &service(uid, &web, TargetPort::Number(8080)), START + 2);
    }
    let elsewhere =
        Service { namespace: name("other"), ..service("c", &web, TargetPort::Number(8080)) };
    put(&mut tracker, &elsewhere, START + 2);
    assert_eq!(named(&mut tracker, START + MINUTE), Ok("shop/a|shop/b".into()));
    let gone = START + 2 * MINUTE;
    let (kind, namespace) = (Kind::Service, name("shop"));
    let deleted = Change::Deleted { kind, namespace, name: name("a"), uid: name("a") };
    tracker.apply(deleted, gone);
    assert_eq!(named(&mut tracker, gone + MINUTE), Ok("shop/b".into()));
    let asks_no_more = Service { localized: None, ..service("b", &web, TargetPort::Number(8080)) };
    put(&mut tracker, &asks_no_more, gone + 2 * MINUTE);
    assert_eq!(named(&mut tracker, gone + 4 * MINUTE), Err(Reason::Vacant));
}

#[test]
fn a_port_that_another_pod_gets_has_its_name_from_then_on() {
    let mut tracker = tracker();
    put(&mut tracker, &service("web", &[("app", "web")], TargetPort::Number(8080)), START + 1);
    put(&mut tracker, &service("db", &[("app", "db")], TargetPort::Number(8080)), START + 1);
    apply(&mut tracker, &local_pod("1", &[("app", "web")]), START + 2);
    let moved = START + 2 * MINUTE;
    delete(&mut tracker, "1", "1", moved);
    let next = Pod { created_ms: moved, ..local_pod("2", &[("app", "db")]) };
    apply(&mut tracker, &next, moved + SECOND);
    assert_eq!(named(&mut tracker, START + MINUTE), Ok("shop/web".into()));
    assert_eq!(named(&mut tracker, moved + MINUTE), Ok("shop/db".into()));
    // Once it is over and forgotten nothing is left of it.
    delete(&mut tracker, "2", "2", moved + 2 * MINUTE);
    tracker.advance(moved + 10 * MINUTE);
    assert_eq!(named(&mut tracker, moved + 10 * MINUTE), Err(Reason::Unknown));
    assert!(tracker.local_ports.is_empty_of_pods());
}

/// Whoever may make a Pod may not take a name from a Service that has it.
#[test]
fn a_service_that_has_the_port_itself_is_named() {
    let mut tracker = tracker();
    let local = service("local", &[("app", "web")], TargetPort::Number(8080));
    let port = crate::objects::ServicePort { protocol: 6, port: 61_001, ..Default::default() };
    let own = Service {
        cluster_ips: vec![ip(NODE)],
        ports: vec![port],
        localized: None,
        ..service("own", &[], TargetPort::Number(1))
    };
    put(&mut tracker, &local, START + 1);
    apply(&mut tracker, &local_pod("1", &[("app", "web")]), START + 2);
    put(&mut tracker, &own, START + 3);
    assert_eq!(named(&mut tracker, START + MINUTE), Ok("shop/own".into()));
}
