use flow::{FlowType, PolicyRule};
use grpc::v1alpha1::NetworkPolicyRuleAction as Action;

use super::*;

/// From Pod shop/web to Service shop/db, a Pod of namespace data.
fn record() -> FlowRecord {
    let mut record = FlowRecord::default();
    record.key.source = [10, 0, 0, 1].into();
    record.key.destination = [10, 0, 1, 2].into();
    (record.key.source_port, record.key.destination_port) = (40_000, 5432);
    record.key.protocol = 6;
    (record.source.namespace, record.source.pod) = ("shop".into(), "web-1".into());
    (record.destination.namespace, record.destination.pod) = ("data".into(), "db-0".into());
    record.source.labels = r#"{"app":"web","tier":"front"}"#.into();
    record.destination.labels = "{}".into();
    (record.service.name, record.service.port) = ("shop/db:sql".into(), 3306);
    record.flow_type = FlowType::InterNode;
    record.ingress.action = PolicyRule::DROP;
    (record.ingress.namespace, record.ingress.name) = ("data".into(), "deny".into());
    record
}

#[track_caller]
fn check(filter: &FlowFilter, expected: bool) {
    let selection = Selection::read(filter).unwrap();
    assert_eq!(selection.wants(&record(), &mut Labels::default()), expected, "{filter:?}");
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The values are those of flow-aggregator's documented rules, by hand.
#[test]
fn each_criterion_is_about_the_ends_that_the_direction_names() {
    let both = FlowFilterDirection::Both as i32;
    let from = FlowFilterDirection::From as i32;
    let to = FlowFilterDirection::To as i32;
    let none = FlowFilter::default;
    for (namespaces, direction, expected) in [
        (&["shop"][..], both, true),
        (&["data"], both, true),
        (&["data"], from, false),
        (&["data"], to, true),
        (&["other", "shop"], from, true),
        (&["other"], both, false),
    ] {
        check(&FlowFilter { namespaces: texts(namespaces), direction, ..none() }, expected);
    }
    // Each criterion by itself: the namespace of one end, the Pod of the other.
    let mixed = |direction| FlowFilter {
        namespaces: texts(&["shop"]),
        pod_names: texts(&["db-0"]),
        direction,
        ..none()
    };
    check(&mixed(both), true);
    check(&mixed(from), false);
    for (ip, direction, expected) in [
        ("10.0.0.1", both, true),
        ("::ffff:10.0.0.1", both, true),
        ("10.0.1.0/24", to, true),
        ("10.0.1.0/24", from, false),
        ("fd00::/8", both, false),
    ] {
        check(&FlowFilter { ips: texts(&[ip]), direction, ..none() }, expected);
    }
}

#[test]
fn labels_that_are_not_known_are_none() {
    let to = FlowFilterDirection::To as i32;
    for (selector, direction, expected) in [
        ("app=web", 0, true),
        ("app in (web, db),tier", 1, true),
        ("app=web", to, false),
        ("!app", to, true),
        ("app!=web", to, true),
        ("app notin (web)", 1, false),
    ] {
        let pod_label_selector = selector.to_owned();
        check(&FlowFilter { pod_label_selector, direction, ..FlowFilter::default() }, expected);
    }
}

#[test]
fn what_is_of_the_whole_flow() {
    let none = FlowFilter::default;
    check(&FlowFilter { service_names: texts(&["db"]), ..none() }, true);
    check(&FlowFilter { service_names: texts(&["shop/db"]), ..none() }, false);
    check(&FlowFilter { flow_types: vec![2, 3], ..none() }, true);
    check(&FlowFilter { flow_types: vec![1], ..none() }, false);
    check(&FlowFilter { ports: vec![5432], ..none() }, true);
    check(&FlowFilter { ports: vec![3306], ..none() }, true);
    check(&FlowFilter { ports: vec![80], ..none() }, false);
    check(&FlowFilter { protocols: vec![17, 6], ..none() }, true);
    check(&FlowFilter { protocols: vec![17], ..none() }, false);
    check(&FlowFilter { verdicts: vec![Action::Drop as i32], ..none() }, true);
    check(&FlowFilter { verdicts: vec![Action::Reject as i32], ..none() }, false);
    check(&FlowFilter { policies: texts(&["deny"]), ..none() }, true);
    check(&FlowFilter { policies: texts(&["data/deny"]), ..none() }, true);
    check(&FlowFilter { policies: texts(&["shop/deny"]), ..none() }, false);
}

#[test]
fn what_is_no_filter_is_refused() {
    let none = FlowFilter::default;
    for (filter, why) in [
        (FlowFilter { ips: texts(&["nowhere"]), ..none() }, "\"nowhere\""),
        (FlowFilter { pod_label_selector: "a=-".into(), ..none() }, "label selector"),
        (FlowFilter { service_names: texts(&["db"]), direction: 1, ..none() }, "Service"),
        (FlowFilter { ports: vec![70_000], ..none() }, "70000 is no port"),
        (FlowFilter { direction: 9, ..none() }, "9 is no direction"),
        (FlowFilter { ports: vec![1; MOST_ENTRIES + 1], ..none() }, "257 entries"),
    ] {
        let refused = Selection::read(&filter).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}
