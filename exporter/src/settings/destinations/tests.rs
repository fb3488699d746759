use config::{Findings, Layer};
use flow::FlowType;
use proptest::prelude::*;

use super::super::Settings;
use super::super::keys::{KEYS as ALL, OWN, OWN_FILE};
use super::*;
use crate::destination::TlsVersion;

const NEEDED: &str = "node: a\nclusterFile: c.yaml\n";
const S: Duration = Duration::from_secs(1);

fn resolve(text: &str) -> (Option<Settings>, Findings) {
    let mut sources = Sources::default();
    let layer = Layer::read(&OWN_FILE, OWN, text, &ALL, &mut sources.findings);
    sources.layers.push(layer);
    Settings::resolve(sources)
}

fn told(text: &str) -> Vec<String> {
    resolve(&format!("{NEEDED}{text}")).1.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn specs(text: &str) -> Vec<Spec> {
    let (settings, findings) = resolve(&format!("{NEEDED}{text}"));
    settings.unwrap_or_else(|| panic!("{findings}")).specs()
}

#[test]
fn a_destination_says_all_that_differs() {
    let specs = specs(
        "flowPollInterval: 2s\nidleFlowExportTimeout: 7s\ndestinations:\n\
         - name: plain\n  address: 192.0.2.1:80:udp\n\
         - name: siem.eu-1\n  address: siem/ingest\n  profile: fyke\n  compatibility: antrea\n  \
         tls: {caFile: ca, certFile: c, keyFile: k, serverName: siem.example, minTLSVersion: VersionTLS13}\n  \
         protocolFilter: [tcp]\n  activeFlowExportTimeout: 1h\n  idleFlowExportTimeout: 1s\n  \
         filter: {namespaces: [shop, db], podLabels: 'app=web, tier in (front,back)', networks: [10.0.0.0/8, 'fd00::/8'], ports: [80, 443], \
         directions: [ingress], flowTypes: [to-external], deniedOnly: yes}\n  \
         redact: [sourcePodName, sourceIP]\n  templateRefresh: 30s\n",
    );
    let [plain, full] = &specs[..] else { panic!("{specs:?}") };
    assert_eq!((plain.name.as_str(), plain.target().as_str()), ("plain", "192.0.2.1:80"));
    assert_eq!(plain.transport, Transport::Udp);
    assert!(plain.filter.is_empty() && plain.redaction.is_empty());
    assert_eq!(plain.compatibility, Compatibility::Antrea);
    assert_eq!(plain.timeouts, Timeouts { active: 5 * S, idle: 7 * S });
    assert_eq!(full.target(), "ingest.siem.svc:4739");
    assert_eq!(full.compatibility, Compatibility::Antrea);
    // Raised to the poll interval.
    assert_eq!(full.timeouts, Timeouts { active: 3600 * S, idle: 2 * S });
    let tls = TlsSpec {
        server_name: Some("siem.example".into()),
        min_version: TlsVersion::Tls13,
        ca: Authorities::File("ca".into()),
        identity: Some(Identity::Files { certificate: "c".into(), key: "k".into() }),
    };
    assert_eq!(full.transport, Transport::Tls(tls));
    let filter = &full.filter;
    assert_eq!(filter.protocols, ProtocolFilter::only(&[6]));
    assert_eq!((filter.namespaces.len(), filter.networks.len()), (2, 2));
    assert_eq!((&filter.ports[..], filter.denied_only), (&[80, 443][..], true));
    let selector = filter.pod_labels.as_ref().map(ToString::to_string);
    assert_eq!(selector.as_deref(), Some("app=web,tier in (back,front)"));
    assert!(filter.directions.ingress && !filter.directions.egress);
    assert_eq!(filter.flow_types, [FlowType::ToExternal]);
    assert_eq!(full.redaction.names(), ["sourcePodName", "sourceIP"]);
    assert_eq!(full.template_refresh, 30 * S);
}

#[test]
fn antreas_collector_is_a_destination_where_it_is_given_or_alone() {
    let names = |text: &str| -> Vec<_> { specs(text).into_iter().map(|it| it.name).collect() };
    let more = "destinations: [{name: more, address: 'x:1:tcp'}]\n";
    assert_eq!(names("flowCollectorAddr: y:1:tcp\n"), ["static"]);
    assert_eq!(names("flowCollectorAddr: y:1:tcp\ndestinations: []\n"), ["static"]);
    assert_eq!(names(&format!("flowCollectorAddr: y:1:tcp\n{more}")), ["static", "more"]);
    assert_eq!(names(more), ["more"]);
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let told = told(
        "destinations:\n\
         - name: static\n  address: x:1:tcp\n\
         - address: 'x:y'\n  profile: other\n  redact: [sourcePodname, sourceIP]\n\
         - name: twice\n  address: x:1:tls\n\
         - name: twice\n  address: x:1:sctp\n  colour: red\n\
         - name: c\n  address: x:1:tcp\n  filter: {ports: [0, a], networks: [10.0.0.1/8], namespaces: []}\n  tls: {certFile: x}\n\
         - word\n",
    );
    let expected = [
        "flow-exporter.conf:4:9: error: destinations[0].name: expected a name of small letters, digits, - and ., of 63 characters at most, not static, found \"static\": this is the destination of flowCollectorAddr",
        "flow-exporter.conf:6:3: error: destinations[1].name: expected a name of small letters, digits, - and ., of 63 characters at most, not static, found nothing",
        "flow-exporter.conf:6:12: error: destinations[1].address: expected HOST[:PORT[:PROTOCOL]], found \"x:y\": the port is not a number from 1 to 65535",
        "flow-exporter.conf:7:12: error: destinations[1].profile: expected antrea or fyke, found \"other\": it is neither",
        "flow-exporter.conf:8:12: error: destinations[1].redact: expected a list of attributes, such as sourcePodName, found \"sourcePodname\": no attribute has this name",
        "flow-exporter.conf:10:12: error: destinations[2].tls.caFile: expected a path for x:1:tls, found nothing",
        "flow-exporter.conf:12:12: error: destinations[3].address: expected HOST[:PORT[:PROTOCOL]], found \"x:1:sctp\": the protocol is not one of tcp, udp, tls, grpc (in lower case)",
        "flow-exporter.conf:13:3: error: destinations[3].colour: unknown key; known here are name, address, tls, profile, compatibility, protocolFilter, filter, redact, activeFlowExportTimeout, idleFlowExportTimeout, templateRefresh",
    ];
    for finding in expected {
        assert!(told.iter().any(|it| it == finding), "{finding}\nnot in\n{}", told.join("\n"));
    }
    assert!(told.iter().all(|it| it.contains("destinations[")), "{}", told.join("\n"));
    for (place, part) in [
        ("16:20", "filter.ports"),
        ("16:23", "filter.ports"),
        ("16:38", "filter.networks"),
        ("16:63", "filter.namespaces"),
        ("17:19", "tls.certFile: a certificate and its key are given together"),
        ("18:3", "destinations[5]: expected a section, found one value"),
    ] {
        let is_it = |it: &&String| it.starts_with(&format!("flow-exporter.conf:{place}: error: "));
        assert!(
            told.iter().filter(is_it).any(|it| it.contains(part)),
            "{place}\n{}",
            told.join("\n")
        );
    }
}

#[test]
fn an_empty_protocol_filter_is_doubted_and_unknown_names_are_refused_here() {
    let one = |filter: &str| {
        told(&format!(
            "destinations: [{{name: a, address: 'x:1:tcp', protocolFilter: {filter}}}]\n"
        ))
    };
    assert_eq!(one("null"), Vec::<String>::new());
    assert!(
        one("[]")[0].contains("warning: destinations[0].protocolFilter: the filter lets nothing")
    );
    assert!(one("[icmp, tcp]")[0].contains("error: destinations[0].protocolFilter"));
}

#[test]
fn what_is_no_label_selector_is_refused_with_its_place() {
    let one = |value: &str| {
        told(&format!(
            "destinations:\n- name: a\n  address: x:1:tcp\n  filter:\n    podLabels: {value}\n"
        ))
    };
    assert_eq!(one("app=web,tier in (front,back)"), Vec::<String>::new());
    assert_eq!(one("null"), Vec::<String>::new());
    let refused = "flow-exporter.conf:7:16: error: destinations[0].filter.podLabels: expected a \
                   label selector such as app=web,tier in (front,back), found ";
    for (value, found) in [
        (
            "app=web,tier like (x)",
            "\"app=web,tier like (x)\": \"tier like \" is not a key with in or notin",
        ),
        ("' '", "\" \": it is empty; leave the key out to let everything through"),
        (
            "replicas>1",
            "\"replicas>1\": \"replicas>1\" compares numbers, which is not possible here",
        ),
    ] {
        assert_eq!(one(value), [format!("{refused}{found}")]);
    }
    assert!(one("[app=web]")[0].ends_with(": one value is wanted"));
}

#[test]
fn there_are_not_more_than_there_can_be() {
    let list = |count: usize| {
        let one = |number: usize| format!("- {{name: d{number}, address: 'x:1:tcp'}}\n");
        format!("destinations:\n{}", (0..count).map(one).collect::<String>())
    };
    assert_eq!(specs(&list(MAX_DESTINATIONS - 1)).len(), MAX_DESTINATIONS - 1);
    assert!(told(&list(MAX_DESTINATIONS))[0].contains("there are 16 destinations at most"));
}

#[test]
fn what_is_printed_is_read_again() {
    let text = "flowCollectorAddr: y:1:tcp\ndestinations:\n- {name: a, address: 'x:1:udp', protocolFilter: [udp]}\n\
         - {name: b, address: 'n/s', profile: fyke, tls: {caFile: \"c \\\"\", serverName: s, certFile: d, keyFile: e}, \
         filter: {namespaces: [x], podLabels: '!canary,a in (,b)', networks: [10.0.0.0/8], ports: [1], directions: [egress], \
         flowTypes: [intra-node, inter-node], deniedOnly: true}, redact: [egressName], \
         activeFlowExportTimeout: 1h, templateRefresh: 5m}\n";
    let (settings, findings) = resolve(&format!("{NEEDED}{text}"));
    let settings = settings.unwrap_or_else(|| panic!("{findings}"));
    let (again, findings) = resolve(&settings.to_yaml());
    let again = again.unwrap_or_else(|| panic!("{findings}\n{}", settings.to_yaml()));
    assert_eq!(again.specs(), settings.specs());
}

proptest! {
    #[test]
    fn any_value_is_read_or_refused(index in 0..KEYS.len(), value in ".{0,40}") {
        let path = KEYS[index].names[0].path;
        let value = config::write::text(&value);
        let one = path.split('.').rev().fold(value, |inner, key| format!("{{{key}: {inner}}}"));
        drop(resolve(&format!("destinations: [{one}]\n")));
    }
}
