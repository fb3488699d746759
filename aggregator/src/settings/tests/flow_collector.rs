use sinks::{SYSTEM_AUTHORITIES, Transport as Way};

use super::*;

fn collector(file: &str) -> sinks::ipfix::Options {
    let uuid = "123e4567-e89b-12d3-a456-426614174000".parse().ok();
    match good(file).outputs(uuid, Mode::Aggregate).flow_collector {
        Some(Output::Ipfix(options)) => options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_collector_is_where_the_file_says() {
    let plain = collector("flowCollector: {enable: true, address: 192.0.2.1}\n");
    assert_eq!(plain.to, FarEndOf("192.0.2.1:4739", Way::Tcp).into());
    // FNV-1 of the UUID, by another program.
    assert_eq!((plain.domain, plain.max_message), (528_865_862, None));
    assert_eq!(plain.cluster_id, "123e4567-e89b-12d3-a456-426614174000");
    assert_eq!(plain.template_refresh, 600 * S);
    assert!(plain.contents.names && !plain.contents.uids);
    let other = collector(
        "clusterID: east\nflowCollector: {enable: true, address: '[2001:db8::1]:9:udp', \
         observationDomainID: 7, maxIPFIXMsgSize: 1400, templateRefreshTimeout: 30s, \
         includeK8sNames: false, includeK8sUIDs: true, profile: standard, biflow: false}\n",
    );
    assert_eq!(other.to, FarEndOf("[2001:db8::1]:9", Way::Udp).into());
    assert_eq!((other.domain, other.max_message), (7, Some(1400)));
    assert_eq!((other.cluster_id.as_str(), other.template_refresh), ("east", 30 * S));
    assert_eq!(other.profile, sinks::ipfix::Profile::Standard(sinks::ipfix::Directions::Uniflow));
    assert!(!other.contents.names && other.contents.uids);
    let service = collector("flowCollector: {enable: true, address: 'elk/logstash:9:tcp'}\n");
    assert_eq!(service.to.address, "logstash.elk.svc:9");
    let json = "flowCollector: {enable: true, address: x, recordFormat: JSON}\n";
    let output = good(json).outputs(None, Mode::Aggregate).flow_collector;
    assert!(matches!(output, Some(Output::Json(_))), "{output:?}");
}

/// A place and what carries records there.
struct FarEndOf(&'static str, Way);

impl From<FarEndOf> for sinks::FarEnd {
    fn from(FarEndOf(address, transport): FarEndOf) -> Self {
        Self { address: address.to_owned(), transport }
    }
}

#[test]
fn a_collectors_certificates_are_where_antrea_mounts_them() {
    use k8s::certificates::{AuthoritiesOrigin, ClientOrigin, PairFiles, PairOrigin};
    let tls = |file: &str| match collector(file).to.transport {
        Way::Tls(tls) => tls,
        other => panic!("{other:?}"),
    };
    let least = tls("flowCollector: {enable: true, address: x, tls: {enable: true}}\n");
    let system = AuthoritiesOrigin::File(SYSTEM_AUTHORITIES.into());
    assert_eq!(least.origin, ClientOrigin { authorities: system, pair: None });
    assert!(!least.tls13_only && least.server_name.is_none());
    let most = tls(
        "flowCollector: {enable: true, address: 'x:1:tls', tls: {enable: true, caSecretName: a, \
         clientSecretName: b, serverName: c, minVersion: VersionTLS13}}\n",
    );
    let file = |name: &str| format!("/etc/flow-aggregator/certs/flow-collector/{name}").into();
    let pair = PairFiles { certificates: file("tls.crt"), key: file("tls.key") };
    let origin = ClientOrigin {
        authorities: AuthoritiesOrigin::File(file("ca.crt")),
        pair: Some(PairOrigin::Files(pair)),
    };
    assert_eq!((most.origin, most.tls13_only), (origin, true));
    assert_eq!(most.server_name.as_deref(), Some("c"));
    let dtls = "flowCollector: {enable: true, address: 'x:1:udp', tls: {enable: true}}\n";
    assert!(resolve(dtls).0.is_none());
}

#[test]
fn what_could_never_be_sent_is_refused() {
    let file = "flowCollector: {enable: true, address: x, maxIPFIXMsgSize: 512}\n";
    let (settings, findings) = resolve(file);
    assert!(settings.is_none());
    assert!(findings.to_string().contains("messages of 512 bytes are too short"), "{findings}");
    assert!(resolve(&file.replace("512", "1400")).0.is_some());
}
