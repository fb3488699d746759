use flow::{Correlation, Service};
use k8s::objects::{self, Change, Kind, Object, Owner, Phase};
use k8s::{LabelFilter, Limits, Margins, Tracker};

use super::*;

const MARGINS: Margins = Margins { skew_ms: 0, linger_ms: 0, settle_ms: 1000, keep_ms: 300_000 };
const WEB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 10, 0, 2));
const DB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 10, 1, 2));
const FRONT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 96, 0, 10));

const fn uid_of(n: u8) -> Uid {
    Uid([n; 16])
}

fn name(n: u8) -> Name {
    Uid([n; 16]).to_string().as_str().into()
}

fn pod(n: u8, called: &str, address: IpAddr) -> objects::Pod {
    objects::Pod {
        uid: name(n),
        namespace: "shop".into(),
        name: called.into(),
        node: format!("node-{called}").as_str().into(),
        addresses: vec![address],
        created_ms: 1000,
        started_ms: 1000,
        network_ready_ms: 1000,
        phase: Phase::Running,
        labels: vec![("tier".into(), "back".into()), ("app".into(), called.into())],
        ..objects::Pod::default()
    }
}

/// What is known at 100 s of `pods`, two Nodes and a Service.
fn tracker(pods: &[objects::Pod]) -> Tracker {
    let filter = LabelFilter::new(["*"]);
    let mut tracker = Tracker::new(MARGINS, Limits::default(), filter);
    let node = |n: u8, called: &str| objects::Node {
        uid: name(n),
        name: called.into(),
        pod_cidrs: vec!["10.10.0.0/16".parse().unwrap()],
        ..objects::Node::default()
    };
    let service = objects::Service {
        uid: name(9),
        namespace: "shop".into(),
        name: "db".into(),
        cluster_ips: vec![FRONT],
        ports: vec![objects::ServicePort { protocol: 6, port: 5432, ..Default::default() }],
        ..objects::Service::default()
    };
    let nodes = [node(7, "node-web"), node(8, "node-db")].map(Object::Node);
    let lists = [
        (Kind::Node, nodes.into()),
        (Kind::Service, vec![Object::Service(service)]),
        (Kind::Pod, pods.iter().cloned().map(Object::Pod).collect::<Vec<_>>()),
    ];
    for (kind, list) in lists {
        tracker.apply(Change::ListBegun(kind), 2000);
        for object in list {
            tracker.apply(Change::Applied(object), 2000);
        }
        tracker.apply(Change::ListEnded(kind), 2000);
    }
    tracker.advance(100_000);
    tracker.publish();
    tracker
}

fn enricher(tracker: &Tracker, wanted: Wanted) -> Enricher {
    Enricher::new(tracker.latest(), Arc::new(ArcSwap::from_pointee(wanted)))
}

/// What a Node tells of a Pod of its own.
fn end(pod: &str) -> Shared<Endpoint> {
    let node = format!("node-{pod}");
    let (pod, node) = (pod.into(), node.as_str().into());
    Endpoint { pod, namespace: "shop".into(), node, ..Endpoint::default() }.into()
}

/// The destination's Node refused it.
fn refused(start_ms: u64) -> FlowRecord {
    let mut record = FlowRecord { start_ms, flow_type: FlowType::InterNode, ..Default::default() };
    (record.key.source, record.key.destination, record.key.protocol) = (WEB, DB, 6);
    record.destination = end("db");
    record.correlation = Correlation::NotNeeded;
    record
}

const ALL: Wanted = Wanted { pod_labels: true, uids: true };

#[test]
fn the_end_that_nobody_named_is_named_by_its_address() {
    let tracker = tracker(&[pod(1, "web", WEB), pod(2, "db", DB)]);
    let mut enricher = enricher(&tracker, Wanted::default());
    let mut records = [refused(50_000)];
    enricher.enrich(&mut records, 100_000);
    assert_eq!(records, [FlowRecord { source: end("web"), ..refused(50_000) }]);
    assert_eq!(enricher.counts().named_so_far(End::Source), 1);
}

