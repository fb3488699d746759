//! Where denied packets are heard of.

use config::{Key, Name};

use super::OWN;

pub(in super::super) static OVS: Key = Key {
    names: &[Name::current(OWN, "denySources.ovs")],
    flag: None,
    variable: None,
    form: "the name of a bridge, or the path of its management socket",
    default: "",
    doc: "The bridge of the Antrea Agent, such as br-int, whose denied packets are watched over OpenFlow. Nothing is changed there. The Agent needs its feature gate FlowExporter on, and flowExporter.enable false.",
};

pub(in super::super) static OVS_CONTROLLER: Key = Key {
    names: &[Name::current(OWN, "denySources.ovsController")],
    flag: None,
    variable: None,
    form: "a number from 0 to 65535",
    default: "",
    doc: "The number of the controller that the Agent's flows name; without it, it is looked up.",
};

pub(in super::super) static OVS_TABLES: Key = Key {
    names: &[Name::current(OWN, "denySources.ovsTables")],
    flag: None,
    variable: None,
    form: "a list such as IngressDefaultRule=35",
    default: "",
    doc: "Names of flow tables and their numbers, as antctl get ovsflows shows them, where the bridge does not know them by name.",
};

pub(in super::super) static NFLOG: Key = Key {
    names: &[Name::current(OWN, "denySources.nflog")],
    flag: None,
    variable: None,
    form: "a list of numbers from 0 to 65535",
    default: "",
    doc: "Groups of netfilter's log (nft log group N, iptables -j NFLOG --nflog-group N) that get denied packets and no others, 16 at most. The rule that logs a packet does not deny it; the next one does.",
};

pub(in super::super) static NFLOG_PREFIXES: Key = Key {
    names: &[Name::current(OWN, "denySources.nflogPrefixes")],
    flag: None,
    variable: None,
    form: "a list of rules such as np-drop=drop,ingress,NAMESPACE/POLICY",
    default: "",
    doc: "What a log rule's prefix means: PREFIX=drop or reject, then a direction (ingress, egress), then NAMESPACE/POLICY/RULE, of which the end may be missing; - in the place of a policy is the isolation by K8s policies; PREFIX=ignore passes packets over. The first that fits counts. A prefix of the form NAMESPACE/POLICY:ingress:drop needs no rule.",
};

pub(in super::super) static NFQUEUE: Key = Key {
    names: &[Name::current(OWN, "denySources.nfqueue")],
    flag: None,
    variable: None,
    form: "a list of numbers from 0 to 65535",
    default: "",
    doc: "Netfilter queues (iptables -j NFQUEUE, nft queue) that get denied packets, 16 at most. Give the rules bypass (--queue-bypass) if packets are to pass while this process does not run; without it they are dropped then.",
};

pub(in super::super) static NFQUEUE_VERDICT: Key = Key {
    names: &[Name::current(OWN, "denySources.nfqueueVerdict")],
    flag: None,
    variable: None,
    form: "drop, accept or repeat",
    default: "drop",
    doc: "What becomes of a packet that was queued.",
};

pub(in super::super) static NFQUEUE_FAIL_OPEN: Key = Key {
    names: &[Name::current(OWN, "denySources.nfqueueFailOpen")],
    flag: None,
    variable: None,
    form: "true or false",
    default: "false",
    doc: "Let packets pass for which a queue has no room. Otherwise they are dropped, and counted.",
};

pub(in super::super) static AUDIT_LOG: Key = Key {
    names: &[Name::current(OWN, "denySources.auditLog")],
    flag: None,
    variable: None,
    form: "a path",
    default: "",
    doc: "The Antrea Agent's log of policies, /var/log/antrea/networkpolicy/np.log, followed from its end. It has rules with logging on only.",
};

pub(in super::super) static AUDIT_LOG_ZONE: Key = Key {
    names: &[Name::current(OWN, "denySources.auditLogTimeZone")],
    flag: None,
    variable: None,
    form: "the name of a time zone",
    default: "",
    doc: "The time zone of the Agent's container, such as Europe/Berlin; without it that of this machine.",
};
