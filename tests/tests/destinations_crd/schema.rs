use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::world::{definition, root};

/// Judges resources by the schema, one verdict per line.
const JUDGE: &str = "
import json, sys, jsonschema
schema, resources = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(schema)
judge = jsonschema.Draft202012Validator(schema)
print(json.dumps([judge.is_valid(resource) for resource in resources]))
";

fn verdicts(resources: &[&Value]) -> Vec<bool> {
    let python = root().join("target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    let mut command = Command::new(python);
    command.args(["-c", JUDGE]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let version = definition()["spec"]["versions"][0].take();
    let question = json!([version["schema"]["openAPIV3Schema"], resources]);
    child.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "see above");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A resource that uses every field.
fn whole() -> Value {
    json!({
        "address": "flow-aggregator/flow-aggregator:14739",
        "protocol": { "grpc": {} },
        "filter": { "protocols": ["tcp", "udp", "sctp"] },
        "activeFlowExportTimeoutSeconds": 1,
        "idleFlowExportTimeoutSeconds": 2_147_483_647,
        "tlsConfig": {
            "minTLSVersion": "VersionTLS13",
            "serverName": "a",
            "caConfigMap": { "namespace": "a", "name": "b" },
            "clientSecret": { "namespace": "a", "name": "b" },
        },
    })
}

/// The same with one field changed, or without it.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut spec = whole();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = spec.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(field.to_owned(), value),
        None => parent.remove(field),
    };
    spec
}

/// Field by field, as Antrea's documentation of the resource has them.
#[test]
fn the_schema_allows_what_antreas_does_and_nothing_else() {
    let ipfix = |transport: &str| json!({ "ipfix": { "transport": transport } });
    let good = [
        whole(),
        with("/protocol", Some(ipfix("tcp"))),
        with("/protocol", Some(ipfix("udp"))),
        with("/protocol", Some(ipfix("tls"))),
        with("/filter", None),
        with("/filter/protocols", None),
        with("/filter/protocols", Some(json!([]))),
        with("/activeFlowExportTimeoutSeconds", None),
        with("/idleFlowExportTimeoutSeconds", None),
        with("/tlsConfig", None),
        with("/tlsConfig/minTLSVersion", None),
        with("/tlsConfig/minTLSVersion", Some("VersionTLS12".into())),
        with("/tlsConfig/serverName", None),
        with("/tlsConfig/clientSecret", None),
        with("/address", Some("192.0.2.1:4739".into())),
        with("/address", Some("[fd00::1]:4739".into())),
        with("/address", Some("collector.example.org:1".into())),
    ];
    let both = json!({ "ipfix": { "transport": "tcp" }, "grpc": {} });
    let bad = [
        with("/address", None),
        with("/address", Some("192.0.2.1".into())),
        with("/address", Some(":4739".into())),
        with("/address", Some("a:".into())),
        with("/address", Some("a:1:tcp".into())),
        with("/address", Some(7.into())),
        with("/protocol", None),
        with("/protocol", Some(json!({}))),
        with("/protocol", Some(both)),
        with("/protocol", Some(json!({ "ipfix": {} }))),
        with("/protocol", Some(ipfix("sctp"))),
        with("/protocol", Some(ipfix("TCP"))),
        with("/filter/protocols", Some(json!(["icmp"]))),
        with("/filter/protocols", Some(json!(["TCP"]))),
        with("/filter/protocols", Some("tcp".into())),
        with("/activeFlowExportTimeoutSeconds", Some(0.into())),
        with("/activeFlowExportTimeoutSeconds", Some("5s".into())),
        with("/idleFlowExportTimeoutSeconds", Some(0.into())),
        with("/tlsConfig/minTLSVersion", Some("VersionTLS11".into())),
        with("/tlsConfig/serverName", Some("".into())),
        with("/tlsConfig/caConfigMap", None),
        with("/tlsConfig/caConfigMap/name", Some("".into())),
        with("/tlsConfig/caConfigMap/namespace", Some("".into())),
        with("/tlsConfig/caConfigMap/name", None),
        with("/tlsConfig/clientSecret/name", Some("".into())),
        with("/tlsConfig/clientSecret/namespace", None),
    ];
    let resources: Vec<_> = good.iter().chain(&bad).map(|spec| json!({ "spec": spec })).collect();
    let judged = verdicts(&resources.iter().chain([&json!({})]).collect::<Vec<_>>());
    for (index, (resource, verdict)) in resources.iter().zip(&judged).enumerate() {
        assert_eq!(*verdict, index < good.len(), "{resource}");
    }
    assert_eq!(judged.last(), Some(&false), "spec is needed");
}

/// Names, scope, defaults, and what kubectl shows: written by hand.
#[test]
fn the_definition_is_antreas() {
    let definition = definition();
    assert_eq!(definition["metadata"]["name"], "flowexporterdestinations.crd.antrea.io");
    let spec = &definition["spec"];
    assert_eq!((&spec["group"], &spec["scope"]), (&json!("crd.antrea.io"), &json!("Cluster")));
    let names = json!({
        "kind": "FlowExporterDestination", "plural": "flowexporterdestinations",
        "singular": "flowexporterdestination", "shortNames": ["flowexporterdest"],
    });
    assert_eq!(spec["names"], names);
    assert_eq!(spec["versions"].as_array().unwrap().len(), 1);
    let version = &spec["versions"][0];
    assert_eq!(
        (&version["name"], &version["served"], &version["storage"]),
        (&json!("v1alpha1"), &json!(true), &json!(true))
    );
    assert_eq!(version["subresources"], Value::Null, "there is no status");
    let columns =
        json!([{ "name": "Address:Port", "type": "string", "jsonPath": ".spec.address" }]);
    assert_eq!(version["additionalPrinterColumns"], columns);
    let fields = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    assert_eq!(fields["activeFlowExportTimeoutSeconds"]["default"], 5);
    assert_eq!(fields["idleFlowExportTimeoutSeconds"]["default"], 15);
    for timeout in ["activeFlowExportTimeoutSeconds", "idleFlowExportTimeoutSeconds"] {
        assert_eq!(fields[timeout]["format"], "int32");
    }
    assert_eq!(fields["tlsConfig"]["properties"]["minTLSVersion"]["default"], "VersionTLS12");
}
