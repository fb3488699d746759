//! Every setting, described once. Readers, the shipped files and `docs/config-exporter.md` follow
//! from here.

use config::{FileKind, Items, Key, Name};

use super::destinations;

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

pub(super) static CLUSTER: Key = Key {
    names: &[Name::current(OWN, "clusterFile")],
    flag: Some("cluster"),
    variable: None,
    form: "a path",
    default: "",
    doc: "Cluster file: Nodes, Pods and Services in YAML. Without one the API server is asked.",
};

/// The environment variable by which a Pod knows where the API server is.
pub(crate) const POD: &str = "KUBERNETES_SERVICE_HOST";

pub(super) static KUBERNETES: Key = Key {
    names: &[Name::current(OWN, "kubernetes")],
    flag: None,
    variable: None,
    form: "auto or off",
    default: "auto",
    doc: "Whether the API server is asked. auto: if kubeconfig names a file, as that says; else \
          inside of a Pod, as its service account; else not. off: never.",
};

pub(super) static KUBECONFIG: Key = Key {
    names: &[Name::current(OWN, "kubeconfig")],
    flag: Some("kubeconfig"),
    variable: None,
    form: "a path",
    default: "",
    doc: "How to reach the API server; the file's current context counts. A Pod needs none.",
};

pub(super) static NAME_WAIT: Key = Key {
    names: &[Name::current(OWN, "nameWait")],
    flag: None,
    variable: None,
    form: DURATION_OR_NONE,
    default: "5s",
    doc: "A connection that has ended waits this long at most if its names are only a matter of \
          time, and never longer than activeFlowExportTimeout. Who had an address is certain 2 s \
          to 5 s after the fact. While any waits, the API server is asked about once a second how \
          far it is. 0s: none waits, and short connections mostly have no names.",
};

pub(super) static TRAFFIC_MODE: Key = Key {
    names: &[Name::current(OWN, "trafficEncapMode"), Name::current(AGENT, "trafficEncapMode")],
    flag: None,
    variable: None,
    form: "encap, noEncap, hybrid or networkPolicyOnly",
    default: "encap",
    doc: "How Antrea moves traffic between Nodes. With networkPolicyOnly the cloud gives Pods \
          their addresses, so give it podNetworks too: without, whatever is not this Node's Pod \
          counts as another Node's.",
};

pub(super) static POD_NETWORKS: Key = Key {
    names: &[Name::current(OWN, "podNetworks")],
    flag: None,
    variable: None,
    form: "a list of networks such as 10.20.0.0/16",
    default: "",
    doc: "Networks of Pods beside those of Nodes (podCIDRs), 64 at most: those of AntreaIPAM's \
          pools, or of the cloud.",
};

pub(super) static HOST_FLOWS: Key = Key {
    names: &[Name::current(OWN, "hostFlows")],
    flag: None,
    variable: None,
    form: "true or false",
    default: "false",
    doc: "Whether connections from this Node itself to its own Pods, such as the kubelet's \
          probes, are recorded. Antrea 2.7 records them as between Nodes, and so does true.",
};

pub(super) static AGENT_PORT: Key = Key {
    names: &[Name::current(OWN, "antreaAgent.apiPort"), Name::current(AGENT, "apiPort")],
    flag: None,
    variable: None,
    form: "a port",
    default: "10350",
    doc: "Port of the Antrea Agent's own API on this host's loopback address, which tells the \
          names of policies.",
};

