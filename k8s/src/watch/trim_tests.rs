use super::*;
use crate::objects::{LocalPort, Localized, TargetPort};
use serde_json::{Value, json};

/// What becomes of an object, and what was left out of it.
fn trimmed(kind: Kind, json: &Value) -> (Result<Object, LeftOut>, Left) {
    let mut trimmer = Trimmer::new(kind);
    let object = trimmer.object(&json.to_string()).map(|versioned| versioned.object);
    (object, trimmer.take_left())
}

fn whole(kind: Kind, json: &Value) -> Object {
    let (object, left) = trimmed(kind, json);
    assert_eq!(left, Left::default(), "nothing is left out of {json}");
    object.unwrap()
}

fn meta() -> Value {
    json!({
        "name": "web-1", "namespace": "shop", "uid": "u-1", "resourceVersion": "7",
        "creationTimestamp": "2026-11-21T10:00:00Z",
        "labels": { "app": "web" }, "annotations": { "passed": "over" },
        "ownerReferences": [
            { "apiVersion": "v1", "kind": "Other", "name": "other", "uid": "o-1" },
            { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "o-2",
              "controller": true },
        ],
    })
}

fn without(mut object: Value, field: &str) -> Value {
    object["metadata"].as_object_mut().unwrap().remove(field);
    object
}

fn pod_with_ips(ips: &Value) -> Value {
    json!({ "metadata": meta(), "status": { "podIPs": ips } })
}

fn pod(object: Result<Object, LeftOut>) -> Pod {
    let Ok(Object::Pod(pod)) = object else { panic!("a Pod, not {object:?}") };
    pod
}

#[test]
fn every_field_that_is_used_is_read() {
    let json = json!({
        "metadata": meta(),
        "spec": { "nodeName": "node-a", "hostNetwork": true, "containers": [{ "name": "main" }] },
        "status": {
            "phase": "Failed", "startTime": "2026-11-21T10:00:01Z",
            "podIPs": [{ "ip": "10.10.0.2" }, { "ip": "fd00:10::2" }],
            "conditions": [
                { "type": "PodReadyToStartContainers", "status": "True",
                  "lastTransitionTime": "2026-11-21T10:00:02Z" },
                { "type": "Ready", "status": "False",
                  "lastTransitionTime": "2026-11-21T10:00:09+00:00" },
            ],
        },
    });
    // Of `date --date=2026-11-21T10:00:00Z +%s`.
    let ten = 1_795_255_200_000;
    let expected = Pod {
        uid: "u-1".into(),
        namespace: "shop".into(),
        name: "web-1".into(),
        node: "node-a".into(),
        host_network: true,
        addresses: vec!["10.10.0.2".parse().unwrap(), "fd00:10::2".parse().unwrap()],
        created_ms: ten,
        started_ms: ten + 1_000,
        network_ready_ms: ten + 2_000,
        phase: Phase::Failed,
        ended_ms: ten + 9_000,
        owner: Some(Owner { kind: "ReplicaSet".into(), name: "web".into(), uid: "o-2".into() }),
        labels: vec![("app".into(), "web".into())],
        local_ports: Vec::new(),
    };
    assert_eq!(whole(Kind::Pod, &json), Object::Pod(expected));
}

#[test]
fn the_network_is_ready_when_its_condition_says_so_or_else_the_containers() {
    let condition = |kind: &str, status: &str, minute: &str| {
        let at = format!("2026-11-21T10:{minute}:00Z");
        json!({ "type": kind, "status": status, "lastTransitionTime": at })
    };
    let network = |status| condition("PodReadyToStartContainers", status, "01");
    let containers = condition("ContainersReady", "True", "02");
    let ten = 1_795_255_200_000;
    for (conditions, expected) in [
        (json!([containers, network("True")]), ten + 60_000),
        (json!([containers, network("False")]), 0),
        (json!([containers]), ten + 120_000),
        (json!([condition("ContainersReady", "False", "02")]), 0),
    ] {
        let json = json!({ "metadata": meta(), "status": { "conditions": conditions } });
        assert_eq!(pod(trimmed(Kind::Pod, &json).0).network_ready_ms, expected, "{conditions}");
    }
}

