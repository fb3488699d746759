use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use config::{Layer, Origin, Raw};

use super::keys::KIND;
use super::*;

mod flow_collector; // IPFIX and JSON
mod click_house; // ClickHouse
mod flow_logger; // a file as Antrea's
mod storage; // what is kept on disk

const S: Duration = Duration::from_secs(1);

/// Without these there is no output to ClickHouse.
const CREDENTIALS: [(&str, &str); 2] = [("CH_USERNAME", "antrea"), ("CH_PASSWORD", "secret")];

fn resolve(file: &str) -> (Option<Settings>, Findings) {
    with(file, &[], &CREDENTIALS)
}

/// The file's text, flags and the environment.
pub(super) fn with(
    file: &str,
    flags: &[(&'static str, &str)],
    environment: &[(&'static str, &str)],
) -> (Option<Settings>, Findings) {
    let flag = |(flag, text): &(&'static str, &str)| (*flag, Raw::Text((*text).into()));
    let variable = |(name, text): &(&'static str, &str)| (*name, (*text).to_owned());
    let flags: HashMap<_, _> = flags.iter().map(flag).collect();
    let environment: HashMap<_, _> = environment.iter().map(variable).collect();
    let mut sources = Sources { flags, environment, ..Sources::default() };
    let layer = Layer::read(&KIND, FILE, file, &keys::all(), &mut sources.findings);
    sources.layers.push(layer);
    Settings::resolve(sources)
}

#[track_caller]
pub(super) fn good(file: &str) -> Settings {
    let (settings, findings) = resolve(file);
    settings.unwrap_or_else(|| panic!("{findings}"))
}

pub(super) fn told(findings: &Findings) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// What is printed, without the comments.
fn values(settings: &Settings) -> Vec<String> {
    let yaml = settings.to_yaml();
    let value = |line: &str| line.rsplit_once("  # ").unwrap_or((line, "")).0.to_owned();
    yaml.lines().map(value).collect()
}

/// A file of the folder `config`.
fn shipped() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(FILE);
    std::fs::read_to_string(path).unwrap()
}

/// What is printed of `path`.
#[track_caller]
fn printed(settings: &Settings, path: &str) -> String {
    let sections = settings.sections().into_iter().flat_map(|(_, lines)| lines);
    let line = sections.into_iter().find(|line| line.path == path);
    line.unwrap_or_else(|| panic!("no {path}")).value
}

/// The table of Antrea's documentation, as its defaults are read by Go.
const ANTREAS_DEFAULTS: &str = "\
mode=Aggregate activeFlowRecordTimeout=60s inactiveFlowRecordTimeout=90s \
aggregatorTransportProtocol=tls flowAggregatorAddress=\"\" recordContents.podLabels=false \
recordBufferSize=8192 clusterID=\"\" apiServer.apiPort=10348 apiServer.tlsCipherSuites=\"\" \
flowCollector.enable=false flowCollector.address=\"\" flowCollector.observationDomainID=null \
flowCollector.recordFormat=IPFIX flowCollector.templateRefreshTimeout=600s \
flowCollector.maxIPFIXMsgSize=0 flowCollector.tls.enable=false \
flowCollector.tls.caSecretName=\"\" flowCollector.tls.serverName=\"\" \
flowCollector.tls.clientSecretName=\"\" flowCollector.tls.minVersion=\"\" \
flowCollector.includeK8sNames=true flowCollector.includeK8sUIDs=false clickHouse.enable=false \
clickHouse.database=\"default\" \
clickHouse.databaseURL=\"tcp://clickhouse-clickhouse.flow-visibility.svc:9000\" \
clickHouse.debug=false clickHouse.compress=true clickHouse.commitInterval=8s \
clickHouse.tls.insecureSkipVerify=false clickHouse.tls.caCert=false s3Uploader.enable=false \
s3Uploader.bucketName=\"\" s3Uploader.bucketPrefix=\"\" s3Uploader.region=\"\" \
s3Uploader.recordFormat=CSV s3Uploader.compress=true s3Uploader.maxRecordsPerFile=1000000 \
s3Uploader.uploadInterval=60s flowLogger.enable=false \
flowLogger.path=\"/tmp/antrea-flows.log\" flowLogger.maxSize=100 flowLogger.maxBackups=3 \
flowLogger.maxAge=0 flowLogger.compress=true flowLogger.recordFormat=CSV flowLogger.filters=[] \
flowLogger.prettyPrint=true flowStreamService.enable=false";

#[test]
fn defaults_are_antreas() {
    let (settings, findings) = resolve("");
    let settings = settings.unwrap();
    assert_eq!(told(&findings), Vec::<String>::new());
    // Go writes a minute and more as `1m0s`; what is asked is what it means.
    let plain = |value: &str| {
        config::duration::parse(value).map_or(value.to_owned(), |it| format!("{it:?}"))
    };
    for (path, value) in ANTREAS_DEFAULTS.split(' ').map(|it| it.split_once('=').unwrap()) {
        assert_eq!(plain(&printed(&settings, path)), plain(value), "{path}");
    }
    let ports: Vec<_> = settings.input.listeners().iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["[::]:4739:tls"]);
    assert_eq!(settings.input.grpc.value, "[::]:14739".parse().ok());
    assert_eq!(settings.stream.address.value.port(), 14740);
    assert!(!settings.stream.unauthenticated.value, "unlike Antrea");
}

#[test]
fn the_shipped_file_gives_the_defaults_and_has_every_key() {
    let (settings, findings) = resolve(&shipped());
    assert_eq!(told(&findings), Vec::<String>::new());
    assert_eq!(values(&settings.unwrap()), values(&good("")));
    for key in keys::all() {
        let path = key.current_name(FILE).unwrap();
        let last = path.rsplit('.').next().unwrap();
        let is_given = |line: &str| line.trim_start().starts_with(&format!("{last}: "));
        assert!(shipped().lines().any(is_given), "{path}");
    }
}

#[test]
fn every_key_is_printed_in_its_section_and_in_order() {
    let sections = good("").sections();
    for (section, (reload, lines)) in keys::SECTIONS.iter().zip(sections) {
        assert_eq!(section.reload, reload);
        let paths: Vec<_> =
            lines.iter().filter(|line| !line.is_off).map(|line| line.path).collect();
        let keys: Vec<_> = section.keys().map(|key| key.current_name(FILE).unwrap()).collect();
        assert_eq!(paths, keys, "{}", section.title);
        for key in keys {
            let section = key.rsplit_once('.').map_or("", |(section, _)| section);
            assert!(KIND.sections.unwrap().contains(&section), "{section:?} is a section of ours");
        }
    }
}

#[test]
fn without_a_file_the_command_line_says_all() {
    let flags = [("listen", "127.0.0.1:1"), ("log", "flows.json"), ("active-timeout", "1s")];
    let flags = flags.map(|(flag, text)| (flag, Raw::Text(text.to_owned())));
    let sources = Sources { flags: flags.into_iter().collect(), ..Sources::default() };
    let (settings, findings) = Settings::resolve(sources);
    let settings = settings.unwrap_or_else(|| panic!("{findings}"));
    assert!(settings.is_plain);
    let ports: Vec<_> = settings.input.listeners().iter().map(ToString::to_string).collect();
    assert_eq!((ports, settings.input.grpc.value), (vec!["127.0.0.1:1:tcp".to_owned()], None));
    assert_eq!(settings.aggregation.active, Setting::new(S, Origin::Flag("active-timeout")));
    assert!(settings.outputs(None, Mode::Aggregate).log.is_some());
}

#[test]
fn flags_win_over_the_file_whose_mistakes_are_told_all_the_same() {
    let file = "activeFlowRecordTimeout: 5s\nlisten: {ipfix: '127.0.0.1:7'}\n";
    let flags = [("active-timeout", "7s"), ("listen", "127.0.0.1:8")];
    let (settings, _) = with(file, &flags, &[]);
    let settings = settings.unwrap();
    assert_eq!(settings.aggregation.active.value, 7 * S);
    assert_eq!(settings.input.listeners()[0].to_string(), "127.0.0.1:8:tls");
    let (settings, findings) = with("activeFlowRecordTimeout: soon\n", &flags, &[]);
    assert!(settings.is_none());
    assert!(told(&findings)[0].starts_with("flow-aggregator.conf:1:26: error: activeFlow"));
}

#[test]
fn words_are_read_as_antrea_does() {
    for (word, transport) in [
        ("TLS", Some(Transport::Tls)),
        ("Tcp", Some(Transport::Tcp)),
        ("udp", Some(Transport::Udp)),
        ("none", None),
    ] {
        let file = format!("aggregatorTransportProtocol: {word}\n");
        assert_eq!(good(&file).input.transport.value, transport);
    }
    assert_eq!(good("mode: Proxy\n").aggregation.mode.value, Mode::Proxy);
    for (file, why) in [
        ("mode: proxy\n", "expected Aggregate or Proxy"),
        ("aggregatorTransportProtocol: sctp\n", "expected tls, tcp, udp or none"),
        ("recordBufferSize: -1\n", "a number from 0"),
        ("apiServer: {apiPort: 65536}\n", "a port, or 0"),
        ("activeFlowRecordTimeout: 60\n", "a duration"),
        ("mode: Aggregate\nmode: Aggregate\n", "is given twice"),
        ("clusterID: {a: b}\n", "found a section"),
        ("recordContents: {podLabels: 1}\n", "true or false"),
        ("flowStreamService: {enable: maybe}\n", "true or false"),
    ] {
        let (settings, findings) = resolve(file);
        assert!(settings.is_none(), "{file}");
        assert!(findings.to_string().contains(why), "{findings}");
    }
}

#[test]
fn short_timeouts_and_small_buffers_are_raised() {
    let (settings, findings) = resolve("activeFlowRecordTimeout: 10ms\nrecordBufferSize: 5\n");
    let settings = settings.unwrap();
    assert_eq!(settings.aggregation.active.value, S);
    assert!(settings.to_yaml().contains("1s  # flow-aggregator.conf:1:26, clamped from 10ms\n"));
    assert_eq!(told(&findings).len(), 1);
    assert_eq!(settings.aggregation.history(), 8);
    assert_eq!(good("recordBufferSize: 0\n").aggregation.history(), 8192);
}

#[test]
fn an_unknown_key_is_a_doubt_with_the_nearest_one() {
    let file = "flowColector: {enable: true}\nflowCollector: {adress: 'x'}\napiServer: {x: 1}\n\
                flowLogger: {filters: [{ingressNetworkPolicyRuleAction: [Drop]}]}\n";
    let (settings, findings) = resolve(file);
    assert!(settings.is_some() && findings.any(Severity::Doubt));
    let told = told(&findings);
    for (line, words) in told.iter().zip([
        "1:1: warning: flowColector: unknown key; did you mean flowCollector?",
        "2:17: warning: flowCollector.adress: unknown key; did you mean address?",
        "3:13: warning: apiServer.x: unknown key; known here are apiPort, tlsCipherSuites",
        "4:25: warning: flowLogger.filters[0].ingressNetworkPolicyRuleAction: unknown key; did \
         you mean ingressNetworkPolicyRuleActions?",
    ]) {
        assert!(line.starts_with(&format!("flow-aggregator.conf:{words}")), "{line}");
    }
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn what_is_wrong_with_an_output_that_is_off_is_a_doubt() {
    for wrong in [
        "flowCollector: {ENABLE, address: 'x:y:z'}",
        "flowCollector: {ENABLE, address: 'x:1:grpc'}",
        "flowCollector: {ENABLE, address: x, maxIPFIXMsgSize: 511}",
        "flowCollector: {ENABLE, address: x, recordFormat: XML}",
        "flowCollector: {ENABLE, address: x, templateRefreshTimeout: -1s}",
        "flowCollector: {ENABLE, address: x, tls: {minVersion: VersionTLS11}}",
        "clickHouse: {ENABLE, databaseURL: 'ftp://x'}",
        "clickHouse: {ENABLE, databaseURL: 'tcp://u:p@x'}",
        "clickHouse: {ENABLE, databaseURL: 'tcp://x/db'}",
        "clickHouse: {ENABLE, databaseURL: 'tcp://x:0'}",
        "clickHouse: {ENABLE, databaseURL: 'tcp://:9000'}",
        "clickHouse: {ENABLE, commitInterval: 999ms}",
        "s3Uploader: {ENABLE, bucketName: b, uploadInterval: 0s}",
        "s3Uploader: {ENABLE, bucketName: b, recordFormat: JSON}",
        "s3Uploader: {ENABLE, bucketName: b, maxRecordsPerFile: -1}",
        "s3Uploader: {ENABLE, bucketName: b, maxBytesPerFile: 1KiB}",
        "s3Uploader: {ENABLE, bucketName: b, maxBytesPerFile: 2GiB}",
        "s3Uploader: {ENABLE, bucketName: b, endpoint: 'minio:9000'}",
        "s3Uploader: {ENABLE, bucketName: b, endpoint: 'https://'}",
        "s3Uploader: {ENABLE, bucketName: b, endpoint: 'https://u:p@minio'}",
        "s3Uploader: {ENABLE, bucketName: b, endpoint: 'https://minio/path'}",
        "s3Uploader: {ENABLE, bucketName: b, columns: v2.8}",
        "s3Uploader: {ENABLE, bucketName: b, objectNames: mine}",
        "s3Uploader: {ENABLE, bucketName: b, requestTimeout: 10ms}",
        "flowLogger: {ENABLE, maxBackups: -1}",
        "flowLogger: {ENABLE, recordFormat: XML}",
        "flowLogger: {ENABLE, columns: v9}",
    ] {
        let (settings, findings) = resolve(&wrong.replace("ENABLE", "enable: true"));
        assert!(settings.is_none(), "{wrong}");
        let file = wrong.replace("ENABLE", "enable: false");
        let (settings, softened) = resolve(&file);
        assert!(settings.is_some(), "{softened}");
        assert!(softened.any(Severity::Doubt) && findings.any(Severity::Error), "{wrong}");
        assert_eq!(told(&softened).len(), 1, "{softened}");
    }
    for missing in ["flowCollector: {enable: true}\n", "s3Uploader: {enable: true}\n"] {
        assert!(resolve(missing).0.is_none(), "{missing}");
    }
    for url in ["tcp://x", "tls://x:9440", "http://[::1]:8123", "https://[::1]"] {
        let (settings, findings) =
            resolve(&format!("clickHouse: {{enable: true, databaseURL: '{url}'}}\n"));
        assert!(settings.is_some(), "{findings}");
    }
}

#[cfg(not(feature = "s3"))]
#[test]
fn what_this_build_does_not_have_is_refused_at_start() {
    let (settings, findings) = resolve("s3Uploader: {enable: yes, bucketName: b}\n");
    let error = settings.unwrap().check_build().unwrap_err().to_string();
    let words = "does not have that output";
    assert!(error.contains("s3Uploader.enable") && error.contains(words), "{error}");
    assert!(findings.any(Severity::Doubt), "a check fails");
    assert_eq!(good("").check_build(), Ok(()));
}

#[test]
fn a_proxy_has_one_output() {
    let (settings, findings) = resolve(
        "mode: Proxy\nclickHouse: {enable: on}\ns3Uploader: {enable: on, bucketName: b}\n\
         flowLogger: {enable: on}\ndataDirectory: /d\nflowCollector: {enable: on, address: c}\n",
    );
    assert!(settings.is_none());
    let errors: Vec<_> = findings.iter().filter(|it| it.severity == Severity::Error).collect();
    let keys: Vec<_> = errors.iter().map(|it| it.key.as_str()).collect();
    let expected = ["clickHouse.enable", "s3Uploader.enable", "flowLogger.enable", "dataDirectory"];
    assert_eq!(keys, expected, "{findings}");
}

#[test]
fn secrets_are_not_shown() {
    let environment = [
        ("CH_USERNAME", "hunter1"),
        ("CH_PASSWORD", "hunter2"),
        ("AWS_ACCESS_KEY_ID", "hunter3"),
        ("AWS_SECRET_ACCESS_KEY", "hunter4"),
        ("AWS_SESSION_TOKEN", "hunter5"),
    ];
    let (settings, _) = with("", &[], &environment);
    let settings = settings.unwrap();
    let shown = format!("{}{settings:?}", settings.to_yaml());
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("#password: \"***\"  # environment CH_PASSWORD\n"), "{shown}");
    // They are comments: what was printed can be used.
    assert_eq!(values(&good(&settings.to_yaml())), values(&good("")));
}

#[test]
fn listeners_are_told_apart() {
    let file = "listen: {more: ['[::]:4739:udp', '127.0.0.1:4740:tcp'], grpc: off}\n";
    let settings = good(file);
    let places: Vec<_> = settings.input.listeners().iter().map(ToString::to_string).collect();
    assert_eq!(places, ["[::]:4739:tls", "[::]:4739:udp", "127.0.0.1:4740:tcp"]);
    assert_eq!(settings.input.grpc.value, None);
    assert_eq!(values(&good(&settings.to_yaml())), values(&settings));
    for (wrong, at) in [
        ("listen: {more: ['[::]:4739:tcp']}\n", "1:16: error: listen.more"),
        ("listen: {more: ['[::]:1:tcp', 'x']}\n", "1:31: error: listen.more"),
        ("listen: {netflow: ['x']}\n", "1:20: error: listen.netflow"),
        ("tls: {certFile: c}\n", "1:17: error: tls.certFile"),
        ("tls: {keyFile: k}\n", "1:16: error: tls.keyFile"),
        (
            "aggregatorTransportProtocol: tcp\nlisten: {grpc: off}\ntls: {clientCAFile: k}\n",
            "3:21: warning: tls.clientCAFile",
        ),
    ] {
        let (_, findings) = resolve(wrong);
        assert!(findings.to_string().contains(at), "{findings}");
    }
}

#[test]
fn outputs_change_while_it_runs_and_the_rest_is_named() {
    let mut running = good("");
    let new = good(
        "mode: Proxy\nlisten: {more: ['[::]:4739:udp']}\nclusterID: east\nadminAddress: '[::]:1'\n\
         recordLog: /l\nflowCollector: {enable: true, address: x}\n",
    );
    let waiting = running.take_over(new.clone());
    assert_eq!(waiting, ["mode", "listen.more", "adminAddress"]);
    assert_eq!(running.flow_collector, new.flow_collector);
    assert_eq!((&running.record_log, &running.cluster_id), (&new.record_log, &new.cluster_id));
    assert_eq!(running.aggregation.mode.value, Mode::Aggregate);
    // It is so until the aggregator is started anew.
    assert_eq!(running.take_over(new).len(), 3);
    assert_eq!(running.take_over(good("")), Vec::<&str>::new());
    assert_eq!(running, good(""));
}
