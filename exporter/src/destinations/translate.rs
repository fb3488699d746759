//! A resource becomes a destination, or is refused with the reason why.

use std::time::Duration;

use config::address::{self, Host};
use flow::{Profile, protocol};
use rustls::pki_types::ServerName;
use serde::Deserialize;

use super::crd::{self, FilterProtocol, FlowExporterDestinationSpec, ObjectReference};
use crate::destination::{
    Authorities, CUSTOM_RESOURCE, Compatibility, Filter, Identity, ObjectName, Redaction, Spec,
    Timeouts, TlsSpec, TlsVersion, Transport,
};
use crate::filter::ProtocolFilter;

/// The longest names that Kubernetes gives: of a namespace, of an object.
const LABEL: usize = 63;
const NAME: usize = 253;

/// What a resource says nothing of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    pub profile: Profile,
    pub compatibility: Compatibility,
    pub redaction: Redaction,
    pub template_refresh: Duration,
    /// Resources that run at the same time, at most.
    pub room: usize,
}

/// Why a resource is refused. What it said before, if that was good, stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it cannot be read: {0}")]
    Malformed(String),
    #[error("spec.address: {0}")]
    Address(String),
    #[error("spec.tlsConfig is missing, which {0} needs")]
    NoTls(&'static str),
    #[error(
        "spec.tlsConfig is given, but transport {0} is not encrypted; say tls, or leave it out"
    )]
    TlsUnused(&'static str),
    #[error("no certificate can be for {0:?}; say spec.tlsConfig.serverName")]
    ServerName(String),
    #[error("spec.tlsConfig.{0} is not namespace and name of an object")]
    ObjectName(&'static str),
    #[error("spec.{0} is not 1 or more")]
    Timeout(&'static str),
    #[error("there are {0} older ones, which is as many as run")]
    TooMany(usize),
}

impl Refusal {
    pub const REASONS: [&str; 8] = [
        "malformed",
        "address",
        "no_tls",
        "tls_unused",
        "server_name",
        "object_name",
        "timeout",
        "too_many",
    ];

    /// As a metric's label.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Address(_) => "address",
            Self::NoTls(_) => "no_tls",
            Self::TlsUnused(_) => "tls_unused",
            Self::ServerName(_) => "server_name",
            Self::ObjectName(_) => "object_name",
            Self::Timeout(_) => "timeout",
            Self::TooMany(_) => "too_many",
        }
    }
}

/// As much of an object as is read here: the watch knows its name.
#[derive(Deserialize)]
struct Whole {
    spec: FlowExporterDestinationSpec,
}

/// Reads a resource out of what the API server sent. Its schema may be of another version than
/// ours, or have been checked by nobody.
pub(super) fn read(name: &str, json: &str, defaults: &Defaults) -> Result<Spec, Refusal> {
    let Whole { spec } = serde_json::from_str(json).map_err(|error| {
        // What is quoted there may be anything.
        let mut why = error.to_string().replace(char::is_control, " ");
        why.truncate(why.floor_char_boundary(300));
        Refusal::Malformed(why)
    })?;
    let Defaults { profile, compatibility, redaction, template_refresh, .. } = defaults.clone();
    let (active, idle) =
        (spec.active_flow_export_timeout_seconds, spec.idle_flow_export_timeout_seconds);
    let spec = Spec {
        name: format!("{CUSTOM_RESOURCE}{name}"),
        address: address(&spec.address)?,
        transport: transport(&spec)?,
        filter: Filter { protocols: protocols(&spec), ..Filter::default() },
        profile,
        compatibility,
        timeouts: Timeouts {
            active: seconds(active, "activeFlowExportTimeoutSeconds")?,
            idle: seconds(idle, "idleFlowExportTimeoutSeconds")?,
        },
        redaction,
        template_refresh,
    };
    check_server_name(&spec)?;
    Ok(spec)
}