#[test]
fn services_have_the_addresses_and_ports_they_are_reached_at() {
    let json = json!({
        "metadata": meta(),
        "spec": {
            "clusterIPs": ["10.96.0.10", "fd00:96::10"], "externalIPs": ["192.0.2.7"],
            "ports": [
                { "name": "dns", "protocol": "UDP", "port": 53, "targetPort": "dns" },
                { "port": 80, "nodePort": 30080 },
            ],
        },
        "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.8" }, { "hostname": "x" }] } },
    });
    let Object::Service(service) = whole(Kind::Service, &json) else { panic!("a Service") };
    let texts = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&service.cluster_ips), ["10.96.0.10", "fd00:96::10"]);
    assert_eq!(texts(&service.external_ips), ["192.0.2.7"]);
    assert_eq!(texts(&service.load_balancer_ips), ["192.0.2.8"]);
    let dns = ServicePort { name: "dns".into(), protocol: 17, port: 53, node_port: None };
    let web = ServicePort { name: "".into(), protocol: 6, port: 80, node_port: Some(30080) };
    assert_eq!(service.ports, [dns, web]);

    let headless = json!({ "metadata": meta(), "spec": { "clusterIPs": ["None"] } });
    let Object::Service(headless) = whole(Kind::Service, &headless) else { panic!("a Service") };
    assert!(headless.cluster_ips.is_empty());
}

#[test]
fn slices_nodes_and_owners_are_read() {
    let mut json = json!({
        "metadata": meta(), "addressType": "IPv4",
        "endpoints": [{ "addresses": ["10.10.0.2"] }, { "addresses": ["10.10.0.3"] }],
        "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }, { "name": "all" }],
    });
    json["metadata"]["labels"]["kubernetes.io/service-name"] = "web".into();
    let Object::EndpointSlice(slice) = whole(Kind::EndpointSlice, &json) else { panic!("a slice") };
    assert_eq!((slice.service.as_str(), slice.addresses.len()), ("web", 2));
    assert_eq!(slice.ports, [EndpointPort { name: "http".into(), protocol: 6, port: 8080 }]);

    let mut json = json!({
        "metadata": without(json!({ "metadata": meta() }), "namespace")["metadata"],
        "spec": { "podCIDR": "10.10.0.0/24" },
        "status": { "addresses": [
            { "type": "InternalIP", "address": "172.16.0.1" },
            { "type": "Hostname", "address": "node-a" },
            { "type": "ExternalIP", "address": "192.0.2.1" },
        ] },
    });
    json["metadata"]["labels"]["topology.kubernetes.io/zone"] = "z".into();
    let Object::Node(node) = whole(Kind::Node, &json) else { panic!("a Node") };
    assert_eq!((node.zone.as_str(), node.region.as_str()), ("z", ""));
    assert_eq!((node.addresses.len(), node.pod_cidrs.len()), (2, 1));

    let json = json!({ "metadata": meta() });
    let Object::Job(job) = whole(Kind::Job, &json) else { panic!("a Job") };
    assert_eq!(job.owner.unwrap().name.as_str(), "web");
}

#[test]
fn what_is_absent_or_null_is_empty() {
    let bare = json!({ "name": "n", "namespace": "ns", "uid": "u", "labels": null });
    let json = json!({ "metadata": bare, "spec": null, "status": { "podIPs": null } });
    let expected =
        Pod { name: "n".into(), namespace: "ns".into(), uid: "u".into(), ..Pod::default() };
    assert_eq!(whole(Kind::Pod, &json), Object::Pod(expected));
}

#[test]
fn an_address_that_is_none_is_left_out_and_the_rest_stands() {
    let ips = json!([{ "ip": "10.10.0.2" }, { "ip": "10.10.0.256" }, { "ip": "" }, {}]);
    let (object, left) = trimmed(Kind::Pod, &pod_with_ips(&ips));
    assert_eq!(pod(object).addresses.len(), 1);
    assert_eq!(left.of(LeftOut::Address), 1);
}

#[test]
fn ten_thousand_addresses_are_cut_to_the_limit() {
    let ips: Vec<_> = (0..10_000u32)
        .map(|n| json!({ "ip": std::net::Ipv4Addr::from_bits(n).to_string() }))
        .collect();
    let (object, left) = trimmed(Kind::Pod, &pod_with_ips(&ips.into()));
    assert_eq!(pod(object).addresses.len(), 16);
    assert_eq!(left.of(LeftOut::Address), 10_000 - 16);
}

