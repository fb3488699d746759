//! Every setting, described once. Readers, the shipped files and `docs/config-exporter.md` follow
//! from here.

mod naming; // where names come from
mod sending; // what is told, how often, and to whom
mod denial; // where denied packets are heard of

use config::{FileKind, Items, Key, Name};

use super::destinations;
pub(super) use denial::{
    AUDIT_LOG, AUDIT_LOG_ZONE, NFLOG, NFLOG_PREFIXES, NFQUEUE, NFQUEUE_FAIL_OPEN, NFQUEUE_VERDICT,
    OVS, OVS_CONTROLLER, OVS_TABLES,
};
pub(crate) use naming::POD;
pub(super) use naming::{
    AGENT_PORT, AGENT_TOKEN, CLUSTER, HOST_FLOWS, KUBECONFIG, KUBERNETES, NAME_WAIT, POD_NETWORKS,
    TRAFFIC_MODE,
};
pub(super) use sending::{
    ACTIVE, CA, CERTIFICATE, COLLECTOR, DESTINATIONS, FREQUENCY, IDLE, POLL, PRIVATE_KEY, PROFILE,
    PROTOCOLS, SERVER_NAME, WITH_TLS,
};

/// The file of the Antrea Agent, which is read and never written.
pub const AGENT: &str = "antrea-agent.conf";
/// The exporter's own file.
pub const OWN: &str = "flow-exporter.conf";

pub(crate) static AGENT_FILE: FileKind =
    FileKind { name: AGENT, sections: Some(&["flowExporter"]), items: &[] };
pub(crate) static OWN_FILE: FileKind = FileKind {
    name: OWN,
    sections: None,
    items: &[Items { path: "destinations", keys: &destinations::KEYS }],
};

const FLAT: &str = "old since Antrea 1.13";
const TANZU: &str = "a name of Tanzu's AntreaConfig";

/// In the order of the reference and of the shipped files.
pub(crate) static KEYS: [&Key; 42] = [
    &ENABLE,
    &GATE,
    &AGENT_ENABLE,
    &NODE,
    &CLUSTER,
    &KUBERNETES,
    &KUBECONFIG,
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
    &DESTINATIONS,
    &ZONES,
    &RELIABLE,
    &SET_SYSCTLS,
    &CONNECTIONS,
    &OVS,
    &OVS_CONTROLLER,
    &OVS_TABLES,
    &NFLOG,
    &NFLOG_PREFIXES,
    &NFQUEUE,
    &NFQUEUE_VERDICT,
    &NFQUEUE_FAIL_OPEN,
    &AUDIT_LOG,
    &AUDIT_LOG_ZONE,
    &ADMIN,
    &COPY,
    &NAME_WAIT,
    &TRAFFIC_MODE,
    &POD_NETWORKS,
    &HOST_FLOWS,
    &AGENT_PORT,
    &AGENT_TOKEN,
];

const DURATION: &str = "a duration such as 5s or 1m30s";
const DURATION_OR_NONE: &str = "a duration such as 2s, or 0s";

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

pub(super) static ZONES: Key = Key {
    names: &[Name::current(OWN, "zones")],
    flag: Some("zone"),
    variable: None,
    form: "auto, antrea, or a list of numbers from 0 to 65535, antrea, and vlan:VLAN",
    default: "auto",
    doc: "Conntrack zones to record, 64 at most. antrea: those of Antrea, 65520 and 65510. \
          vlan:VLAN: those of a VLAN (0 if untagged) in Antrea's bridging mode. With any of \
          these, zone 0 is read as well, unless it is listed itself, for the addresses of clients \
          outside the cluster. auto: antrea if there is a file of the Agent, else 0.",
};

pub(super) static RELIABLE: Key = Key {
    names: &[Name::current(OWN, "reliableEvents")],
    flag: None,
    variable: None,
    form: "true or false",
    default: "false",
    doc: "Have the kernel keep what could not be told of a connection's end until it can be. What \
          it keeps counts towards nf_conntrack_max, so an exporter that is stuck could make the \
          Node refuse connections.",
};

pub(super) static SET_SYSCTLS: Key = Key {
    names: &[Name::current(OWN, "setSysctls")],
    flag: None,
    variable: None,
    form: "true or false",
    default: "false",
    doc: "Turn on net.netfilter.nf_conntrack_acct, _timestamp and _events where they are off. \
          Without, what is off is only told.",
};

pub(super) static CONNECTIONS: Key = Key {
    names: &[Name::current(OWN, "limits.connections")],
    flag: Some("max-connections"),
    variable: None,
    form: "a number from 1 to 100000000",
    default: "1000000",
    doc: "Connections kept in memory at most, 240 to 380 bytes each.",
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
    doc: "Also write every message to the collector of flowCollectorAddr into this IPFIX File \
          (RFC 5655), which replaces an old one and is created for its owner's eyes only. What \
          other destinations are sent, and what is sent over gRPC, is not written.",
};
