//! Where names come from.

use config::{Key, Name};

use super::{AGENT, DURATION_OR_NONE, OWN};

pub(in super::super) static CLUSTER: Key = Key {
    names: &[Name::current(OWN, "clusterFile")],
    flag: Some("cluster"),
    variable: None,
    form: "a path",
    default: "",
    doc: "Cluster file: Nodes, Pods and Services in YAML. Without one the API server is asked.",
};

/// The environment variable by which a Pod knows where the API server is.
pub(crate) const POD: &str = "KUBERNETES_SERVICE_HOST";

pub(in super::super) static KUBERNETES: Key = Key {
    names: &[Name::current(OWN, "kubernetes")],
    flag: None,
    variable: None,
    form: "auto or off",
    default: "auto",
    doc: "Whether the API server is asked. auto: if kubeconfig names a file, as that says; else \
          inside of a Pod, as its service account; else not. off: never.",
};

pub(in super::super) static KUBECONFIG: Key = Key {
    names: &[Name::current(OWN, "kubeconfig")],
    flag: Some("kubeconfig"),
    variable: None,
    form: "a path",
    default: "",
    doc: "How to reach the API server; the file's current context counts. A Pod needs none.",
};

pub(in super::super) static NAME_WAIT: Key = Key {
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

pub(in super::super) static TRAFFIC_MODE: Key = Key {
    names: &[Name::current(OWN, "trafficEncapMode"), Name::current(AGENT, "trafficEncapMode")],
    flag: None,
    variable: None,
    form: "encap, noEncap, hybrid or networkPolicyOnly",
    default: "encap",
    doc: "How Antrea moves traffic between Nodes. With networkPolicyOnly the cloud gives Pods \
          their addresses, so give it podNetworks too: without, whatever is not this Node's Pod \
          counts as another Node's.",
};

pub(in super::super) static POD_NETWORKS: Key = Key {
    names: &[Name::current(OWN, "podNetworks")],
    flag: None,
    variable: None,
    form: "a list of networks such as 10.20.0.0/16",
    default: "",
    doc: "Networks of Pods beside those of Nodes (podCIDRs), 64 at most: those of AntreaIPAM's \
          pools, or of the cloud.",
};

pub(in super::super) static HOST_FLOWS: Key = Key {
    names: &[Name::current(OWN, "hostFlows")],
    flag: None,
    variable: None,
    form: "true or false",
    default: "false",
    doc: "Whether connections from this Node itself to its own Pods, such as the kubelet's \
          probes, are recorded. Antrea 2.7 records them as between Nodes, and so does true.",
};

pub(in super::super) static AGENT_PORT: Key = Key {
    names: &[Name::current(OWN, "antreaAgent.apiPort"), Name::current(AGENT, "apiPort")],
    flag: None,
    variable: None,
    form: "a port",
    default: "10350",
    doc: "Port of the Antrea Agent's own API on this host's loopback address, which tells the \
          names of policies.",
};

pub(in super::super) static AGENT_TOKEN: Key = Key {
    names: &[Name::current(OWN, "antreaAgent.tokenFile")],
    flag: None,
    variable: None,
    form: "a path",
    default: "/var/run/antrea/apiserver/loopback-client-token",
    doc: "The token for it, which the Agent writes when it starts. Without this file no policy has \
          a name.",
};
