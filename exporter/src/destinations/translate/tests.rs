use serde_json::{Value, json};

use super::*;

pub(crate) fn defaults() -> Defaults {
    Defaults {
        profile: Profile::Antrea,
        compatibility: Compatibility::Antrea,
        redaction: Redaction::default(),
        template_refresh: Spec::TEMPLATE_REFRESH,
        room: 1,
    }
}

fn read_spec(spec: &Value) -> Result<Spec, Refusal> {
    read("one", &json!({ "spec": spec }).to_string(), &defaults())
}

fn tls() -> Value {
    json!({ "caConfigMap": { "namespace": "ns", "name": "ca" } })
}

#[test]
fn what_is_left_out_has_antreas_defaults() {
    let spec = read_spec(&json!({
        "address": "192.0.2.1:4739", "protocol": { "ipfix": { "transport": "udp" } },
    }))
    .unwrap();
    assert_eq!(spec.name, "crd/one");
    assert_eq!(
        (spec.address.to_string(), spec.transport),
        ("192.0.2.1:4739".into(), Transport::Udp)
    );
    let Timeouts { active, idle } = spec.timeouts;
    assert_eq!((active.as_secs(), idle.as_secs()), (5, 15));
    assert!(spec.filter.is_empty());
}

#[test]
fn everything_that_is_said_counts() {
    let mut config = tls();
    config["minTLSVersion"] = "VersionTLS13".into();
    config["serverName"] = "collector.test".into();
    config["clientSecret"] = json!({ "namespace": "other", "name": "pair" });
    let spec = read_spec(&json!({
        "address": "[fd00::1]:14739", "protocol": { "grpc": {} }, "tlsConfig": config,
        "activeFlowExportTimeoutSeconds": 60, "idleFlowExportTimeoutSeconds": 1,
        "filter": { "protocols": ["udp", "sctp"] },
    }))
    .unwrap();
    let object =
        |namespace: &str, name: &str| ObjectName { namespace: namespace.into(), name: name.into() };
    let expected = TlsSpec {
        server_name: Some("collector.test".into()),
        min_version: TlsVersion::Tls13,
        ca: Authorities::ConfigMap(object("ns", "ca")),
        identity: Some(Identity::Secret(object("other", "pair"))),
    };
    assert_eq!(spec.transport, Transport::Grpc(expected));
    assert_eq!(spec.address.to_string(), "[fd00::1]:14739");
    assert_eq!((spec.timeouts.active.as_secs(), spec.timeouts.idle.as_secs()), (60, 1));
    let allowed: Vec<_> = (0..=255).filter(|it| spec.filter.protocols.allows(*it)).collect();
    assert_eq!(allowed, [17, 132]);
}

#[test]
fn what_cannot_work_is_refused_with_its_reason() {
    let with = |address: &str, protocol: Value, tls: Option<Value>| {
        let mut spec = json!({ "address": address, "protocol": protocol });
        if let Some(tls) = tls {
            spec["tlsConfig"] = tls;
        }
        read_spec(&spec).map(drop).unwrap_err().reason()
    };
    let ipfix = |transport: &str| json!({ "ipfix": { "transport": transport } });
    for transport in ["tcp", "udp"] {
        assert_eq!(with("a:1", ipfix(transport), Some(tls())), "tls_unused");
    }
    assert_eq!(with("a:1", ipfix("tls"), None), "no_tls");
    assert_eq!(with("a:1", json!({ "grpc": {} }), None), "no_tls");
    for address in ["a", "a:", "a:0", "a:70000", "a:1:tcp", "a/b/c:1", ":1", "fd00::1:1", "[::1]"] {
        assert_eq!(with(address, ipfix("tcp"), None), "address", "{address}");
    }
    assert_eq!(with("a_b!:1", ipfix("tls"), Some(tls())), "server_name");
    let both = json!({ "ipfix": { "transport": "tcp" }, "grpc": {} });
    for protocol in [json!({}), both, ipfix("sctp"), json!({ "kafka": {} })] {
        assert_eq!(with("a:1", protocol, None), "malformed");
    }
    let none =
        json!({ "address": "a:1", "protocol": ipfix("tcp"), "idleFlowExportTimeoutSeconds": 0 });
    assert_eq!(read_spec(&none).unwrap_err().reason(), "timeout");
}

#[test]
fn names_that_no_object_has_are_refused() {
    let reason = |namespace: &str, name: &str| {
        let tls = json!({ "caConfigMap": { "namespace": namespace, "name": name } });
        let spec = json!({
            "address": "a:1", "protocol": { "ipfix": { "transport": "tls" } }, "tlsConfig": tls,
        });
        read_spec(&spec).map(drop).map_err(|refusal| refusal.reason())
    };
    assert_eq!(reason("ns-1", "ca.example.org"), Ok(()));
    let role = "x\nrules:\n- apiGroups: [\"*\"]\n  resources: [\"*\"]\n  verbs: [\"*\"]\n#";
    for name in [role, "../secrets/x", "ca?watch=1", "Ca", "", "-", &"a".repeat(254)] {
        assert_eq!(reason("ns", name), Err("object_name"), "{name}");
        assert_eq!(reason(name, "ca"), Err("object_name"), "{name}");
    }
    assert_eq!(reason("two.labels", "ca"), Err("object_name"));
}

#[test]
fn a_refusal_is_one_line_of_a_log() {
    let transport = format!("x\n{}", "y".repeat(5_000));
    let ipfix = json!({ "ipfix": { "transport": transport } });
    let mut tls = tls();
    tls["serverName"] = format!("{}!", "x".repeat(5_000)).into();
    let tls = json!({
        "address": "a:1", "protocol": { "ipfix": { "transport": "tls" } }, "tlsConfig": tls,
    });
    let host = json!({
        "address": format!("{}:1", "h".repeat(5_000)), "protocol": { "ipfix": { "transport": "tcp" } },
    });
    for spec in [json!({ "address": "a:1", "protocol": ipfix }), tls, host] {
        let told = read_spec(&spec).unwrap_err().to_string();
        assert!(told.len() < 500 && !told.contains('\n'), "{told}");
    }
}

#[test]
fn a_service_is_who_its_certificate_says_without_a_server_name() {
    let spec = read_spec(&json!({
        "address": "ns/svc:4739", "protocol": { "ipfix": { "transport": "tls" } },
        "tlsConfig": tls(),
    }))
    .unwrap();
    assert_eq!(spec.host(), "svc.ns.svc");
    assert_eq!(service(&spec.address).unwrap().to_string(), "ns/svc");
}

#[test]
fn an_empty_filter_lets_nothing_through_and_none_everything() {
    let with = |filter: Value| {
        let spec = json!({
            "address": "a:1", "protocol": { "ipfix": { "transport": "tcp" } }, "filter": filter,
        });
        read_spec(&spec).unwrap().filter.protocols
    };
    assert_eq!(with(json!({ "protocols": [] })), ProtocolFilter::only(&[]));
    assert_eq!(with(json!({})), ProtocolFilter::default());
}
