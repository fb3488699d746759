//! The keys of where records come from.

use config::{Key, Name};

use crate::settings::keys::{DURATION, FILE, Reload, Section};

pub(in crate::settings) static SECTION: Section = Section {
    title: "Collecting",
    reload: Reload::Restart,
    antrea: &[&TRANSPORT, &SERVER_ADDRESS],
    ours: &[
        &IPFIX,
        &GRPC,
        &MORE,
        &NETFLOW,
        &CLAIMS,
        &SILENT,
        &CERTIFICATE,
        &PRIVATE_KEY,
        &CLIENT_CA,
        &KEY_TYPE,
        &CHECK_INTERVAL,
    ],
};

pub(in crate::settings) static TRANSPORT: Key = Key {
    names: &[Name::current(FILE, "aggregatorTransportProtocol")],
    form: "tls, tcp, udp or none",
    default: "tls",
    doc: "What carries IPFIX to listen.ipfix: tls, tcp or udp. none: nothing does. Without a file, \
          tcp.",
    ..Key::NONE
};

pub(in crate::settings) static SERVER_ADDRESS: Key = Key {
    names: &[Name::current(FILE, "flowAggregatorAddress")],
    form: "a name or an address",
    doc: "A name or an address by which exporters outside of the cluster reach this aggregator. \
          It becomes one of those in its certificate.",
    ..Key::NONE
};

pub(in crate::settings) static IPFIX: Key = Key {
    names: &[Name::current(FILE, "listen.ipfix")],
    flag: Some("listen"),
    form: "ADDRESS:PORT",
    default: "[::]:4739",
    doc: "Where IPFIX is taken, over aggregatorTransportProtocol.",
    ..Key::NONE
};

pub(in crate::settings) static GRPC: Key = Key {
    names: &[Name::current(FILE, "listen.grpc")],
    flag: Some("grpc-listen"),
    form: "ADDRESS:PORT, or off",
    default: "[::]:14739",
    doc: "Where flows over gRPC are taken, as Antrea's Agents send them, always over TLS. Without \
          a file, nowhere.",
    ..Key::NONE
};

pub(in crate::settings) static MORE: Key = Key {
    names: &[Name::current(FILE, "listen.more")],
    form: "a list of ADDRESS:PORT:PROTOCOL",
    doc: "Where else IPFIX is taken, such as [\"[::]:4739:udp\"] beside TLS: over tls, tcp or udp, \
          at 16 places at most.",
    ..Key::NONE
};

pub(in crate::settings) static NETFLOW: Key = Key {
    names: &[Name::current(FILE, "listen.netflow")],
    form: "a list of ADDRESS:PORT",
    doc: "Where NetFlow is taken, over UDP, such as [\"[::]:2055\"]; at 16 places at most.",
    ..Key::NONE
};

pub(in crate::settings) static CLAIMS: Key = Key {
    names: &[Name::current(FILE, "listen.claims")],
    form: "count or refuse",
    default: "count",
    doc: "What becomes of records whose session may not speak for the Node they name, by the \
          address it comes from. count: they are counted and taken. refuse: they are counted and \
          dropped, and so is what comes from elsewhere than from Nodes. Which Nodes there are is \
          known from the API server, or from clusterFile.",
    ..Key::NONE
};

pub(in crate::settings) static SILENT: Key = Key {
    names: &[Name::current(FILE, "listen.silentAfter")],
    form: DURATION,
    default: "5m",
    doc: "A Node of the cluster that tells nothing for so long counts as silent.",
    ..Key::NONE
};

pub(in crate::settings) static CERTIFICATE: Key = Key {
    names: &[Name::current(FILE, "tls.certFile")],
    flag: Some("tls-certificate"),
    form: "a path",
    doc: "The PEM file of the certificate that this aggregator shows. Read every 10 s. Without \
          one it makes its own, as Antrea's does: with a CA in the Secret flow-aggregator-ca-tls, \
          which the ConfigMap flow-aggregator-ca tells exporters of, and a pair for them in the \
          Secret flow-aggregator-client-tls.",
    ..Key::NONE
};

pub(in crate::settings) static PRIVATE_KEY: Key = Key {
    names: &[Name::current(FILE, "tls.keyFile")],
    flag: Some("tls-key"),
    form: "a path",
    doc: "The PEM file of that certificate's key.",
    ..Key::NONE
};

pub(in crate::settings) static CLIENT_CA: Key = Key {
    names: &[Name::current(FILE, "tls.clientCAFile")],
    flag: Some("tls-client-ca"),
    form: "a path",
    doc: "The PEM file of the authorities that exporters' certificates must be of. With certFile \
          and without this everybody may send; without certFile these are let in beside those \
          whose certificates are of this aggregator's own CA.",
    ..Key::NONE
};

pub(in crate::settings) static KEY_TYPE: Key = Key {
    names: &[Name::current(FILE, "tls.keyType")],
    form: "rsa or ecdsa",
    default: "rsa",
    doc: "The keys that this aggregator makes: rsa for RSA with 2048 bits, ecdsa for P-256.",
    ..Key::NONE
};

pub(in crate::settings) static CHECK_INTERVAL: Key = Key {
    names: &[Name::current(FILE, "tls.checkInterval")],
    form: DURATION,
    default: "1m",
    doc: "How often the Secrets and the ConfigMap with these are looked at, and set right: what is \
          due is made anew, and served from then on.",
    ..Key::NONE
};