#[test]
fn labels_without_end_are_cut() {
    let mut json = json!({ "metadata": meta() });
    json["metadata"]["labels"] = json!({ "a": "small", "b": "x".repeat(1 << 20), "c": "last" });
    let (object, left) = trimmed(Kind::Pod, &json);
    assert_eq!(pod(object).labels, [("a".into(), "small".into())]);
    assert_eq!(left.of(LeftOut::Label), 2);

    let many: serde_json::Map<_, _> =
        (0..1_000).map(|n| (format!("key-{n}"), "value".into())).collect();
    json["metadata"]["labels"] = many.into();
    let (object, left) = trimmed(Kind::Pod, &json);
    assert_eq!(pod(object).labels.len(), 128);
    assert_eq!(left.of(LeftOut::Label), 1_000 - 128);
}

#[test]
fn a_text_that_is_too_long_loses_its_end() {
    let json = json!({ "metadata": meta(), "spec": { "nodeName": "ä".repeat(400) } });
    let (object, left) = trimmed(Kind::Pod, &json);
    assert_eq!(pod(object).node.as_str(), "ä".repeat(256));
    assert_eq!(left.of(LeftOut::NameEnd), 1);
}

#[test]
fn ports_that_are_none_are_left_out() {
    let json = json!({ "metadata": meta(), "spec": { "ports": [
        { "port": 70_000 }, { "port": -1 }, { "port": 0 }, { "protocol": "tcp", "port": 1 },
        { "port": 1, "nodePort": 99_999 },
    ] } });
    let (object, left) = trimmed(Kind::Service, &json);
    let Ok(Object::Service(service)) = object else { panic!("a Service") };
    let kept = ServicePort { name: "".into(), protocol: 6, port: 1, node_port: None };
    assert_eq!((service.ports, left.of(LeftOut::Port)), (vec![kept], 5));
}

#[test]
fn what_cannot_be_named_is_no_object() {
    let json = json!({ "metadata": meta() });
    for field in ["name", "namespace", "uid"] {
        let (object, _) = trimmed(Kind::Pod, &without(json.clone(), field));
        assert_eq!(object.unwrap_err(), LeftOut::Nameless, "{field}");
    }
    let mut long = json.clone();
    long["metadata"]["name"] = "n".repeat(254).into();
    assert_eq!(trimmed(Kind::Pod, &long).0.unwrap_err(), LeftOut::Nameless);
    let (object, _) = trimmed(Kind::Node, &json);
    assert_eq!(object.unwrap_err(), LeftOut::Nameless, "a Node lives in no Namespace");
}

#[test]
fn what_has_another_shape_is_no_object() {
    let deep = "[".repeat(100_000);
    for text in ["", "{}", "[]", "{\"metadata\":7}", "{\"metadata\":", &deep] {
        for kind in Kind::ALL {
            let object = Trimmer::new(kind).object(text);
            assert_eq!(object.unwrap_err(), LeftOut::Malformed, "{text:.20} as {kind:?}");
        }
    }
    let (object, _) = trimmed(Kind::Pod, &pod_with_ips(&json!("10.10.0.2")));
    assert_eq!(object.unwrap_err(), LeftOut::Malformed);
}

#[test]
fn what_is_gone_needs_only_a_name() {
    let json = json!({ "metadata": meta(), "status": { "podIPs": "of another shape" } });
    let gone = Trimmer::new(Kind::Pod).identity(&json.to_string()).unwrap();
    assert_eq!((gone.object.uid.as_str(), gone.version.as_deref()), ("u-1", Some("7")));
    let mut json = json;
    json["metadata"]["labels"] = 7.into();
    let gone = Trimmer::new(Kind::Pod).identity(&json.to_string()).unwrap().object;
    assert_eq!((gone.namespace.as_str(), gone.name.as_str()), ("shop", "web-1"));
}

#[test]
fn a_custom_resource_is_kept_as_it_came() {
    static EGRESS: Custom =
        Custom { group: "crd.antrea.io", version: "v1beta1", plural: "egresses", kind: "Egress" };
    let mut json = json!({ "metadata": meta(), "spec": { "egressIP": "192.0.2.7" } });
    json["metadata"].as_object_mut().unwrap().remove("namespace");
    json["metadata"]["creationTimestamp"] = "2026-11-21T10:00:00Z".into();
    let Object::Custom(object) = whole(Kind::Custom(&EGRESS), &json) else { panic!("custom") };
    assert_eq!((object.kind, object.name.as_str(), object.uid.as_str()), (&EGRESS, "web-1", "u-1"));
    assert_eq!(object.created_ms, 1_795_255_200_000);
    assert_eq!(serde_json::from_str::<Value>(&object.json).unwrap(), json);
}

