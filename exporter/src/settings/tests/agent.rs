use super::*;

#[test]
fn antreas_section_is_read() {
    let (settings, told) = of_agent(
        "featureGates:\n  Traceflow: true\n  FlowExporter: yes\nflowExporter:\n  enable: off\n  \
         flowCollectorAddr: \"[fe80::1]:80:udp\"\n  flowPollInterval: 2s\n  \
         activeFlowExportTimeout: 1m30s\n  idleFlowExportTimeout: 2500ms\n  \
         protocolFilter: [TCP, Sctp]\nnodePortLocal: {enable: true}\n",
    );
    assert!(settings.gate.value && !settings.agent_enable.value);
    assert_eq!(target(&settings), "[fe80::1]:80");
    assert_eq!(settings.collector.transport(), Some(Transport::Udp));
    assert_eq!(settings.poll_interval.value, 2 * S);
    assert_eq!(settings.active_timeout.value, 90 * S);
    assert_eq!(settings.idle_timeout.value, Duration::from_millis(2500));
    assert_eq!(settings.protocols.value, Some(ProtocolFilter::only(&[6, 132])));
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn old_names_are_read_with_a_note_unless_the_new_one_is_given() {
    let old = "flowCollectorAddr: x:1:tcp\nflowPollInterval: 2s\nactiveFlowExportTimeout: 20s\n\
               idleFlowExportTimeout: 30s\n";
    let (settings, notes) = of_agent(old);
    let times =
        |it: &Settings| (it.poll_interval.value, it.active_timeout.value, it.idle_timeout.value);
    assert_eq!(target(&settings), "x:1");
    assert_eq!(times(&settings), (2 * S, 20 * S, 30 * S));
    assert_eq!(
        notes[1],
        "antrea-agent.conf:2:19: note: flowPollInterval: old since Antrea 1.13; write flowExporter.flowPollInterval"
    );
    let new = "flowExporter: {flowCollectorAddr: 'y:2:tcp', flowPollInterval: 3s, \
               activeFlowExportTimeout: 21s, idleFlowExportTimeout: ''}\n";
    let (settings, notes) = of_agent(&format!("{old}{new}"));
    assert_eq!(target(&settings), "y:2");
    // An empty new key leaves the choice to the old one.
    assert_eq!(times(&settings), (3 * S, 21 * S, 30 * S));
    let useless = notes.iter().filter(|note| note.contains("has no effect beside"));
    assert_eq!((useless.count(), notes.len()), (3, 4), "{notes:?}");
}

#[test]
fn names_of_other_products_are_read_with_a_note() {
    let (settings, notes) = of_agent(
        "flowExporter: {collectorAddress: 'x:1:tcp', activeFlowTimeout: 60s, protocols: [udp]}\n",
    );
    assert_eq!(target(&settings), "x:1");
    assert_eq!(settings.active_timeout.value, 60 * S);
    assert_eq!(settings.protocols.value, Some(ProtocolFilter::only(&[17])));
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(
        notes
            .iter()
            .all(|note| note.contains(": note: ") && note.contains("; write flowExporter."))
    );
}

#[test]
fn a_number_of_polls_is_translated() {
    let active = |agent| of_agent(agent).0.active_timeout.value;
    assert_eq!(active("flowExportFrequency: 12\n"), 60 * S);
    assert_eq!(active("flowExportFrequency: 3\nflowPollInterval: 10s\n"), 30 * S);
    assert_eq!(active("flowExportFrequency: 3\nactiveFlowExportTimeout: 7s\n"), 7 * S);
    assert_eq!(active("flowExportFrequency: 0\n"), 5 * S);
    let (refused, _) = resolve(NEEDED, "flowExportFrequency: -1\n", &[]);
    assert_eq!(refused, None);
}

#[test]
fn the_old_switch_for_tls_is_translated() {
    let protocol = |agent| of_agent(agent).0.collector.address.value.protocol.unwrap();
    assert_eq!(
        protocol("flowCollectorAddr: x:1\nenableTLSToFlowAggregator: true\n"),
        Protocol::Tls
    );
    assert_eq!(
        protocol("flowCollectorAddr: x:1:tcp\nenableTLSToFlowAggregator: true\n"),
        Protocol::Tls
    );
    assert_eq!(
        protocol("flowCollectorAddr: x:1:udp\nenableTLSToFlowAggregator: true\n"),
        Protocol::Udp
    );
    assert_eq!(
        protocol("flowCollectorAddr: x:1\nenableTLSToFlowAggregator: false\n"),
        Protocol::Tcp
    );
    assert_eq!(protocol("flowCollectorAddr: x:1\n"), Protocol::Tls);
    let new = "flowExporter: {flowCollectorAddr: 'x:1:tcp'}\nenableTLSToFlowAggregator: true\n";
    assert_eq!(protocol(new), Protocol::Tcp);
}

#[test]
fn the_filter_is_read_as_antrea_means_it() {
    let filter = |list: &str| {
        let (settings, notes) = of_agent(&format!("flowExporter: {{protocolFilter: {list}}}\n"));
        (settings.protocols.value, notes.len())
    };
    let only = |protocols: &[u8]| Some(ProtocolFilter::only(protocols));
    assert_eq!(filter("[tcp, udp, sctp]"), (only(&[6, 17, 132]), 0));
    assert_eq!(filter("null"), (None, 0));
    assert_eq!(filter("[]"), (only(&[]), 1));
    assert_eq!(filter("[icmp, tcp]"), (only(&[6]), 1));
    assert_eq!(filter("[icmp]"), (only(&[]), 2));
    // How Antrea's chart writes a list of two.
    assert_eq!(filter("[tcp udp]"), (only(&[6, 17]), 1));
    for wrong in ["nil", "tcp", "{tcp: true}", "[[tcp]]"] {
        let agent = format!("flowExporter: {{protocolFilter: {wrong}}}\n");
        assert_eq!(resolve(NEEDED, &agent, &[]).0, None, "{wrong}");
    }
}

#[test]
fn following_the_agent_needs_gate_and_enable() {
    let own = format!("{NEEDED}enable: followAgent\n");
    for (gate, enable, exports, notes) in [
        ("true", "true", true, 0),
        ("true", "false", false, 0),
        ("false", "true", false, 1),
        ("false", "false", false, 0),
    ] {
        let agent =
            format!("featureGates: {{FlowExporter: {gate}}}\nflowExporter: {{enable: {enable}}}\n");
        let (settings, findings) = resolve(&own, &agent, &[]);
        assert_eq!(
            (settings.unwrap().exports(), findings.iter().count()),
            (exports, notes),
            "{agent}"
        );
    }
    let (settings, findings) = resolve(&own, "", &[]);
    assert!(!settings.unwrap().exports() && findings.to_string().contains("--agent-config"));
}

#[test]
fn an_agent_that_exports_as_well_is_told_of() {
    let agent = "featureGates: {FlowExporter: true}\nflowExporter: {enable: true}\n";
    let (settings, findings) = resolve(NEEDED, agent, &[]);
    assert!(settings.unwrap().exports());
    assert!(findings.to_string().contains("every flow is exported twice"), "{findings}");
}

#[test]
fn an_address_nobody_uses_keeps_nothing_from_starting() {
    let own = "node: a\nclusterFile: c\nenable: followAgent\n";
    for address in ["x:str:tcp", "ns/svc:14739:grpc", "ns/svc"] {
        let agent = format!("flowExporter: {{enable: false, flowCollectorAddr: '{address}'}}\n");
        let (settings, findings) = resolve(own, &agent, &[]);
        assert!(settings.is_some_and(|settings| !settings.exports()), "{findings}");
    }
}

#[test]
fn the_agents_own_address_is_spoken_to_in_grpc_over_tls() {
    let agent = "flowExporter: {flowCollectorAddr: 'flow-aggregator/flow-aggregator:14739:grpc'}\n";
    let with = |own: &str| resolve(&format!("node: a\nclusterFile: c\n{own}"), agent, &[]);
    let (settings, findings) = with("");
    assert!(settings.is_none() && findings.to_string().contains("tls.caFile"), "{findings}");
    let (settings, findings) = with("tls: {caFile: ca, certFile: cert, keyFile: key}\n");
    let settings = settings.unwrap_or_else(|| panic!("{findings}"));
    assert_eq!(target(&settings), "flow-aggregator.flow-aggregator.svc:14739");
    let tls = TlsSpec {
        server_name: None,
        min_version: TlsVersion::default(),
        ca: Authorities::File("ca".into()),
        identity: Some(Identity::Files { certificate: "cert".into(), key: "key".into() }),
    };
    assert_eq!(settings.collector.transport(), Some(Transport::Grpc(tls)));
}

#[test]
fn an_address_for_the_agent_alone_keeps_no_exporter_from_starting_that_has_its_own() {
    let agent = "flowExporter: {flowCollectorAddr: 'flow-aggregator/flow-aggregator:14739:grpc'}\n";
    let (settings, findings) = resolve(NEEDED, agent, &[]);
    let settings = settings.unwrap_or_else(|| panic!("{findings}"));
    assert_eq!(target(&settings), "192.0.2.1:4739");
    let (settings, findings) =
        resolve("node: a\nclusterFile: c\n", agent, &[("collector", "192.0.2.1")]);
    assert!(settings.is_some(), "{findings}");
}
