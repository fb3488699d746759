use std::net::IpAddr;

use super::*;
use crate::conntrack::{Counters, Icmp, Tuple};
use crate::meter::EndReason;

const CLUSTER: &str = "
nodes:
  - {name: a, addresses: [192.168.77.1], podCIDRs: [10.10.0.0/24]}
  - {name: b, addresses: [192.168.77.2], podCIDRs: [10.10.1.0/24]}
pods:
  - {name: a1, namespace: shop, node: a, addresses: [10.10.0.2]}
  - {name: a2, namespace: shop, node: a, addresses: [10.10.0.3]}
  - {name: b1, namespace: shop, node: b, addresses: [10.10.1.2]}
services:
  - {name: db, namespace: shop, clusterIPs: [10.96.0.10], ports: [{name: sql, port: 80, nodePort: 30080}]}
";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> (IpAddr, u16) {
    let address: std::net::SocketAddr = text.parse().unwrap();
    (address.ip(), address.port())
}

/// What Node a reports of a TCP connection with these tuples (source, destination).
fn seen(original: [&str; 2], reply: [&str; 2]) -> Option<FlowRecord> {
    let tuple = |ends: [&str; 2]| Tuple::new(at(ends[0]), at(ends[1]), 6);
    let (original, reply) = (tuple(original), tuple(reply));
    enricher().record(&due(&original, &reply))
}

fn enricher() -> Enricher {
    Enricher::new(Arc::new(Cluster::from_yaml(CLUSTER).unwrap()), "a")
}

fn due<'a>(original: &'a Tuple, reply: &'a Tuple) -> Due<'a> {
    Due {
        original,
        reply,
        zone: 0,
        id: 77,
        mark: 0,
        labels: None,
        status: 0,
        tcp_state: Some(tcp_state::TIME_WAIT),
        denied: None,
        start_ns: 1_000_000_000,
        end_ns: 2_500_000_000,
        totals: Counters { packets: 4, octets: 400, reverse_packets: 3, reverse_octets: 300 },
        deltas: Counters { packets: 2, octets: 200, reverse_packets: 1, reverse_octets: 100 },
        reason: EndReason::EndOfFlow,
    }
}

fn flow_type(source: &str, destination: &str) -> Option<FlowType> {
    seen([source, destination], [destination, source]).map(|record| record.flow_type)
}

#[test]
fn antreas_decision_table_is_followed() {
    use FlowType::{FromExternal, InterNode, IntraNode, ToExternal};
    for (source, destination, expected) in [
        ("10.10.0.2:1", "10.10.0.3:2", Some(IntraNode)),
        ("10.10.0.2:1", "10.10.1.2:2", Some(InterNode)),
        ("10.10.1.2:1", "10.10.0.2:2", Some(InterNode)),
        ("10.10.0.2:1", "192.0.2.9:2", Some(ToExternal)),
        ("192.0.2.9:1", "10.10.0.2:2", Some(FromExternal)),
        ("10.10.1.1:1", "10.10.0.2:2", Some(InterNode)), // through another Node's gateway
        ("10.10.1.1:1", "10.10.1.2:2", None),            // not to a Pod of this Node
        ("10.10.0.2:1", "10.10.0.1:2", None),            // to a gateway
        ("10.10.0.1:1", "10.10.0.2:2", None),            // from this Node itself: a probe
        ("192.168.77.1:1", "10.10.0.2:2", None),         // the same, by another address
        ("192.168.77.2:1", "10.10.0.2:2", Some(FromExternal)), // from another Node itself
        ("10.10.0.9:1", "192.0.2.9:2", Some(ToExternal)), // a Pod here, nobody knows which
        ("10.10.0.9:1", "10.10.0.2:2", Some(IntraNode)),
        ("192.168.77.1:1", "192.168.77.2:2", None), // no Pod
        ("10.10.1.2:1", "192.0.2.9:2", None),       // a Pod of another Node
        ("192.0.2.9:1", "10.10.1.2:2", None),       // routed on: the other Node tells it all
        ("10.10.1.2:1", "10.10.1.3:2", None),       // only passing
    ] {
        assert_eq!(flow_type(source, destination), expected, "{source} > {destination}");
    }
}

#[test]
fn only_local_pods_are_named() {
    let record = seen(["10.10.0.2:1", "10.10.1.2:2"], ["10.10.1.2:2", "10.10.0.2:1"]).unwrap();
    assert_eq!((record.source.pod.as_str(), record.source.node.as_str()), ("a1", "a"));
    assert!(record.destination.is_nothing());
    assert_eq!(record.tcp_state.as_str(), "TIME_WAIT");
    assert_eq!((record.start_ms, record.end_ms), (1000, 2500));
}

