//! Destinations besides the one of Antrea's keys: a list in `flow-exporter.conf`.
mod keys; // what each may say
mod values; // how that is read
mod print; // and written

use std::time::Duration;

use config::address::{Address, Host, Protocol};
use config::{Item, Key, Raw, Reading, Setting, Severity, Sources, read};

use super::keys::OWN;
use super::values::{path, profile, protocols, server_name};
use crate::destination::{
    Authorities, Compatibility, Filter, Identity, STATIC, Spec, Timeouts, TlsSpec, Transport,
};
use crate::filter::ProtocolFilter;
use crate::meter::MAX_DESTINATIONS;

pub(super) use keys::KEYS;
pub(super) use print::list;

/// What holds for a destination that does not say otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    pub(super) poll: Duration,
    pub(super) timeouts: Timeouts,
}

/// Those without mistakes, and whether any are listed.
pub(super) fn pick(sources: &mut Sources, common: Option<Common>) -> (Vec<Spec>, bool) {
    let mut specs: Vec<Spec> = Vec::new();
    let items = sources.take_items(OWN);
    let are_listed = !items.is_empty();
    if let Some(first) = items.get(MAX_DESTINATIONS - 1) {
        let what =
            format!("there are {MAX_DESTINATIONS} destinations at most, {STATIC} among them");
        sources.findings.note(Severity::Error, first.origin.clone(), "destinations", what);
        return (specs, are_listed);
    }
    for item in items {
        let spec = one(sources, item, common, &specs);
        specs.extend(spec);
    }
    (specs, are_listed)
}

fn one(sources: &mut Sources, item: Item, common: Option<Common>, others: &[Spec]) -> Option<Spec> {
    sources.pick_in(item, |inner| {
        let name = required(inner, &keys::NAME, |raw| values::name(raw, others));
        let address = required(inner, &keys::ADDRESS, address);
        let profile = inner.pick(&keys::PROFILE, profile)?.value;
        let compatibility = inner.pick(&keys::COMPATIBILITY, values::compatibility);
        let compatibility = compatibility.map_or(Compatibility::of(profile), |it| it.value);
        let transport = transport(inner, address.as_ref());
        let filter = filter(inner);
        let redaction = inner.pick(&keys::REDACT, values::redaction);
        let template_refresh = inner.pick(&keys::REFRESH, read::timeout);
        let timeouts = common.map(|common| timeouts(inner, common));
        Some(Spec {
            name: name?.value,
            address: address?.value,
            transport: transport?,
            filter,
            profile,
            compatibility,
            timeouts: timeouts?,
            redaction: redaction.map(|it| it.value).unwrap_or_default(),
            template_refresh: template_refresh.map_or(Spec::TEMPLATE_REFRESH, |it| it.value),
        })
    })
}

fn required<T, R: Into<Reading<T>>>(
    inner: &mut Sources,
    key: &Key,
    read: impl Fn(&Raw) -> R,
) -> Option<Setting<T>> {
    let mistakes = inner.findings.iter().count();
    let picked = inner.pick(key, read);
    if picked.is_none() && inner.findings.iter().count() == mistakes {
        let what = format!("expected {}, found nothing", key.form);
        inner.findings.note(Severity::Error, None, key.name(), what);
    }
    picked
}

fn address(raw: &Raw) -> Result<Address, String> {
    let mut address = read::address(raw)?;
    address.protocol.get_or_insert(Protocol::Tls);
    Ok(address)
}

