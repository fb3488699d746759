//! What goes over the wire is a promise: the bytes of both templates and of one record each, and
//! a program we did not write that reads them.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flow::{Exit, FlowRecord, FlowType, PolicyRule, Profile, Service};
use serde_json::{Value, json};
use tests::records::{counters, record};
use tests::wire::Wire;

/// Antrea's elements in their order: name, id and type for those of PEN 56506.
#[rustfmt::skip]
const ANTREA: [(&str, u16, &str); 43] = [
    ("flowStartSeconds", 0, ""), ("flowEndSeconds", 0, ""), ("flowEndReason", 0, ""),
    ("sourceTransportPort", 0, ""), ("destinationTransportPort", 0, ""), ("protocolIdentifier", 0, ""),
    ("packetTotalCount", 0, ""), ("octetTotalCount", 0, ""), ("packetDeltaCount", 0, ""), ("octetDeltaCount", 0, ""),
    ("sourceIPv4Address", 0, ""), ("destinationIPv4Address", 0, ""),
    ("reversePacketTotalCount", 0, ""), ("reverseOctetTotalCount", 0, ""),
    ("reversePacketDeltaCount", 0, ""), ("reverseOctetDeltaCount", 0, ""),
    ("sourcePodName", 101, "string"), ("sourcePodNamespace", 100, "string"), ("sourceNodeName", 104, "string"),
    ("destinationPodName", 103, "string"), ("destinationPodNamespace", 102, "string"), ("destinationNodeName", 105, "string"),
    ("destinationServicePort", 108, "unsigned16"), ("destinationServicePortName", 109, "string"),
    ("ingressNetworkPolicyName", 110, "string"), ("ingressNetworkPolicyNamespace", 111, "string"),
    ("ingressNetworkPolicyType", 115, "unsigned8"), ("ingressNetworkPolicyRuleName", 141, "string"),
    ("ingressNetworkPolicyRuleAction", 139, "unsigned8"),
    ("egressNetworkPolicyName", 112, "string"), ("egressNetworkPolicyNamespace", 113, "string"),
    ("egressNetworkPolicyType", 118, "unsigned8"), ("egressNetworkPolicyRuleName", 142, "string"),
    ("egressNetworkPolicyRuleAction", 140, "unsigned8"),
    ("tcpState", 136, "string"), ("flowType", 137, "unsigned8"),
    ("egressName", 153, "string"), ("egressIP", 154, "string"), ("egressNodeName", 157, "string"),
    ("proxySnatPort", 172, "unsigned16"),
    ("destinationClusterIPv4", 106, "ipv4Address"), ("proxySnatIPv4", 170, "ipv4Address"),
    ("destinationServiceIPv4", 168, "ipv4Address"),
];

/// What the `fyke` profile sends behind them.
const FYKE: [&str; 4] =
    ["flowStartMilliseconds", "flowEndMilliseconds", "flowId", "icmpTypeCodeIPv4"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A record that has something in almost every attribute.
fn full_record(source: &str, destination: &str, service: &str) -> FlowRecord {
    let rule = |direction: &str| PolicyRule {
        name: format!("{direction}-policy").as_str().into(),
        namespace: "shop".into(),
        policy_type: 2,
        rule: format!("{direction}-rule").as_str().into(),
        action: 1,
    };
    let ip = service.parse::<IpAddr>().expect("an address");
    FlowRecord {
        flow_id: 4_000_000_007,
        reverse: counters(1 << 40),
        service: Service { ip: Some(ip), port: 80, name: "shop/db:sql".into() },
        ingress: rule("ingress").into(),
        egress: rule("egress").into(),
        flow_type: FlowType::InterNode,
        exit: Exit { name: "egress-1".into(), ip: "192.0.2.1".into(), node: "node-e".into() }
            .into(),
        ..record(source, destination)
    }
}

/// Templates and one record of each family, as a session begins.
fn messages(profile: Profile) -> Vec<u8> {
    let mut wire = Wire::new(912_985_946, profile);
    let mut bytes = wire.templates(1_700_000_010).expect("templates");
    let records = [
        full_record("10.10.0.2", "10.10.1.2", "10.96.0.10"),
        full_record("fd00:10::2", "fd00:10:1::2", "fd00:96::10"),
    ];
    bytes.extend(wire.records(&records, 1_700_000_010).expect("they fit"));
    bytes
}

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(32).map(|line| {
        let digits = line.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>() + "\n"
    });
    lines.collect()
}