#[test]
fn a_service_is_what_the_client_asked_for() {
    let record = seen(["10.10.0.2:1", "10.96.0.10:80"], ["10.10.1.2:8080", "10.10.0.2:1"]).unwrap();
    assert_eq!(record.key.destination, ip("10.10.1.2"));
    assert_eq!(record.key.destination_port, 8080);
    assert_eq!(record.service.name.as_str(), "shop/db:sql");
    assert_eq!((record.service.ip, record.service.port), (Some(ip("10.96.0.10")), 80));
}

#[test]
fn an_unknown_virtual_address_is_told_without_a_name() {
    let record = seen(["10.10.0.2:1", "10.96.0.99:80"], ["10.10.1.2:8080", "10.10.0.2:1"]).unwrap();
    assert_eq!((record.service.ip, record.service.name.as_str()), (Some(ip("10.96.0.99")), ""));
}

#[test]
fn a_client_from_outside_sent_on_to_another_node_keeps_both_addresses() {
    let reply = ["10.10.1.2:8080", "10.10.0.1:50000"];
    let record = seen(["192.0.2.9:1", "192.168.77.1:30080"], reply).unwrap();
    assert_eq!(record.flow_type, FlowType::FromExternal);
    assert_eq!((record.proxy_snat_ip, record.proxy_snat_port), (Some(ip("10.10.0.1")), 50_000));
    assert_eq!(record.service.name.as_str(), "shop/db:sql");
}

#[test]
fn the_echo_identifier_stands_in_the_place_of_the_port() {
    let echo = Tuple::icmp(ip("10.10.0.2"), ip("10.10.1.2"), Icmp { kind: 8, code: 0, id: 4711 });
    let reply = Tuple::icmp(ip("10.10.1.2"), ip("10.10.0.2"), Icmp { kind: 0, code: 0, id: 4711 });
    let record = enricher().record(&due(&echo, &reply)).unwrap();
    assert_eq!((record.key.icmp_type_code, record.proxy_snat_ip), (0x0800, None));
    assert_eq!(record.key.source_port, 4711);
}

#[test]
fn a_pod_is_named_by_when_the_connection_began() {
    use k8s::objects::{Change, Kind, Node, Object, Pod};
    const LISTED: u64 = 1_700_000_000_000;
    let mut tracker = k8s::Tracker::new(
        k8s::Margins::default(),
        k8s::Limits::default(),
        k8s::LabelFilter::default(),
    );
    for kind in [Kind::Pod, Kind::Node, Kind::Service] {
        tracker.apply(Change::ListBegun(kind), LISTED);
        tracker.apply(Change::ListEnded(kind), LISTED);
    }
    let node = Node {
        uid: "n".into(),
        name: "a".into(),
        pod_cidrs: vec!["10.10.0.0/24".parse().unwrap()],
        ..Node::default()
    };
    tracker.apply(Change::Applied(Object::Node(node)), LISTED);
    for (name, made, deleted) in [("first", 10_000, 30_000), ("second", 60_000, 90_000)] {
        let pod = Pod {
            uid: name.into(),
            namespace: "shop".into(),
            name: name.into(),
            node: "a".into(),
            addresses: vec![ip("10.10.0.2")],
            created_ms: LISTED + made,
            ..Pod::default()
        };
        tracker.apply(Change::Applied(Object::Pod(pod)), LISTED + made + 500);
        let (kind, namespace, uid) = (Kind::Pod, "shop".into(), name.into());
        let deletion = Change::Deleted { kind, namespace, name: name.into(), uid };
        tracker.apply(deletion, LISTED + deleted);
    }
    tracker.advance(LISTED + 120_000);
    let enricher = Enricher::new(Arc::new(tracker.cluster()), "a");
    let (client, server) = (at("10.10.0.2:4000"), at("192.0.2.9:80"));
    let (original, reply) = (Tuple::new(client, server, 6), Tuple::new(server, client, 6));
    let named = |start_ms: u64| {
        let due = Due { start_ns: (LISTED + start_ms) * 1_000_000, ..due(&original, &reply) };
        enricher.record(&due).map(|record| record.source.pod.to_string())
    };
    assert_eq!(named(20_000).as_deref(), Some("first"));
    assert_eq!(named(80_000).as_deref(), Some("second"));
    // Nobody's that is known, though it was this Node's for certain.
    assert_eq!(named(45_000).as_deref(), Some(""));
    assert_eq!(enricher.counts().unresolved_so_far(End::Source, "vacant"), 1);
}

