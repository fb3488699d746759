//! Destinations as `flow-exporter.conf` has them, in one line.

use std::fmt::Display;
use std::path::Path;

use config::address::{Address, Protocol};
use config::duration::format as duration;
use config::write::text;

use super::super::print::protocols;
use super::super::values::profile_word;
use super::values::compatibility_word;
use crate::destination::{Authorities, Directions, Filter, Identity, Spec, TlsSpec, Transport};
use crate::filter::ProtocolFilter;

/// All of them, as a value.
pub(in super::super) fn list(specs: &[Spec]) -> String {
    if specs.is_empty() {
        return "null".to_owned();
    }
    let specs: Vec<_> = specs.iter().map(one).collect();
    format!("[{}]", specs.join(", "))
}

fn one(spec: &Spec) -> String {
    let (protocol, tls) = match &spec.transport {
        Transport::Tcp => (Protocol::Tcp, None),
        Transport::Udp => (Protocol::Udp, None),
        Transport::Tls(tls) => (Protocol::Tls, Some(tls)),
        Transport::Grpc(tls) => (Protocol::Grpc, Some(tls)),
    };
    let address = Address { protocol: Some(protocol), ..spec.address.clone() };
    let mut pairs = vec![
        ("name", text(&spec.name)),
        ("address", text(&address.to_string())),
        ("profile", profile_word(spec.profile).to_owned()),
        ("compatibility", compatibility_word(spec.compatibility).to_owned()),
        ("activeFlowExportTimeout", duration(spec.timeouts.active)),
        ("idleFlowExportTimeout", duration(spec.timeouts.idle)),
        ("templateRefresh", duration(spec.template_refresh)),
    ];
    pairs.extend(tls.map(|it| ("tls", section(&tls_pairs(it)))));
    if spec.filter.protocols != ProtocolFilter::ALL {
        pairs.push(("protocolFilter", protocols(Some(&spec.filter.protocols))));
    }
    let filter = filter_pairs(&spec.filter);
    if !filter.is_empty() {
        pairs.push(("filter", section(&filter)));
    }
    if !spec.redaction.is_empty() {
        pairs.push(("redact", texts(spec.redaction.names())));
    }
    section(&pairs)
}

fn tls_pairs(tls: &TlsSpec) -> Vec<(&'static str, String)> {
    let path = |path: &Path| text(&path.to_string_lossy());
    let mut pairs = vec![("minTLSVersion", tls.min_version.word().to_owned())];
    if let Authorities::File(ca) = &tls.ca {
        pairs.push(("caFile", path(ca)));
    }
    if let Some(Identity::Files { certificate, key }) = &tls.identity {
        pairs.extend([("certFile", path(certificate)), ("keyFile", path(key))]);
    }
    pairs.extend(tls.server_name.as_ref().map(|name| ("serverName", text(name))));
    pairs
}

fn filter_pairs(filter: &Filter) -> Vec<(&'static str, String)> {
    let Filter { namespaces, pod_labels, networks, ports, directions, flow_types, .. } = filter;
    let mut pairs = Vec::new();
    let mut add = |key, is_asked: bool, value: String| {
        if is_asked {
            pairs.push((key, value));
        }
    };
    add("namespaces", !namespaces.is_empty(), texts(namespaces));
    let selector = pod_labels.as_ref().map(ToString::to_string);
    add("podLabels", selector.is_some(), text(&selector.unwrap_or_default()));
    add("networks", !networks.is_empty(), texts(networks));
    add("ports", !ports.is_empty(), texts(ports));
    let Directions { ingress, egress } = *directions;
    let words = [("ingress", ingress), ("egress", egress)];
    let words: Vec<_> = words.into_iter().filter(|(_, is_asked)| *is_asked).collect();
    let words: Vec<_> = words.into_iter().map(|(word, _)| word).collect();
    add("directions", *directions != Directions::default(), texts(&words));
    let types: Vec<_> = flow_types.iter().map(|it| it.name()).collect();
    add("flowTypes", !types.is_empty(), texts(&types));
    add("deniedOnly", filter.denied_only, "true".to_owned());
    pairs
}

fn section(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn texts<T: Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(|item| text(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}
