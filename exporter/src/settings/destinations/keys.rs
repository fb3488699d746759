//! What a destination in the list may say.

use config::{Key, Name};

use super::super::keys::OWN;

/// In the order of the reference.
pub(in super::super) static KEYS: [&Key; 21] = [
    &NAME,
    &ADDRESS,
    &CA,
    &CERTIFICATE,
    &PRIVATE_KEY,
    &SERVER_NAME,
    &MIN_VERSION,
    &PROFILE,
    &COMPATIBILITY,
    &PROTOCOLS,
    &NAMESPACES,
    &POD_LABELS,
    &NETWORKS,
    &PORTS,
    &DIRECTIONS,
    &FLOW_TYPES,
    &DENIED_ONLY,
    &REDACT,
    &ACTIVE,
    &IDLE,
    &REFRESH,
];

const fn key(
    names: &'static [Name],
    form: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { names, flag: None, variable: None, form, default, doc }
}

const DURATION: &str = "a duration such as 5s or 1m30s";

pub(super) static NAME: Key = key(
    &[Name::current(OWN, "name")],
    "a name of small letters, digits, - and ., of 63 characters at most, not static",
    "",
    "What logs and metrics call it. A destination that keeps its name keeps its place when \
     anything else of it changes: it is told nothing twice.",
);

pub(super) static ADDRESS: Key = key(
    &[Name::current(OWN, "address")],
    "HOST[:PORT[:PROTOCOL]]",
    "",
    "Where it is, as in flowCollectorAddr. The protocol is tcp, udp, tls or grpc, and tls unless given.",
);

pub(super) static CA: Key = key(
    &[Name::current(OWN, "tls.caFile")],
    "a path",
    "",
    "For tls, the PEM file of the authorities its certificate may be from. Read anew for each \
     session.",
);

pub(super) static CERTIFICATE: Key = key(
    &[Name::current(OWN, "tls.certFile")],
    "a path",
    "",
    "For tls, the PEM file of the certificate this exporter shows. Without one it shows none.",
);

pub(super) static PRIVATE_KEY: Key = key(
    &[Name::current(OWN, "tls.keyFile")],
    "a path",
    "",
    "The PEM file of that certificate's key.",
);

pub(super) static SERVER_NAME: Key = key(
    &[Name::current(OWN, "tls.serverName")],
    "a name or an address",
    "",
    "The name in its certificate, if it is not the host of its address.",
);

pub(super) static MIN_VERSION: Key = key(
    &[Name::current(OWN, "tls.minTLSVersion")],
    "VersionTLS12 or VersionTLS13",
    "VersionTLS12",
    "The oldest TLS that is spoken.",
);

pub(super) static PROFILE: Key = key(
    &[Name::current(OWN, "profile")],
    "antrea or fyke",
    "antrea",
    "Elements to send, as in the key profile of the exporter.",
);

pub(super) static COMPATIBILITY: Key = key(
    &[Name::current(OWN, "compatibility")],
    "antrea or ipfix",
    "",
    "antrea: one record per message, as Antrea's Flow Aggregator needs it, and as its exporter \
     has it: an idle connection is told once more with deltas of 0, and a denied one has always \
     ended. ipfix: as many records as a message holds. Without the key, what goes with the \
     profile: antrea with antrea, ipfix with fyke.",
);

pub(super) static PROTOCOLS: Key = key(
    &[Name::current(OWN, "protocolFilter")],
    "a list of tcp, udp, sctp",
    "",
    "Send connections of these protocols only. Without the key all are sent, with an empty list \
     none is.",
);

pub(super) static NAMESPACES: Key = key(
    &[Name::current(OWN, "filter.namespaces")],
    "a list of namespaces",
    "",
    "Send connections of which one end is a Pod of this Node in one of these.",
);

pub(super) static POD_LABELS: Key = key(
    &[Name::current(OWN, "filter.podLabels")],
    "a label selector such as app=web,tier in (front,back)",
    "",
    "Send connections of which one end is a Pod of this Node with such labels. A Pod that is not \
     known for certain, or with 32 labels or more, is none. Without > and <; in quotes if it \
     begins with an exclamation mark.",
);

pub(super) static NETWORKS: Key = key(
    &[Name::current(OWN, "filter.networks")],
    "a list of networks such as 10.0.0.0/8",
    "",
    "Send connections of which one end's address, or the Service's, is in one of these.",
);

pub(super) static PORTS: Key = key(
    &[Name::current(OWN, "filter.ports")],
    "a list of numbers from 1 to 65535",
    "",
    "Send connections to one of these ports, of a Service or of what is behind it.",
);

pub(super) static DIRECTIONS: Key = key(
    &[Name::current(OWN, "filter.directions")],
    "a list of ingress, egress",
    "",
    "Send connections to Pods of this Node (ingress), or from them (egress).",
);

pub(super) static FLOW_TYPES: Key = key(
    &[Name::current(OWN, "filter.flowTypes")],
    "a list of intra-node, inter-node, to-external, from-external",
    "",
    "Send connections of these types.",
);

pub(super) static DENIED_ONLY: Key = key(
    &[Name::current(OWN, "filter.deniedOnly")],
    "true or false",
    "false",
    "Send only what a NetworkPolicy has dropped or rejected.",
);

pub(super) static REDACT: Key = key(
    &[Name::current(OWN, "redact")],
    "a list of attributes, such as sourcePodName",
    "",
    "Attributes it is not told: they are sent as if unset. Names are those of the elements, \
     sourceIP, destinationIP, destinationClusterIP, destinationServiceIP and proxySnatIP for \
     addresses of either family.",
);

pub(super) static ACTIVE: Key = key(
    &[Name::current(OWN, "activeFlowExportTimeout")],
    DURATION,
    "",
    "As activeFlowExportTimeout of the exporter, which holds without this key.",
);

pub(super) static IDLE: Key = key(
    &[Name::current(OWN, "idleFlowExportTimeout")],
    DURATION,
    "",
    "As idleFlowExportTimeout of the exporter, which holds without this key.",
);

pub(super) static REFRESH: Key = key(
    &[Name::current(OWN, "templateRefresh")],
    "a duration of 1s or more, such as 5s or 1m30s",
    "1m0s",
    "Over udp, send Templates this often, and after 1,000 messages.",
);