/// What Node a tells of a connection between these, by these rules.
fn by(rules: &Rules, cluster: &str, source: &str, destination: &str) -> Option<FlowType> {
    let cluster = Arc::new(Cluster::from_yaml(cluster).unwrap());
    let enricher = Enricher::new(cluster, "a").with_rules(rules.clone());
    let original = Tuple::new(at(source), at(destination), 6);
    let reply = Tuple::new(at(destination), at(source), 6);
    enricher.record(&due(&original, &reply)).map(|record| record.flow_type)
}

#[test]
fn traffic_of_the_node_itself_is_told_if_wanted() {
    let rules = Rules { host_flows: true, ..Rules::default() };
    for source in ["10.10.0.1:1", "192.168.77.1:1"] {
        assert_eq!(by(&rules, CLUSTER, source, "10.10.0.2:2"), Some(FlowType::InterNode));
    }
    assert_eq!(by(&rules, CLUSTER, "192.168.77.1:1", "192.168.77.2:2"), None);
}

/// The cloud gives addresses; Nodes have no networks for Pods.
const CLOUD: &str = "
nodes:
  - {name: a, addresses: [172.31.0.1]}
  - {name: b, addresses: [172.31.0.2]}
pods:
  - {name: a1, namespace: shop, node: a, addresses: [172.31.8.2]}
  - {name: a2, namespace: shop, node: a, addresses: [172.31.8.3]}
";

#[test]
fn with_policies_only_what_is_not_a_pod_is_outside_if_pods_networks_are_known() {
    use FlowType::{FromExternal, InterNode, IntraNode, ToExternal};
    let mode = TrafficMode::PolicyOnly;
    let blind = Rules { mode, ..Rules::default() };
    let pod_networks = vec!["172.31.0.0/16".parse().unwrap()];
    let seeing = Rules { mode, pod_networks, ..Rules::default() };
    for (source, destination, as_antrea, knowing) in [
        ("172.31.8.2:1", "172.31.8.3:2", Some(IntraNode), Some(IntraNode)),
        ("172.31.8.2:1", "172.31.9.9:2", Some(InterNode), Some(InterNode)),
        ("172.31.8.2:1", "192.0.2.9:2", Some(InterNode), Some(ToExternal)),
        ("192.0.2.9:1", "172.31.8.2:2", Some(InterNode), Some(FromExternal)),
        ("172.31.0.1:1", "172.31.8.2:2", None, None), // a probe
        ("172.31.9.9:1", "172.31.9.8:2", None, None),
    ] {
        let what = format!("{source} > {destination}");
        assert_eq!(by(&blind, CLOUD, source, destination), as_antrea, "{what}");
        assert_eq!(by(&seeing, CLOUD, source, destination), knowing, "{what}");
    }
}

#[test]
fn pods_outside_of_their_nodes_networks_are_pods() {
    use FlowType::{FromExternal, InterNode, IntraNode, ToExternal};
    let pool = "  - {name: pooled, namespace: shop, node: a, addresses: [10.77.0.2]}\nservices:";
    let cluster = CLUSTER.replace("services:", pool);
    let plain = Rules::default();
    let types = |rules: &Rules| {
        [
            ("10.77.0.2:1", "10.10.0.2:2"),
            ("10.77.0.2:1", "192.0.2.9:2"),
            ("10.77.0.9:1", "10.10.0.2:2"),
        ]
        .map(|(source, destination)| by(rules, &cluster, source, destination))
    };
    assert_eq!(types(&plain), [Some(IntraNode), Some(ToExternal), Some(FromExternal)]);
    let told = Rules { pod_networks: vec!["10.77.0.0/16".parse().unwrap()], ..plain };
    assert_eq!(types(&told), [Some(IntraNode), Some(ToExternal), Some(InterNode)]);
}

