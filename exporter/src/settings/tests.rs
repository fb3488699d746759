mod agent; // what the Antrea Agent's file says

use std::collections::HashMap;
use std::path::Path;

use config::address::{Address, Host, Protocol};
use config::{Layer, Raw};
use proptest::prelude::*;

use super::keys::{AGENT_FILE, KEYS, OWN_FILE};
use super::*;
use crate::destination::{Authorities, Identity, TlsSpec, TlsVersion, Transport};

/// What every exporter needs.
const NEEDED: &str = "node: a\nclusterFile: c.yaml\nflowCollectorAddr: 192.0.2.1:4739:tcp\n";

/// The files' texts, and flags.
fn resolve(own: &str, agent: &str, flags: &[(&'static str, &str)]) -> (Option<Settings>, Findings) {
    let text = |(flag, text): &(&'static str, &str)| (*flag, Raw::Text((*text).into()));
    let flags: HashMap<_, _> = flags.iter().map(text).collect();
    let mut sources = Sources { flags, ..Sources::default() };
    for (kind, text) in [(&OWN_FILE, own), (&AGENT_FILE, agent)] {
        let layer = Layer::read(kind, kind.name, text, &KEYS, &mut sources.findings);
        sources.layers.push(layer);
    }
    Settings::resolve(sources)
}

/// Where the destination of Antrea's keys is.
fn target(settings: &Settings) -> String {
    settings.static_spec().unwrap().target()
}

fn told(findings: &Findings) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// The settings of an exporter that needs nothing but what `agent` says.
#[track_caller]
fn of_agent(agent: &str) -> (Settings, Vec<String>) {
    let (settings, findings) =
        resolve("node: a\nclusterFile: c.yaml\ntls: {caFile: ca}\n", agent, &[]);
    (settings.unwrap_or_else(|| panic!("{findings}")), told(&findings))
}

const S: Duration = Duration::from_secs(1);

#[test]
fn defaults_are_antreas() {
    let (settings, told) = of_agent("");
    assert_eq!(settings.specs().len(), 1);
    let aggregator = Address {
        host: Host::Service { namespace: "flow-aggregator".into(), name: "flow-aggregator".into() },
        port: 4739,
        protocol: Some(Protocol::Tls),
    };
    assert_eq!(settings.collector.address, Setting::new(aggregator, Origin::Default));
    assert_eq!(target(&settings), "flow-aggregator.flow-aggregator.svc:4739");
    assert_eq!(settings.poll_interval, Setting::new(5 * S, Origin::Default));
    assert_eq!(settings.active_timeout, Setting::new(5 * S, Origin::Default));
    assert_eq!(settings.idle_timeout, Setting::new(15 * S, Origin::Default));
    assert_eq!(settings.protocols, Setting::new(None, Origin::Default));
    assert!(!settings.gate.value && !settings.agent_enable.value && settings.exports());
    assert_eq!(
        (settings.profile.value, settings.zones.value),
        (Profile::Antrea, vec![Part::Antrea])
    );
    assert_eq!(settings.connections.value, 1_000_000);
    assert_eq!(settings.admin.value.to_string(), "127.0.0.1:8087");
    assert_eq!((settings.copy.value, told), (None, vec![]));
}

/// A file of the folder `config`.
fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// With every key that is turned off turned on.
fn turned_on(file: &str) -> String {
    let on = |line: &str| match line.trim_start().strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => line.replacen('#', "", 1),
        _ => line.to_owned(),
    };
    file.lines().map(on).collect::<Vec<_>>().join("\n")
}

/// What is printed, without the comments.
fn values(settings: &Settings) -> Vec<String> {
    let yaml = settings.to_yaml();
    let value = |line: &str| line.rsplit_once("  # ").unwrap_or((line, "")).0.to_owned();
    yaml.lines().map(value).collect()
}

#[test]
fn the_shipped_files_give_the_defaults() {
    let flags = [("node", "a"), ("cluster", "c"), ("collector", "192.0.2.1")];
    let defaults = values(&resolve("", "", &flags).0.unwrap());
    let (own, agent) = (shipped(OWN), shipped(AGENT));
    for own in [own.as_str(), &turned_on(&own)] {
        let (settings, findings) = resolve(own, &agent, &flags);
        let settings = settings.unwrap_or_else(|| panic!("{findings}"));
        assert_eq!(told(&findings), Vec::<String>::new());
        assert_eq!(values(&settings), defaults);
        assert!(!settings.gate.value && !settings.agent_enable.value);
    }
}

#[test]
fn zones_follow_from_whether_there_is_an_agent() {
    let zones = |own, agent| {
        let flags = [("node", "a"), ("cluster", "c"), ("collector", "192.0.2.1")];
        let (settings, findings) = resolve(own, agent, &flags);
        settings.unwrap_or_else(|| panic!("{findings}")).zones.value
    };
    assert_eq!(zones("zones: auto\n", ""), [Part::Antrea]);
    assert_eq!(zones("zones: antrea\n", ""), [Part::Antrea]);
    assert_eq!(
        zones("zones: [0, 'vlan:7', 65520]\n", ""),
        [Part::Zone(0), Part::Vlan(7), Part::Zone(65520)]
    );
    let flags = [("node", "a"), ("cluster", "c"), ("collector", "192.0.2.1")];
    let flags = flags.map(|(flag, text)| (flag, config::Raw::Text(text.to_owned())));
    let alone = Sources { flags: flags.into_iter().collect(), ..Sources::default() };
    assert_eq!(Settings::resolve(alone).0.unwrap().zones.value, [Part::Zone(0)]);
}

#[test]
fn the_shipped_file_lets_the_agents_win() {
    let agent = "flowExporter: {flowCollectorAddr: 'x:1:udp', flowPollInterval: 7s}\n";
    let (settings, _) = resolve(&shipped(OWN), agent, &[("node", "a"), ("cluster", "c")]);
    let settings = settings.unwrap();
    assert_eq!((target(&settings).as_str(), settings.poll_interval.value), ("x:1", 7 * S));
}

#[test]
fn every_key_is_in_a_shipped_file() {
    let all = turned_on(&shipped(OWN)) + &shipped(AGENT);
    for key in KEYS {
        let path = key.current_name(OWN).or(key.current_name(AGENT));
        let Some(last) = path.and_then(|path| path.rsplit('.').next()) else { continue };
        let is_given = |line: &str| line.trim_start().starts_with(&format!("{last}: "));
        assert!(all.lines().any(is_given), "{last}");
    }
}

#[test]
fn timeouts_below_the_poll_interval_are_raised() {
    let agent = "flowExporter: {activeFlowExportTimeout: 1s, idleFlowExportTimeout: 0, flowPollInterval: 4s}\n";
    let (settings, notes) = of_agent(agent);
    assert_eq!(
        (settings.active_timeout.value, settings.active_timeout.raised_from),
        (4 * S, Some(S))
    );
    assert_eq!(
        (settings.idle_timeout.value, settings.idle_timeout.raised_from),
        (4 * S, Some(Duration::ZERO))
    );
    assert_eq!((settings.poll_interval.value, notes.len()), (4 * S, 2));
    // Defaults are raised as well.
    let (settings, _) = of_agent("flowExporter: {flowPollInterval: 1m}\n");
    assert_eq!((settings.active_timeout.value, settings.idle_timeout.value), (60 * S, 60 * S));
}

#[test]
fn a_poll_interval_below_a_second_is_refused() {
    for interval in ["999ms", "0", "1", "5 s", "-5s", "five", "[5s]"] {
        let agent = format!("flowExporter: {{flowPollInterval: {interval}}}\n");
        let (settings, findings) = resolve(NEEDED, &agent, &[]);
        assert_eq!(settings, None, "{interval}");
        assert!(
            findings.to_string().contains("flowExporter.flowPollInterval: expected a duration")
        );
    }
}

#[test]
fn who_is_nearer_wins() {
    let agent = "flowExporter: {flowPollInterval: 2s, activeFlowExportTimeout: 22s, idleFlowExportTimeout: 32s}\n";
    let own = format!("{NEEDED}flowPollInterval: 3s\nactiveFlowExportTimeout: 23s\n");
    let (settings, _) = resolve(&own, agent, &[("poll-interval", "4s"), ("collector", "h")]);
    let settings = settings.unwrap();
    assert_eq!(settings.poll_interval, Setting::new(4 * S, Origin::Flag("poll-interval")));
    assert_eq!(settings.active_timeout.value, 23 * S);
    assert_eq!(settings.active_timeout.origin.to_string(), "flow-exporter.conf:5:26");
    assert_eq!(settings.idle_timeout.value, 32 * S);
    assert_eq!(settings.idle_timeout.origin.to_string(), "antrea-agent.conf:1:91");
    // On the command line a collector without a protocol has always meant TCP.
    assert_eq!(settings.collector.transport(), Some(Transport::Tcp));
    assert_eq!(target(&settings), "h:4739");
}

#[test]
fn the_environment_stands_between_flags_and_files() {
    let node = |flags: &[(&'static str, Raw)], environment: bool| {
        let mut sources = Sources { flags: flags.iter().cloned().collect(), ..Sources::default() };
        if environment {
            sources.environment.insert("NODE_NAME", "of-environment".into());
        }
        let layer = Layer::read(&OWN_FILE, OWN, NEEDED, &KEYS, &mut sources.findings);
        sources.layers.push(layer);
        Settings::resolve(sources).0.unwrap().node
    };
    let flag = ("node", Raw::Text("of-flag".into()));
    assert_eq!(node(&[flag], true), Setting::new("of-flag".into(), Origin::Flag("node")));
    let environment = Origin::Environment("NODE_NAME");
    assert_eq!(node(&[], true), Setting::new("of-environment".into(), environment));
    assert_eq!(node(&[], false).value, "a");
}

#[test]
fn tls_needs_its_files() {
    let with = |own: &str| resolve(&format!("node: a\nclusterFile: c\n{own}"), "", &[]);
    let (settings, findings) = with("");
    assert!(settings.is_none() && findings.to_string().contains("tls.caFile"), "{findings}");
    let (settings, _) = with("tls: {caFile: ca, certFile: cert, keyFile: key}\n");
    let tls = TlsSpec {
        server_name: None,
        min_version: TlsVersion::Tls12,
        ca: Authorities::File("ca".into()),
        identity: Some(Identity::Files { certificate: "cert".into(), key: "key".into() }),
    };
    let settings = settings.unwrap();
    assert_eq!(settings.static_spec().unwrap().host(), "flow-aggregator.flow-aggregator.svc");
    assert_eq!(settings.collector.transport(), Some(Transport::Tls(tls)));
    for half in ["certFile", "keyFile"] {
        let (settings, findings) = with(&format!("tls: {{caFile: ca, {half}: x}}\n"));
        assert!(
            settings.is_none() && findings.to_string().contains("this one is alone"),
            "{findings}"
        );
    }
    let (settings, findings) = with("tls: {caFile: ca, serverName: 'a b'}\n");
    assert!(settings.is_none() && findings.to_string().contains("tls.serverName"), "{findings}");
}

/// Keys that are not there, in our file and in Antrea's.
#[test]
fn unknown_keys_are_refused_doubted_or_nobodys_business() {
    let (settings, findings) =
        resolve(&format!("{NEEDED}zone: [1]\nlimits: {{connection: 1}}\n"), "", &[]);
    assert_eq!(settings, None);
    assert_eq!(
        told(&findings),
        [
            "flow-exporter.conf:4:1: error: zone: unknown key; did you mean zones?",
            "flow-exporter.conf:5:10: error: limits.connection: unknown key; did you mean connections?",
        ]
    );
    let agent = "flowexporter: {}\nfeatureGates: {flowExporter: true, L7FlowExporter: true}\n\
                 flowExporter: {flowPollIntervall: 1s, other: 1}\nnodeType: k8sNode\n";
    let (settings, findings) = resolve(NEEDED, agent, &[]);
    assert!(settings.is_some() && findings.any(Severity::Doubt));
    let told = told(&findings);
    assert!(told.iter().all(|finding| finding.contains(": warning: ")), "{told:?}");
    let places: Vec<_> = told.iter().map(|it| it.split(": ").take(3).last().unwrap()).collect();
    let expected = [
        "flowexporter",
        "featureGates.flowExporter",
        "flowExporter.flowPollIntervall",
        "flowExporter.other",
    ];
    assert_eq!(places, expected);
    assert!(told[2].ends_with("did you mean flowPollInterval?"), "{told:?}");
}

#[test]
fn what_is_printed_is_read_again() {
    let own = "node: 'a # b'\nclusterFile: c.yaml\ntls: {caFile: /ca, serverName: x.y}\nzones: [7, 0]\n\
               profile: fyke\nlimits: {connections: 5}\ncopyFile: \"new\\nline\"\nenable: followAgent\n";
    let agent = "flowExporter: {enable: true, flowPollInterval: 7s, protocolFilter: [udp]}\nfeatureGates: {FlowExporter: true}\n";
    let (settings, findings) = resolve(own, agent, &[]);
    let settings = settings.unwrap_or_else(|| panic!("{findings}"));
    let printed = settings.to_yaml();
    let (again, findings) = resolve(&printed, agent, &[]);
    let again = again.unwrap_or_else(|| panic!("{findings}\n{printed}"));
    assert_eq!(values(&again), values(&settings));
    assert_eq!(again.collector.transport(), settings.collector.transport());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(own in "(.|[\\n :#\\-\\[\\]{},&*]){0,120}", agent in "(.|\\n){0,120}") {
        drop(resolve(&own, &agent, &[]));
    }

    #[test]
    fn any_value_of_any_key_is_read_or_refused(index in 0..KEYS.len(), value in ".{0,40}") {
        let path = KEYS[index].names[0].path;
        let mut text = path.split('.').rev().fold(config::write::text(&value), |inner, key| format!("{{{key}: {inner}}}"));
        text.push('\n');
        for kind in [&OWN_FILE, &AGENT_FILE] {
            let (own, agent) = if kind.name == OWN { (text.as_str(), "") } else { ("", text.as_str()) };
            drop(resolve(own, agent, &[]));
        }
    }
}

#[test]
fn the_api_server_is_asked_where_there_is_a_way_to_it() {
    let way = |more: &str, in_cluster| {
        let (settings, findings) = resolve(&format!("{NEEDED}{more}"), "", &[]);
        settings.unwrap_or_else(|| panic!("{findings}")).api_server(in_cluster)
    };
    let file = || Some(Source::Kubeconfig("k".into()));
    assert_eq!(way("", false), None);
    assert_eq!(way("", true), Some(Source::InCluster));
    assert_eq!(way("kubeconfig: k\n", false), file());
    assert_eq!(way("kubeconfig: k\n", true), file());
    assert_eq!(way("kubernetes: off\nkubeconfig: k\n", true), None);
    let (none, findings) = resolve(&format!("{NEEDED}kubernetes: on\n"), "", &[]);
    assert!(none.is_none() && told(&findings)[0].contains("kubernetes"), "{findings}");
}

#[test]
fn open_vswitch_is_watched_by_bridge_or_by_socket() {
    let of = |own: &str| resolve(&format!("{NEEDED}denySources: {{{own}}}\n"), "", &[]);
    let options = |own: &str| of(own).0.unwrap().denial.ovs_options();
    assert_eq!(options(""), None);
    let given = options("ovs: br-int, ovsController: 7, ovsTables: [EgressRule=43]").unwrap();
    assert_eq!(given.socket, Path::new("/var/run/openvswitch/br-int.mgmt"));
    assert_eq!(given.controller, Some(7));
    assert_eq!(given.tables, [("EgressRule".to_owned(), 43)]);
    assert_eq!(options("ovs: /x/y.mgmt").unwrap().socket, Path::new("/x/y.mgmt"));
    for wrong in ["ovsController: 65536", "ovsTables: [EgressRule]", "ovsTables: [Output=3]"] {
        assert_eq!(told(&of(wrong).1).len(), 1, "{wrong}");
    }
}

#[test]
fn a_copy_that_would_stay_empty_is_told() {
    let base = "node: a\nclusterFile: c.yaml\ncopyFile: copy\ntls: {caFile: ca}\n";
    let listed = "destinations:\n- {name: x, address: '192.0.2.1:4739:tcp'}\n";
    for (rest, expected) in [
        ("flowCollectorAddr: 192.0.2.1:4739:tcp\n", None),
        ("flowCollectorAddr: 192.0.2.1:14739:grpc\n", Some("gRPC")),
        (listed, Some("only what the collector")),
    ] {
        let (settings, findings) = resolve(&format!("{base}{rest}"), "", &[]);
        assert!(settings.is_some(), "{findings}");
        let told = told(&findings);
        match expected {
            Some(what) => assert!(told.iter().any(|it| it.contains(what)), "{told:?}"),
            None => assert_eq!(told, [""; 0]),
        }
        assert_eq!(findings.any(Severity::Doubt), expected.is_some());
    }
}
