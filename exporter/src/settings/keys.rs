//! Every setting, described once. Readers, the shipped files and `docs/config-exporter.md` follow
//! from here.

use config::{FileKind, Key, Name};

/// The file of the Antrea Agent, which is read and never written.
pub const AGENT: &str = "antrea-agent.conf";
/// The exporter's own file.
pub const OWN: &str = "flow-exporter.conf";

pub(super) static AGENT_FILE: FileKind =
    FileKind { name: AGENT, sections: Some(&["flowExporter"]) };
pub(super) static OWN_FILE: FileKind = FileKind { name: OWN, sections: None };

const FLAT: &str = "old since Antrea 1.13";
const TANZU: &str = "a name of Tanzu's AntreaConfig";

/// In the order of the reference and of the shipped files.
pub(super) static KEYS: [&Key; 21] = [
    &ENABLE,
    &GATE,
    &AGENT_ENABLE,
    &NODE,
    &CLUSTER,
    &COLLECTOR,
    &WITH_TLS,
    &CA,
    &CERTIFICATE,
    &PRIVATE_KEY,
    &SERVER_NAME,
    &POLL,
    &ACTIVE,
    &FREQUENCY,
    &IDLE,
    &PROTOCOLS,
    &PROFILE,
    &ZONES,
    &CONNECTIONS,
    &ADMIN,
    &COPY,
];

const DURATION: &str = "a duration such as 5s or 1m30s";

pub(super) static ENABLE: Key = Key {
    names: &[Name::current(OWN, "enable")],
    flag: None,
    variable: None,
    form: "always or followAgent",
    default: "always",
    doc: "When to export. always: whenever this process runs. followAgent: only if Antrea's file \
          has the feature gate FlowExporter on and flowExporter.enable true; otherwise the process \
          runs and does nothing.",
};

pub(super) static GATE: Key = Key {
    names: &[Name::current(AGENT, "featureGates.FlowExporter")],
    flag: None,
    variable: None,
    form: "true or false",
    default: "false",
    doc: "The Agent's feature gate, which counts with enable: followAgent. Beside this exporter \
          leave it on and flowExporter.enable off: then the Agent exports nothing.",
};

pub(super) static AGENT_ENABLE: Key = Key {
    names: &[Name::current(AGENT, "flowExporter.enable")],
    flag: None,
    variable: None,
    form: "true or false",
    default: "false",
    doc: "Whether the Agent exports too. With enable: followAgent this also says whether this \
          exporter does.",
};

pub(super) static NODE: Key = Key {
    names: &[Name::current(OWN, "node")],
    flag: Some("node"),
    variable: Some("NODE_NAME"),
    form: "the name of this Node",
    default: "",
    doc: "Name of this Node, as Kubernetes knows it.",
};

pub(super) static CLUSTER: Key = Key {
    names: &[Name::current(OWN, "clusterFile")],
    flag: Some("cluster"),
    variable: None,
    form: "a path",
    default: "",
    doc: "Cluster file: Nodes, Pods and Services in YAML.",
};

pub(super) static COLLECTOR: Key = Key {
    names: &[
        Name::current(OWN, "flowCollectorAddr"),
        Name::current(AGENT, "flowExporter.flowCollectorAddr"),
        Name::other(AGENT, "flowExporter.collectorAddress", TANZU),
        Name::other(AGENT, "flowCollectorAddr", FLAT),
    ],
    flag: Some("collector"),
    variable: None,
    form: "HOST[:PORT[:PROTOCOL]]",
    default: "flow-aggregator/flow-aggregator:4739:tls",
    doc: "Collector. A host is a name, an IPv4 address, an IPv6 address in brackets, or \
          NAMESPACE/NAME of a Service, which is looked up as NAME.NAMESPACE.svc. The port is 4739 \
          unless given. The protocol is tcp, udp or tls for IPFIX, or grpc, which is always over \
          TLS; in files tls unless given, on the command line tcp.",
};

pub(super) static WITH_TLS: Key = Key {
    names: &[Name::other(
        AGENT,
        "enableTLSToFlowAggregator",
        "removed in Antrea 1.1; say :tls or :tcp in the collector's address",
    )],
    flag: None,
    variable: None,
    form: "true or false",
    default: "",
    doc: "Of Antrea 0.13 and 1.0: true makes tcp in an old flowCollectorAddr mean tls, false makes \
          tcp its protocol if it has none.",
};

pub(super) static CA: Key = Key {
    names: &[Name::current(OWN, "tls.caFile")],
    flag: None,
    variable: None,
    form: "a path",
    default: "",
    doc: "For tls and grpc, the PEM file of the authorities a collector's certificate may be from: ca.crt \
          of the ConfigMap flow-aggregator-ca. Read anew for each session.",
};