fn transport(inner: &mut Sources, address: Option<&Setting<Address>>) -> Option<Transport> {
    let ca = inner.pick(&keys::CA, path);
    let certificate = inner.pick(&keys::CERTIFICATE, path);
    let key = inner.pick(&keys::PRIVATE_KEY, path);
    let server_name = inner.pick(&keys::SERVER_NAME, server_name);
    let min_version = inner.pick(&keys::MIN_VERSION, values::tls_version);
    let half = "a certificate and its key are given together; this one is alone";
    let mut error = |key: &Key, origin, what: &str| {
        inner.findings.note(Severity::Error, origin, key.name(), what);
    };
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Some(Identity::Files { certificate: certificate.value, key: key.value })
        }
        (Some(alone), None) => {
            error(&keys::CERTIFICATE, Some(alone.origin), half);
            return None;
        }
        (None, Some(alone)) => {
            error(&keys::PRIVATE_KEY, Some(alone.origin), half);
            return None;
        }
        (None, None) => None,
    };
    let address = address?;
    let protocol = address.value.protocol?;
    match protocol {
        Protocol::Tcp => Some(Transport::Tcp),
        Protocol::Udp => Some(Transport::Udp),
        Protocol::Tls | Protocol::Grpc => {
            let Some(ca) = ca else {
                let form = keys::CA.form;
                let what = format!("expected {form} for {}, found nothing", address.value);
                error(&keys::CA, Some(address.origin.clone()), &what);
                return None;
            };
            let host = host(&address.value);
            if server_name.is_none()
                && super::values::server_name(&Raw::Text(host.clone())).is_err()
            {
                let what = format!("no certificate can be for {host:?}; say which name it is for");
                error(&keys::SERVER_NAME, Some(address.origin.clone()), &what);
            }
            let tls = TlsSpec {
                server_name: server_name.map(|it| it.value),
                min_version: min_version.map(|it| it.value).unwrap_or_default(),
                ca: Authorities::File(ca.value),
                identity,
            };
            let is_grpc = protocol == Protocol::Grpc;
            Some(if is_grpc { Transport::Grpc(tls) } else { Transport::Tls(tls) })
        }
    }
}

fn host(address: &Address) -> String {
    match &address.host {
        Host::Named(host) => host.clone(),
        Host::Service { namespace, name } => format!("{name}.{namespace}.svc"),
    }
}

fn filter(inner: &mut Sources) -> Filter {
    let protocols = inner.pick(&keys::PROTOCOLS, protocols);
    if let Some(empty) = protocols.as_ref().filter(|it| it.value == ProtocolFilter::only(&[])) {
        let what = "the filter lets nothing through, so nothing is sent to this destination; \
                    leave the key out to send everything";
        let key = keys::PROTOCOLS.name();
        inner.findings.note(Severity::Doubt, empty.origin.clone(), key, what);
    }
    let namespaces = inner.pick(&keys::NAMESPACES, values::namespaces);
    let pod_labels = inner.pick(&keys::POD_LABELS, values::pod_labels);
    let networks = inner.pick(&keys::NETWORKS, values::networks);
    let ports = inner.pick(&keys::PORTS, values::ports);
    let directions = inner.pick(&keys::DIRECTIONS, values::directions);
    let flow_types = inner.pick(&keys::FLOW_TYPES, values::flow_types);
    let denied_only = inner.pick(&keys::DENIED_ONLY, read::truth);
    Filter {
        protocols: protocols.map(|it| it.value).unwrap_or_default(),
        namespaces: namespaces.map(|it| it.value).unwrap_or_default(),
        pod_labels: pod_labels.map(|it| it.value),
        networks: networks.map(|it| it.value).unwrap_or_default(),
        ports: ports.map(|it| it.value).unwrap_or_default(),
        directions: directions.map(|it| it.value).unwrap_or_default(),
        flow_types: flow_types.map(|it| it.value).unwrap_or_default(),
        denied_only: denied_only.is_some_and(|it| it.value),
    }
}

/// As for the destination of Antrea's keys, neither is shorter than the poll interval.
fn timeouts(inner: &mut Sources, common: Common) -> Timeouts {
    let mut timeout = |key: &Key, default| {
        let Some(mut picked) = inner.pick(key, read::duration) else { return default };
        let asked = config::duration::format(picked.value);
        if picked.raise_to(common.poll) {
            let interval = config::duration::format(common.poll);
            let what = format!("{asked} is less than flowPollInterval; it is raised to {interval}");
            inner.findings.note(Severity::Note, picked.origin, key.name(), what);
        }
        picked.value
    };
    Timeouts {
        active: timeout(&keys::ACTIVE, common.timeouts.active),
        idle: timeout(&keys::IDLE, common.timeouts.idle),
    }
}

#[cfg(test)]
mod tests;
