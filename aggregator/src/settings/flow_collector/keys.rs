//! The keys of `flowCollector`.

use config::{Key, Name};

use crate::settings::keys::{FILE, Reload, Section, TRUTH};

pub(in crate::settings) static SECTION: Section = Section {
    title: "Output: a collector of IPFIX or JSON",
    reload: Reload::Live,
    antrea: &[
        &ENABLE,
        &ADDRESS,
        &DOMAIN,
        &FORMAT,
        &TEMPLATE_REFRESH_KEY,
        &MAX_MESSAGE,
        &TLS_ENABLE,
        &CA_SECRET,
        &SERVER_NAME,
        &CLIENT_SECRET,
        &MIN_VERSION,
        &NAMES,
        &UIDS,
    ],
    ours: &[&CERTIFICATES, &PROFILE, &BIFLOW],
};

pub(in crate::settings) static ENABLE: Key = Key {
    names: &[Name::current(FILE, "flowCollector.enable")],
    form: TRUTH,
    default: "false",
    doc: "Whether records go to a collector of IPFIX or JSON.",
    ..Key::NONE
};

pub(in crate::settings) static ADDRESS: Key = Key {
    names: &[Name::current(FILE, "flowCollector.address")],
    form: "HOST[:PORT[:PROTOCOL]]",
    doc: "Where it is. The port is 4739 unless given; the protocol is tcp, udp, or tls for tcp \
          with tls.enable, and tcp unless given. A host is a name, an IPv4 address, an IPv6 \
          address in brackets, or NAMESPACE/NAME of a Service.",
    ..Key::NONE
};

pub(in crate::settings) static DOMAIN: Key = Key {
    names: &[Name::current(FILE, "flowCollector.observationDomainID")],
    form: "a number from 0 to 4294967295",
    doc: "The Observation Domain ID. Without it, a hash of the cluster's UUID.",
    ..Key::NONE
};

pub(in crate::settings) static FORMAT: Key = Key {
    names: &[Name::current(FILE, "flowCollector.recordFormat")],
    form: "IPFIX or JSON",
    default: "IPFIX",
    doc: "What records are written as.",
    ..Key::NONE
};

pub(in crate::settings) static TEMPLATE_REFRESH_KEY: Key = Key {
    names: &[Name::current(FILE, "flowCollector.templateRefreshTimeout")],
    form: "a duration such as 600s",
    default: "600s",
    doc: "How often templates are sent again over UDP. Less than 1s stands for 600s.",
    ..Key::NONE
};

pub(in crate::settings) static MAX_MESSAGE: Key = Key {
    names: &[Name::current(FILE, "flowCollector.maxIPFIXMsgSize")],
    form: "0, or a number from 512 to 65535",
    default: "0",
    doc: "The longest message, in bytes. 0: over TCP 65535, over UDP what fits into one packet on \
          the way there.",
    ..Key::NONE
};

pub(in crate::settings) static TLS_ENABLE: Key = Key {
    names: &[Name::current(FILE, "flowCollector.tls.enable")],
    form: TRUTH,
    default: "false",
    doc: "Whether records go over TLS.",
    ..Key::NONE
};

pub(in crate::settings) static CA_SECRET: Key = Key {
    names: &[Name::current(FILE, "flowCollector.tls.caSecretName")],
    form: "a text",
    doc: "If it is given, the collector's certificate must be of an authority in ca.crt in \
          certDirectory; otherwise of one that this system trusts. As in Antrea, the Secret has \
          to be mounted there.",
    ..Key::NONE
};

pub(in crate::settings) static SERVER_NAME: Key = Key {
    names: &[Name::current(FILE, "flowCollector.tls.serverName")],
    form: "a name or an address",
    doc: "The name in the collector's certificate, if it is not the host of address.",
    ..Key::NONE
};

pub(in crate::settings) static CLIENT_SECRET: Key = Key {
    names: &[Name::current(FILE, "flowCollector.tls.clientSecretName")],
    form: "a text",
    doc: "If it is given, the collector is shown the certificate tls.crt with the key tls.key in \
          certDirectory.",
    ..Key::NONE
};

pub(in crate::settings) static MIN_VERSION: Key = Key {
    names: &[Name::current(FILE, "flowCollector.tls.minVersion")],
    form: "a text: VersionTLS12 or VersionTLS13",
    doc: "The oldest TLS that is spoken, VersionTLS12 unless given.",
    ..Key::NONE
};

pub(in crate::settings) static NAMES: Key = Key {
    names: &[Name::current(FILE, "flowCollector.includeK8sNames")],
    form: TRUTH,
    default: "true",
    doc: "Whether records have names of Kubernetes objects.",
    ..Key::NONE
};

pub(in crate::settings) static UIDS: Key = Key {
    names: &[Name::current(FILE, "flowCollector.includeK8sUIDs")],
    form: TRUTH,
    default: "false",
    doc: "Whether records have their UIDs.",
    ..Key::NONE
};

pub(in crate::settings) static CERTIFICATES: Key = Key {
    names: &[Name::current(FILE, "flowCollector.certDirectory")],
    form: "a path",
    default: "/etc/flow-aggregator/certs/flow-collector",
    doc: "Where ca.crt, tls.crt and tls.key are. They are read for each connection.",
    ..Key::NONE
};

pub(in crate::settings) static PROFILE: Key = Key {
    names: &[Name::current(FILE, "flowCollector.profile")],
    form: "antrea, standard or iana",
    default: "antrea",
    doc: "Which elements are sent as IPFIX. antrea: those of Antrea's Flow Aggregator, in its \
          order. standard: those of IANA first, with milliseconds, then Antrea's. iana: those of \
          IANA alone; what comes back is a record of its own then.",
    ..Key::NONE
};

pub(in crate::settings) static BIFLOW: Key = Key {
    names: &[Name::current(FILE, "flowCollector.biflow")],
    form: TRUTH,
    default: "true",
    doc: "Whether, with the profile standard, one record tells of both directions (RFC 5103), \
          or each of its own.",
    ..Key::NONE
};