/// A Pod on a Node with these addresses, and what `NodePortLocal` has written on it.
fn pod_with_local_ports(annotation: &str) -> Value {
    let mut meta = meta();
    meta["annotations"] = json!({ "nodeportlocal.antrea.io": annotation, "other": "{" });
    let ports = json!([
        { "name": "web", "containerPort": 8080 },
        { "name": "dns", "containerPort": 8080, "protocol": "UDP" },
    ]);
    json!({
        "metadata": meta,
        "spec": { "containers": [{ "name": "none" }, { "name": "main", "ports": ports }] },
        "status": { "hostIP": "192.168.77.1", "hostIPs": [{ "ip": "192.168.77.1" }, { "ip": "fd77::1" }] },
    })
}

#[test]
fn ports_that_antrea_gives_pods_are_read() {
    let port = |address: &str, node_port, protocol, name: &str| LocalPort {
        node: (Some(address.parse().unwrap()), node_port),
        protocol,
        port: 8080,
        name: name.into(),
    };
    let both = r#"[{"podPort":8080,"nodeIP":"192.168.77.1","nodePort":61001,"protocol":"tcp"},
        {"podPort":8080,"nodeIP":"fd77::1","nodePort":61002,"protocols":["tcp","udp"],"new":1}]"#;
    let told = pod(trimmed(Kind::Pod, &pod_with_local_ports(both)).0).local_ports;
    let expected = [
        port("192.168.77.1", 61_001, 6, "web"),
        port("fd77::1", 61_002, 6, "web"),
        port("fd77::1", 61_002, 17, "dns"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_is_no_port_of_the_pods_node_is_left_out() {
    let many = r#"{"podPort":1,"nodeIP":"192.168.77.1","nodePort":2,"protocol":"tcp"},"#.repeat(65);
    for (annotation, kept, left) in [
        // Whoever may make a Pod could give its name to any other address.
        (
            r#"[{"podPort":1,"nodeIP":"10.96.0.1","nodePort":443,"protocol":"tcp"}]"#.to_owned(),
            0,
            1,
        ),
        (r#"[{"podPort":1,"nodeIP":"x","nodePort":443,"protocol":"tcp"}]"#.to_owned(), 0, 1),
        (
            r#"[{"podPort":1,"nodeIP":"192.168.77.1","nodePort":70000,"protocol":"tcp"}]"#
                .to_owned(),
            0,
            0,
        ),
        (r#"[{"podPort":1,"nodeIP":"192.168.77.1","nodePort":2}]"#.to_owned(), 0, 0),
        ("nonsense".to_owned(), 0, 1),
        (format!("[{}]", " ".repeat(70_000)), 0, 1),
        (format!("[{}]", many.trim_end_matches(',')), 64, 1),
        (String::new(), 0, 0),
    ] {
        let (object, left_out) = trimmed(Kind::Pod, &pod_with_local_ports(&annotation));
        let shown = annotation.chars().take(80).collect::<String>();
        assert_eq!(pod(object).local_ports.len(), kept, "{shown}");
        assert_eq!(left_out.of(LeftOut::Port), left, "{shown}");
    }
}

#[test]
fn services_that_ask_for_ports_of_nodes_are_read() {
    let service = |kind: &str, enabled: &str| {
        let mut meta = meta();
        meta["annotations"] = json!({ "nodeportlocal.antrea.io/enabled": enabled });
        let ports = json!([
            { "port": 80, "targetPort": 8080 },
            { "name": "b", "port": 81, "targetPort": "web" },
            { "name": "c", "port": 53, "protocol": "UDP" },
        ]);
        let json = json!({
            "metadata": meta,
            "spec": { "type": kind, "selector": { "app": "web" }, "ports": ports },
        });
        let Object::Service(service) = whole(Kind::Service, &json) else { panic!() };
        service.localized
    };
    let expected = Localized {
        selector: vec![("app".into(), "web".into())],
        targets: vec![
            (6, TargetPort::Number(8080)),
            (6, TargetPort::Named("web".into())),
            (17, TargetPort::Number(53)),
        ],
    };
    assert_eq!(service("ClusterIP", "true"), Some(expected));
    assert_eq!(service("NodePort", "true"), None);
    assert_eq!(service("ClusterIP", "false"), None);
}