/// `HOST:PORT`; both are needed, and what is spoken there is said elsewhere.
fn address(text: &str) -> Result<address::Address, Refusal> {
    let refused = |why: &str| Refusal::Address(why.to_owned());
    let address = address::parse(text).map_err(|error| refused(error.why()))?;
    if address.protocol.is_some() {
        return Err(refused("spec.protocol says the protocol, so the address must not"));
    }
    let port = text.rsplit_once(':').map(|(_, port)| port);
    if port.is_none_or(|port| port.parse::<u16>().is_err()) {
        return Err(refused("the port is missing"));
    }
    Ok(address)
}

fn transport(spec: &FlowExporterDestinationSpec) -> Result<Transport, Refusal> {
    let tls = spec.tls_config.as_ref().map(material).transpose()?;
    match (spec.protocol, tls) {
        (crd::Protocol::Grpc {}, Some(tls)) => Ok(Transport::Grpc(tls)),
        (crd::Protocol::Grpc {}, None) => Err(Refusal::NoTls("grpc")),
        (crd::Protocol::Ipfix { transport }, tls) => match (transport, tls) {
            (crd::Transport::Tls, Some(tls)) => Ok(Transport::Tls(tls)),
            (crd::Transport::Tls, None) => Err(Refusal::NoTls("tls")),
            (crd::Transport::Tcp, None) => Ok(Transport::Tcp),
            (crd::Transport::Udp, None) => Ok(Transport::Udp),
            (other, Some(_)) => Err(Refusal::TlsUnused(other.word())),
        },
    }
}

fn material(tls: &crd::TlsConfig) -> Result<TlsSpec, Refusal> {
    let identity = tls.client_secret.as_ref().map(|it| object(it, "clientSecret")).transpose()?;
    Ok(TlsSpec {
        server_name: tls.server_name.clone(),
        min_version: match tls.min_tls_version {
            crd::TlsVersion::Tls12 => TlsVersion::Tls12,
            crd::TlsVersion::Tls13 => TlsVersion::Tls13,
        },
        ca: Authorities::ConfigMap(object(&tls.ca_config_map, "caConfigMap")?),
        identity: identity.map(Identity::Secret),
    })
}

/// What is no name of an object becomes no part of a URL, nor of the Role that the log proposes.
fn object(it: &ObjectReference, field: &'static str) -> Result<ObjectName, Refusal> {
    let ObjectReference { namespace, name } = it.clone();
    let labels = name.split('.').all(|label| address::is_label(label, NAME));
    if address::is_label(&namespace, LABEL) && labels && name.len() <= NAME {
        Ok(ObjectName { namespace, name })
    } else {
        Err(Refusal::ObjectName(field))
    }
}

fn protocols(spec: &FlowExporterDestinationSpec) -> ProtocolFilter {
    let Some(list) = spec.filter.as_ref().and_then(|filter| filter.protocols.as_ref()) else {
        return ProtocolFilter::default();
    };
    let number = |word: &FilterProtocol| match word {
        FilterProtocol::Tcp => protocol::TCP,
        FilterProtocol::Udp => protocol::UDP,
        FilterProtocol::Sctp => protocol::SCTP,
    };
    ProtocolFilter::only(&list.iter().map(number).collect::<Vec<_>>())
}

fn seconds(number: i32, field: &'static str) -> Result<Duration, Refusal> {
    let number = u64::try_from(number).ok().filter(|&number| number > 0);
    number.map(Duration::from_secs).ok_or(Refusal::Timeout(field))
}

fn check_server_name(spec: &Spec) -> Result<(), Refusal> {
    let (Transport::Tls(tls) | Transport::Grpc(tls)) = &spec.transport else { return Ok(()) };
    let name = tls.server_name.clone().unwrap_or_else(|| spec.host());
    match ServerName::try_from(name.as_str()) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::ServerName(name.chars().take(100).collect())),
    }
}

/// Whether the address names a Service.
pub(super) fn service(address: &address::Address) -> Option<k8s::certificates::ObjectName> {
    let Host::Service { namespace, name } = &address.host else { return None };
    Some(k8s::certificates::ObjectName { namespace: namespace.clone(), name: name.clone() })
}

#[cfg(test)]
mod tests;