#[track_caller]
fn check_golden(name: &str, profile: Profile) {
    let (now, path) = (hex(&messages(profile)), path(name));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &now).expect("the golden file can be written");
    }
    let golden = fs::read_to_string(&path).expect("a golden file");
    assert_eq!(now, golden, "the wire changed; if on purpose, run with UPDATE_GOLDEN=1");
}

#[test]
fn antreas_messages_are_as_ever() {
    check_golden("antrea.hex", Profile::Antrea);
}

#[test]
fn our_messages_are_as_ever() {
    check_golden("fyke.hex", Profile::Fyke);
}

#[test]
fn antreas_template_messages_have_320_bytes() {
    let messages = Wire::new(1, Profile::Antrea).templates(0).expect("templates");
    assert_eq!(messages.len(), 2 * 320);
}

/// The records of `messages` as PyPI's `ipfix` reads them: names and values in template order.
fn read_by_others(messages: &[u8]) -> Vec<Vec<(String, Value)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join("target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing; run `cargo xtask setup`", python.display());
    let v4 = ANTREA.iter().filter(|(_, id, _)| *id != 0).map(|row| json!(row));
    let v6 =
        [("destinationClusterIPv6", 107), ("proxySnatIPv6", 171), ("destinationServiceIPv6", 169)];
    let v6 = v6.iter().map(|(name, id)| json!([name, id, "ipv6Address"]));
    let elements = Value::from(v4.chain(v6).collect::<Vec<_>>());
    let mut reader = Command::new(python)
        .arg(root.join("tests/tests/foreign_ipfix.py"))
        .arg(elements.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    reader.stdin.take().expect("a pipe").write_all(messages).expect("python reads");
    let output = reader.wait_with_output().expect("python ends");
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_foreign_reader_finds_antreas_elements_in_order() {
    let records = read_by_others(&messages(Profile::Antrea));
    assert_eq!(records.len(), 2);
    let names: Vec<&str> = records[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ANTREA.map(|(name, _, _)| name));
    let v6: Vec<&str> = records[1].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(v6, ANTREA.map(|(name, _, _)| name.replace("IPv4", "IPv6")));
}

#[test]
fn a_foreign_reader_finds_our_elements_behind_them() {
    let records = read_by_others(&messages(Profile::Fyke));
    let names: Vec<&str> = records[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..43], ANTREA.map(|(name, _, _)| name));
    assert_eq!(names[43..], FYKE);
}

#[test]
fn a_foreign_reader_finds_the_values_we_wrote() {
    for (record, [source, service]) in read_by_others(&messages(Profile::Fyke))
        .iter()
        .zip([["10.10.0.2", "10.96.0.10"], ["fd00:10::2", "fd00:96::10"]])
    {
        let value = |wanted: &str| {
            let found = record.iter().find(|(name, _)| {
                let family_aside = name.replace("IPv4", "").replace("IPv6", "");
                family_aside == wanted
            });
            &found.unwrap_or_else(|| panic!("{wanted} in {record:?}")).1
        };
        assert_eq!(value("sourceAddress"), source);
        assert_eq!(value("destinationService"), service);
        assert_eq!(value("flowStartSeconds"), "2023-11-14 22:13:20");
        assert_eq!(value("packetTotalCount"), 1000);
        assert_eq!(value("octetDeltaCount"), 1003);
        assert_eq!(value("reverseOctetDeltaCount"), (1_u64 << 40) + 3);
        assert_eq!(value("sourcePodName"), "web-0");
        assert_eq!(value("destinationPodName"), "");
        assert_eq!(value("destinationServicePortName"), "shop/db:sql");
        assert_eq!(value("ingressNetworkPolicyRuleName"), "ingress-rule");
        assert_eq!(value("egressIP"), "192.0.2.1");
        assert_eq!(value("flowType"), 2);
        assert_eq!(value("flowId"), 4_000_000_007_u64);
    }
}