/// Its Pod was made at 1 s, and what is newer than 99 s is not certain yet.
#[test]
fn a_pod_that_is_known_is_not_that_of_a_flow_from_another_time() {
    let tracker = tracker(&[pod(2, "db", DB)]);
    let mut enricher = enricher(&tracker, ALL);
    let labels = |start_ms| {
        let mut records = [refused(start_ms)];
        enricher.enrich(&mut records, 100_000);
        records[0].destination.labels.to_string()
    };
    let known = r#"{"app":"db","tier":"back"}"#;
    let told = [50_000, 60_000, 500, 99_900, 70_000].map(labels);
    assert_eq!(told, [known, known, "", "", known]);
}

#[test]
fn labels_and_identities_are_told_if_they_are_wanted() {
    let tracker = tracker(&[pod(1, "web", WEB), pod(2, "db", DB)]);
    let mut enricher = enricher(&tracker, ALL);
    let mut record = refused(50_000);
    record.service = Service { ip: Some(FRONT), port: 5432, name: "shop/db".into() };
    record.exit.node = "node-web".into();
    // What a Node told stays.
    record.uids.ingress_policy = Some(uid_of(5));
    record.destination.node_uid = Some(uid_of(6));
    let mut records = [record];
    enricher.enrich(&mut records, 100_000);
    let [record] = &records;
    assert_eq!(record.source.labels.as_str(), r#"{"app":"web","tier":"back"}"#);
    assert_eq!(record.destination.labels.as_str(), r#"{"app":"db","tier":"back"}"#);
    let ends = [&record.source, &record.destination].map(|end| (end.pod_uid, end.node_uid));
    let expected = [(1, 7), (2, 6)].map(|(pod, node)| (Some(uid_of(pod)), Some(uid_of(node))));
    assert_eq!(ends, expected);
    let expected = Uids {
        ingress_policy: Some(uid_of(5)),
        egress_node: Some(uid_of(7)),
        service: Some(uid_of(9)),
        ..Uids::default()
    };
    assert_eq!(*record.uids, expected);
}

/// What a person would call it, not what the Pod says, and where its Node stands.
#[test]
fn workloads_and_zones_are_told() {
    let owner = |kind: &str, called: &str, n| {
        Some(Owner { kind: kind.into(), name: called.into(), uid: name(n) })
    };
    let web = objects::Pod { owner: owner("ReplicaSet", "web-7d4b9", 20), ..pod(1, "web", WEB) };
    let db = objects::Pod { owner: owner("Job", "backup-29", 21), ..pod(2, "db", DB) };
    let mut tracker = tracker(&[web, db]);
    let mut enricher = enricher(&tracker, Wanted::default());
    let mut told = || {
        let mut records = [refused(50_000)];
        enricher.enrich(&mut records, 100_000);
        let [FlowRecord { source, destination, .. }] = records;
        [source, destination].map(|end| [end.workload.to_string(), end.zone.to_string()])
    };
    assert_eq!(told(), [["ReplicaSet/web-7d4b9", ""], ["Job/backup-29", ""]]);
    for object in [
        Object::ReplicaSet(objects::Owned {
            uid: name(20),
            namespace: "shop".into(),
            name: "web-7d4b9".into(),
            owner: owner("Deployment", "web", 22),
        }),
        Object::Job(objects::Owned {
            uid: name(21),
            namespace: "shop".into(),
            name: "backup-29".into(),
            owner: owner("CronJob", "backup", 23),
        }),
        Object::Node(objects::Node {
            uid: name(8),
            name: "node-db".into(),
            zone: "zone-b".into(),
            ..objects::Node::default()
        }),
    ] {
        tracker.apply(Change::Applied(object), 100_000);
    }
    tracker.publish();
    assert_eq!(told(), [["Deployment/web", ""], ["CronJob/backup", "zone-b"]]);
}

/// Records that ask for the same get the same, until the cluster or what is wanted changes.
#[test]
fn ends_are_made_once() {
    let tracker = tracker(&[pod(1, "web", WEB), pod(2, "db", DB)]);
    let mut enricher = enricher(&tracker, ALL);
    let first = refused(50_000);
    let mut records = [first.clone(), first.clone(), refused(50_000)];
    enricher.enrich(&mut records, 100_000);
    let [one, two, other] = &records;
    assert!(one.source.is_same(&two.source) && one.destination.is_same(&two.destination));
    // Told by another session.
    assert!(!one.destination.is_same(&other.destination));
    assert_eq!(one, other);
    assert!(!one.source.labels.is_empty());
    enricher.wanted.store(Arc::default());
    let mut records = [first];
    enricher.enrich(&mut records, 100_000);
    assert_eq!((&*records[0].source.labels, records[0].source.pod_uid), ("", None));
}

#[test]
fn who_had_the_address_when_the_flow_began_is_named() {
    let mut tracker = tracker(&[pod(1, "web", WEB), pod(2, "db", DB)]);
    let gone =
        |kind| Change::Deleted { kind, namespace: "shop".into(), name: "web".into(), uid: name(1) };
    tracker.apply(gone(Kind::Pod), 110_000);
    let later = objects::Pod {
        created_ms: 120_000,
        started_ms: 120_000,
        network_ready_ms: 120_000,
        ..pod(3, "job", WEB)
    };
    tracker.apply(Change::Applied(Object::Pod(later)), 121_000);
    tracker.advance(200_000);
    tracker.publish();
    let mut enricher = enricher(&tracker, ALL);
    let mut records = [refused(50_000), refused(150_000)];
    enricher.enrich(&mut records, 200_000);
    let [first, second] = &records;
    assert_eq!((first.source.pod.as_str(), second.source.pod.as_str()), ("web", "job"));
    assert_eq!(first.source.labels.as_str(), r#"{"app":"web","tier":"back"}"#);
    assert_eq!(second.source.pod_uid, Some(uid_of(3)));
}

#[test]
fn what_is_not_known_is_counted_and_told_once_it_is() {
    let mut tracker = tracker(&[pod(2, "db", DB)]);
    let mut enricher = enricher(&tracker, ALL);
    let mut records = [refused(50_000)];
    enricher.enrich(&mut records, 100_000);
    assert_eq!((records[0].source.pod.as_str(), records[0].source.labels.as_str()), ("", ""));
    assert_eq!(enricher.counts().unresolved_so_far(End::Source, "unknown"), 1);
    tracker.apply(Change::Applied(Object::Pod(pod(1, "web", WEB))), 101_000);
    tracker.advance(200_000);
    tracker.publish();
    let mut records = [refused(50_000)];
    enricher.complete(&mut records);
    assert_eq!(records[0].source.pod.as_str(), "web");
    assert_eq!(enricher.counts().unresolved_so_far(End::Source, "unknown"), 1);
}

#[test]
fn labels_are_never_those_of_another_pod() {
    // The Node named a Pod that is not the one with this address.
    let tracker = tracker(&[pod(1, "web", WEB), pod(3, "other", DB)]);
    let mut enricher = enricher(&tracker, ALL);
    let mut records = [refused(50_000)];
    enricher.enrich(&mut records, 100_000);
    assert_eq!(records[0].destination.pod.as_str(), "db");
    assert_eq!(records[0].destination.labels.as_str(), "");
    assert_eq!(records[0].destination.pod_uid, None);
    assert_eq!(enricher.counts().unresolved_so_far(End::Destination, "another"), 1);
}

#[test]
fn what_lies_outside_is_not_looked_up() {
    let tracker = tracker(&[pod(1, "web", WEB), pod(2, "db", DB)]);
    let mut enricher = enricher(&tracker, Wanted::default());
    for (flow_type, named) in [
        (FlowType::ToExternal, [true, false]),
        (FlowType::FromExternal, [false, true]),
        (FlowType::Unspecified, [false, false]),
        (FlowType::IntraNode, [true, true]),
    ] {
        let mut records =
            [FlowRecord { flow_type, destination: Shared::NOTHING, ..refused(50_000) }];
        enricher.enrich(&mut records, 100_000);
        let ends = [&records[0].source, &records[0].destination];
        assert_eq!(ends.map(|end| !end.pod.is_empty()), named, "{flow_type:?}");
    }
    assert_eq!(enricher.counts().unresolved_so_far(End::Source, "unknown"), 0);
}
