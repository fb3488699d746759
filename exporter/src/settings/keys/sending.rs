//! What is told, how often, and to whom.

use config::{Key, Name};

use super::{AGENT, DURATION, FLAT, OWN, TANZU};

pub(in super::super) static COLLECTOR: Key = Key {
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
          NAMESPACE/NAME of a Service, which the API server is asked for, or without one DNS, as \
          NAME.NAMESPACE.svc. The port is 4739 \
          unless given. The protocol is tcp, udp or tls for IPFIX, or grpc, which is always over \
          TLS; in files tls unless given, on the command line tcp.",
};

pub(in super::super) static WITH_TLS: Key = Key {
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

pub(in super::super) static CA: Key = Key {
    names: &[Name::current(OWN, "tls.caFile")],
    flag: None,
    variable: None,
    form: "a path",
    default: "",
    doc: "For tls and grpc, the PEM file of the authorities a collector's certificate may be from: ca.crt \
          of the ConfigMap flow-aggregator-ca. Read every 10 s. Without one, if the API server \
          is asked, that ConfigMap in the Namespace flow-aggregator is read itself, and unless \
          certFile is given the Secret flow-aggregator-client-tls there.",
};

pub(in super::super) static CERTIFICATE: Key = Key {
    names: &[Name::current(OWN, "tls.certFile")],
    flag: None,
    variable: None,
    form: "a path",
    default: "",
    doc: "For tls and grpc, the PEM file of the certificate this exporter shows: tls.crt of the Secret \
          flow-aggregator-client-tls. Without one it shows none.",
};

pub(in super::super) static PRIVATE_KEY: Key = Key {
    names: &[Name::current(OWN, "tls.keyFile")],
    flag: None,
    variable: None,
    form: "a path",
    default: "",
    doc: "The PEM file of that certificate's key.",
};

pub(in super::super) static SERVER_NAME: Key = Key {
    names: &[Name::current(OWN, "tls.serverName")],
    flag: None,
    variable: None,
    form: "a name or an address",
    default: "",
    doc: "The name in the collector's certificate, if it is not the host of flowCollectorAddr.",
};

pub(in super::super) static POLL: Key = Key {
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

pub(in super::super) static ACTIVE: Key = Key {
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

pub(in super::super) static FREQUENCY: Key = Key {
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

pub(in super::super) static IDLE: Key = Key {
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

pub(in super::super) static PROTOCOLS: Key = Key {
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

pub(in super::super) static PROFILE: Key = Key {
    names: &[Name::current(OWN, "profile")],
    flag: Some("profile"),
    variable: None,
    form: "antrea or fyke",
    default: "antrea",
    doc: "Elements to send. antrea: Antrea's 43, one record per message, for any Antrea Flow \
          Aggregator. fyke: those and what keeps two connections apart.",
};

pub(in super::super) static DESTINATIONS: Key = Key {
    names: &[Name::current(OWN, "destinations")],
    flag: None,
    variable: None,
    form: "a list of destinations",
    default: "",
    doc: "More destinations, each a section with keys of its own, which docs/config-exporter.md \
          lists; at most 16 in all. Each is told every connection that its filter lets through, at \
          its own pace. The collector of flowCollectorAddr is one more, called static; where \
          destinations are listed here it is one only if its address is given.",
};