#[test]
fn services_are_known_by_every_way_that_leads_to_them_and_no_other() {
    let ports = "ports: [{name: sql, port: 80, nodePort: 30080}]}";
    let ways = "loadBalancerIPs: [203.0.113.5], externalIPs: [203.0.113.6], ";
    let cluster = CLUSTER.replace(ports, &format!("{ways}{ports}"));
    let cluster = Arc::new(Cluster::from_yaml(&cluster).unwrap());
    let enricher = Enricher::new(cluster, "a");
    let reply = Tuple::new(at("10.10.1.2:8080"), at("10.10.0.2:1"), 6);
    for (asked, name) in [
        ("10.96.0.10:80", "shop/db:sql"),
        ("203.0.113.5:80", "shop/db:sql"),
        ("203.0.113.6:80", "shop/db:sql"),
        ("192.168.77.1:30080", "shop/db:sql"),
        ("192.168.77.2:30080", "shop/db:sql"),
        ("192.0.2.77:30080", ""), // no Node's address
        ("10.96.0.10:30080", ""),
        ("203.0.113.5:81", ""),
    ] {
        let original = Tuple::new(at("10.10.0.2:1"), at(asked), 6);
        let record = enricher.record(&due(&original, &reply)).unwrap();
        assert_eq!(record.service.name.as_str(), name, "{asked}");
        assert_eq!((record.service.ip, record.service.port), (Some(at(asked).0), at(asked).1));
    }
    assert_eq!(enricher.counts().unresolved_so_far(End::Service, "unknown"), 3);
}

#[test]
fn a_rule_without_an_agent_is_counted_and_what_the_source_knows_is_told() {
    use crate::deny::{Action, Direction, RuleRef};
    use flow::PolicyRule;
    let enricher = enricher();
    let tuples = [["10.10.0.2:1", "10.10.1.2:2"], ["10.10.1.2:2", "10.10.0.2:1"]];
    let [original, reply] = tuples.map(|ends| Tuple::new(at(ends[0]), at(ends[1]), 6));
    let labels = Some(0x2_0000_0000_u128.to_be_bytes());
    let record = |zone| enricher.record(&Due { zone, labels, ..due(&original, &reply) }).unwrap();
    assert_eq!(record(65_520).egress.action, PolicyRule::ALLOW);
    assert_eq!(record(0).egress.action, 0, "the labels of zone 0 are not Antrea's");
    assert_eq!(enricher.counts().unresolved_so_far(End::Egress, "no_agent"), 1);
    let told = |rule| enricher.denying(&rule, Direction::Ingress, Action::Drop, 0);
    let isolation = told(RuleRef::IsolationDrop);
    assert_eq!((isolation.policy_type, isolation.action, isolation.name.as_str()), (1, 2, ""));
    let named = PolicyRule { name: "walls".into(), ..PolicyRule::default() };
    assert_eq!(told(RuleRef::Named(named.clone())), PolicyRule { action: 2, ..named });
    assert_eq!(told(RuleRef::Id(7)), PolicyRule { action: 2, ..PolicyRule::default() });
    assert_eq!(enricher.counts().unresolved_so_far(End::Ingress, "no_agent"), 1);
}

#[test]
fn labels_are_those_of_local_pods_that_are_known_in_full() {
    let labels = |count: usize| {
        let pairs: Vec<_> = (0..count).map(|it| format!("k{it:02}: v")).collect();
        format!("labels: {{{}}}, ", pairs.join(", "))
    };
    let told = |count: usize, ends: [&str; 2]| {
        let cluster =
            CLUSTER.replace("addresses: [10.10.0.2]", &(labels(count) + "addresses: [10.10.0.2]"));
        let cluster =
            cluster.replace("addresses: [10.10.1.2]", &(labels(1) + "addresses: [10.10.1.2]"));
        let enricher = Enricher::new(Arc::new(Cluster::from_yaml(&cluster).unwrap()), "a");
        let [from, to] = ends.map(at);
        let (original, reply) = (Tuple::new(from, to, 6), Tuple::new(to, from, 6));
        let (record, PodLabels(labels)) =
            enricher.record_with_labels(&due(&original, &reply)).unwrap();
        assert_eq!(Some(record), enricher.record(&due(&original, &reply)));
        labels.map(|it| it.map(|it| it.len()))
    };
    assert_eq!(told(2, ["10.10.0.2:1", "10.10.1.2:2"]), [Some(2), None], "the other Node's is not");
    assert_eq!(told(2, ["10.10.0.3:1", "10.10.0.2:2"]), [Some(0), Some(2)]);
    assert_eq!(told(2, ["10.10.0.9:1", "10.10.0.2:2"]), [None, Some(2)], "nobody knows whose");
    assert_eq!(told(31, ["10.10.0.2:1", "192.0.2.9:2"]), [Some(31), None]);
    assert_eq!(told(32, ["10.10.0.2:1", "192.0.2.9:2"]), [None, None], "there may be more");
}