pub(super) static CERTIFICATE: Key = Key {
    names: &[Name::current(OWN, "tls.certFile")],
    flag: None,
    variable: None,
    form: "a path",
    default: "",
    doc: "For tls and grpc, the PEM file of the certificate this exporter shows: tls.crt of the Secret \
          flow-aggregator-client-tls. Without one it shows none.",
};

pub(super) static PRIVATE_KEY: Key = Key {
    names: &[Name::current(OWN, "tls.keyFile")],
    flag: None,
    variable: None,
    form: "a path",
    default: "",
    doc: "The PEM file of that certificate's key.",
};

pub(super) static SERVER_NAME: Key = Key {
    names: &[Name::current(OWN, "tls.serverName")],
    flag: None,
    variable: None,
    form: "a name or an address",
    default: "",
    doc: "The name in the collector's certificate, if it is not the host of flowCollectorAddr.",
};

pub(super) static POLL: Key = Key {
    names: &[
        Name::current(OWN, "flowPollInterval"),
        Name::current(AGENT, "flowExporter.flowPollInterval"),
        Name::other(AGENT, "flowPollInterval", FLAT),
    ],
    flag: Some("poll-interval"),
    variable: None,
    form: "a duration of 1s or more, such as 5s or 1m30s",
    default: "5s",
    doc: "Read the counters of living connections this often.",
};

pub(super) static ACTIVE: Key = Key {
    names: &[
        Name::current(OWN, "activeFlowExportTimeout"),
        Name::current(AGENT, "flowExporter.activeFlowExportTimeout"),
        Name::other(AGENT, "flowExporter.activeFlowTimeout", TANZU),
        Name::other(AGENT, "activeFlowExportTimeout", FLAT),
    ],
    flag: Some("active-timeout"),
    variable: None,
    form: DURATION,
    default: "5s",
    doc: "Report a connection that goes on this often. Less than flowPollInterval counts as that.",
};

pub(super) static FREQUENCY: Key = Key {
    names: &[Name::other(
        AGENT,
        "flowExportFrequency",
        "removed in Antrea 1.0, where it told activeFlowExportTimeout in polls; write flowExporter.activeFlowExportTimeout",
    )],
    flag: None,
    variable: None,
    form: "a whole number",
    default: "",
    doc: "Of Antrea 0.9 to 0.13: activeFlowExportTimeout as a multiple of flowPollInterval, if it \
          is not given otherwise.",
};

pub(super) static IDLE: Key = Key {
    names: &[
        Name::current(OWN, "idleFlowExportTimeout"),
        Name::current(AGENT, "flowExporter.idleFlowExportTimeout"),
        Name::other(AGENT, "idleFlowExportTimeout", FLAT),
    ],
    flag: Some("idle-timeout"),
    variable: None,
    form: DURATION,
    default: "15s",
    doc: "Report what a connection last did once it is quiet for this long. Less than \
          flowPollInterval counts as that.",
};

pub(super) static PROTOCOLS: Key = Key {
    names: &[
        Name::current(OWN, "protocolFilter"),
        Name::current(AGENT, "flowExporter.protocolFilter"),
        Name::other(AGENT, "flowExporter.protocols", "the key's name in Antrea 2.4.0 alone"),
    ],
    flag: None,
    variable: None,
    form: "a list of tcp, udp, sctp",
    default: "",
    doc: "Record the connections of these protocols only. Without the key all are recorded, ICMP \
          among them; with an empty list none is.",
};

pub(super) static PROFILE: Key = Key {
    names: &[Name::current(OWN, "profile")],
    flag: Some("profile"),
    variable: None,
    form: "antrea or fyke",
    default: "antrea",
    doc: "Elements to send. antrea: Antrea's 43, one record per message, for any Antrea Flow \
          Aggregator. fyke: those and what keeps two connections apart.",
};

pub(super) static ZONES: Key = Key {
    names: &[Name::current(OWN, "zones")],
    flag: Some("zone"),
    variable: None,
    form: "a list of numbers from 0 to 65535",
    default: "[0]",
    doc: "Conntrack zones to record, 64 at most.",
};

pub(super) static CONNECTIONS: Key = Key {
    names: &[Name::current(OWN, "limits.connections")],
    flag: Some("max-connections"),
    variable: None,
    form: "a number from 1 to 100000000",
    default: "1000000",
    doc: "Connections kept in memory at most, about 300 bytes each.",
};

pub(super) static ADMIN: Key = Key {
    names: &[Name::current(OWN, "adminAddress")],
    flag: Some("admin"),
    variable: None,
    form: "ADDRESS:PORT",
    default: "127.0.0.1:8087",
    doc: "Where metrics and health are served.",
};

pub(super) static COPY: Key = Key {
    names: &[Name::current(OWN, "copyFile")],
    flag: Some("copy"),
    variable: None,
    form: "a path",
    default: "",
    doc: "Also write every message into this IPFIX File (RFC 5655), which replaces an old one and \
          is created for its owner's eyes only.",
};