pub(super) static AGENT_TOKEN: Key = Key {
    names: &[Name::current(OWN, "antreaAgent.tokenFile")],
    flag: None,
    variable: None,
    form: "a path",
    default: "/var/run/antrea/apiserver/loopback-client-token",
    doc: "The token for it, which the Agent writes when it starts. Without this file no policy has \
          a name.",
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
          NAMESPACE/NAME of a Service, which the API server is asked for, or without one DNS, as \
          NAME.NAMESPACE.svc. The port is 4739 \
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
          of the ConfigMap flow-aggregator-ca. Read every 10 s. Without one, if the API server \
          is asked, that ConfigMap in the Namespace flow-aggregator is read itself, and unless \
          certFile is given the Secret flow-aggregator-client-tls there.",
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

pub(super) static DESTINATIONS: Key = Key {
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
    doc: "Connections kept in memory at most, about 350 bytes each.",
};

pub(super) static OVS: Key = Key {
    names: &[Name::current(OWN, "denySources.ovs")],
    flag: None,
    variable: None,
    form: "the name of a bridge, or the path of its management socket",
    default: "",
    doc: "The bridge of the Antrea Agent, such as br-int, whose denied packets are watched over OpenFlow. Nothing is changed there. The Agent needs its feature gate FlowExporter on, and flowExporter.enable false.",
};

pub(super) static OVS_CONTROLLER: Key = Key {
    names: &[Name::current(OWN, "denySources.ovsController")],
    flag: None,
    variable: None,
    form: "a number from 0 to 65535",
    default: "",
    doc: "The number of the controller that the Agent's flows name; without it, it is looked up.",
};

pub(super) static OVS_TABLES: Key = Key {
    names: &[Name::current(OWN, "denySources.ovsTables")],
    flag: None,
    variable: None,
    form: "a list such as IngressDefaultRule=35",
    default: "",
    doc: "Names of flow tables and their numbers, as antctl get ovsflows shows them, where the bridge does not know them by name.",
};

pub(super) static NFLOG: Key = Key {
    names: &[Name::current(OWN, "denySources.nflog")],
    flag: None,
    variable: None,
    form: "a list of numbers from 0 to 65535",
    default: "",
    doc: "Groups of netfilter's log (nft log group N, iptables -j NFLOG --nflog-group N) that get denied packets and no others, 16 at most. The rule that logs a packet does not deny it; the next one does.",
};

pub(super) static NFLOG_PREFIXES: Key = Key {
    names: &[Name::current(OWN, "denySources.nflogPrefixes")],
    flag: None,
    variable: None,
    form: "a list of rules such as np-drop=drop,ingress,NAMESPACE/POLICY",
    default: "",
    doc: "What a log rule's prefix means: PREFIX=drop or reject, then a direction (ingress, egress), then NAMESPACE/POLICY/RULE, of which the end may be missing; - in the place of a policy is the isolation by K8s policies; PREFIX=ignore passes packets over. The first that fits counts. A prefix of the form NAMESPACE/POLICY:ingress:drop needs no rule.",
};

pub(super) static NFQUEUE: Key = Key {
    names: &[Name::current(OWN, "denySources.nfqueue")],
    flag: None,
    variable: None,
    form: "a list of numbers from 0 to 65535",
    default: "",
    doc: "Netfilter queues (iptables -j NFQUEUE, nft queue) that get denied packets, 16 at most. Give the rules bypass (--queue-bypass) if packets are to pass while this process does not run; without it they are dropped then.",
};

pub(super) static NFQUEUE_VERDICT: Key = Key {
    names: &[Name::current(OWN, "denySources.nfqueueVerdict")],
    flag: None,
    variable: None,
    form: "drop, accept or repeat",
    default: "drop",
    doc: "What becomes of a packet that was queued.",
};

pub(super) static NFQUEUE_FAIL_OPEN: Key = Key {
    names: &[Name::current(OWN, "denySources.nfqueueFailOpen")],
    flag: None,
    variable: None,
    form: "true or false",
    default: "false",
    doc: "Let packets pass for which a queue has no room. Otherwise they are dropped, and counted.",
};

pub(super) static AUDIT_LOG: Key = Key {
    names: &[Name::current(OWN, "denySources.auditLog")],
    flag: None,
    variable: None,
    form: "a path",
    default: "",
    doc: "The Antrea Agent's log of policies, /var/log/antrea/networkpolicy/np.log, followed from its end. It has rules with logging on only.",
};

pub(super) static AUDIT_LOG_ZONE: Key = Key {
    names: &[Name::current(OWN, "denySources.auditLogTimeZone")],
    flag: None,
    variable: None,
    form: "the name of a time zone",
    default: "",
    doc: "The time zone of the Agent's container, such as Europe/Berlin; without it that of this machine.",
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
