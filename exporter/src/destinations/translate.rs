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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn defaults() -> Defaults {
        Defaults {
            profile: Profile::Antrea,
            compatibility: Compatibility::Antrea,
            redaction: Redaction::default(),
            template_refresh: Spec::TEMPLATE_REFRESH,
            room: 1,
        }
    }

    fn read_spec(spec: &Value) -> Result<Spec, Refusal> {
        read("one", &json!({ "spec": spec }).to_string(), &defaults())
    }

    fn tls() -> Value {
        json!({ "caConfigMap": { "namespace": "ns", "name": "ca" } })
    }

    #[test]
    fn what_is_left_out_has_antreas_defaults() {
        let spec = read_spec(&json!({
            "address": "192.0.2.1:4739", "protocol": { "ipfix": { "transport": "udp" } },
        }))
        .unwrap();
        assert_eq!(spec.name, "crd/one");
        assert_eq!(
            (spec.address.to_string(), spec.transport),
            ("192.0.2.1:4739".into(), Transport::Udp)
        );
        let Timeouts { active, idle } = spec.timeouts;
        assert_eq!((active.as_secs(), idle.as_secs()), (5, 15));
        assert!(spec.filter.is_empty());
    }

    #[test]
    fn everything_that_is_said_counts() {
        let mut config = tls();
        config["minTLSVersion"] = "VersionTLS13".into();
        config["serverName"] = "collector.test".into();
        config["clientSecret"] = json!({ "namespace": "other", "name": "pair" });
        let spec = read_spec(&json!({
            "address": "[fd00::1]:14739", "protocol": { "grpc": {} }, "tlsConfig": config,
            "activeFlowExportTimeoutSeconds": 60, "idleFlowExportTimeoutSeconds": 1,
            "filter": { "protocols": ["udp", "sctp"] },
        }))
        .unwrap();
        let object = |namespace: &str, name: &str| ObjectName {
            namespace: namespace.into(),
            name: name.into(),
        };
        let expected = TlsSpec {
            server_name: Some("collector.test".into()),
            min_version: TlsVersion::Tls13,
            ca: Authorities::ConfigMap(object("ns", "ca")),
            identity: Some(Identity::Secret(object("other", "pair"))),
        };
        assert_eq!(spec.transport, Transport::Grpc(expected));
        assert_eq!(spec.address.to_string(), "[fd00::1]:14739");
        assert_eq!((spec.timeouts.active.as_secs(), spec.timeouts.idle.as_secs()), (60, 1));
        let allowed: Vec<_> = (0..=255).filter(|it| spec.filter.protocols.allows(*it)).collect();
        assert_eq!(allowed, [17, 132]);
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_reason() {
        let with = |address: &str, protocol: Value, tls: Option<Value>| {
            let mut spec = json!({ "address": address, "protocol": protocol });
            if let Some(tls) = tls {
                spec["tlsConfig"] = tls;
            }
            read_spec(&spec).map(drop).unwrap_err().reason()
        };
        let ipfix = |transport: &str| json!({ "ipfix": { "transport": transport } });
        for transport in ["tcp", "udp"] {
            assert_eq!(with("a:1", ipfix(transport), Some(tls())), "tls_unused");
        }
        assert_eq!(with("a:1", ipfix("tls"), None), "no_tls");
        assert_eq!(with("a:1", json!({ "grpc": {} }), None), "no_tls");
        for address in
            ["a", "a:", "a:0", "a:70000", "a:1:tcp", "a/b/c:1", ":1", "fd00::1:1", "[::1]"]
        {
            assert_eq!(with(address, ipfix("tcp"), None), "address", "{address}");
        }
        assert_eq!(with("a_b!:1", ipfix("tls"), Some(tls())), "server_name");
        let both = json!({ "ipfix": { "transport": "tcp" }, "grpc": {} });
        for protocol in [json!({}), both, ipfix("sctp"), json!({ "kafka": {} })] {
            assert_eq!(with("a:1", protocol, None), "malformed");
        }
        let none = json!({ "address": "a:1", "protocol": ipfix("tcp"), "idleFlowExportTimeoutSeconds": 0 });
        assert_eq!(read_spec(&none).unwrap_err().reason(), "timeout");
    }

    #[test]
    fn names_that_no_object_has_are_refused() {
        let reason = |namespace: &str, name: &str| {
            let tls = json!({ "caConfigMap": { "namespace": namespace, "name": name } });
            let spec = json!({
                "address": "a:1", "protocol": { "ipfix": { "transport": "tls" } }, "tlsConfig": tls,
            });
            read_spec(&spec).map(drop).map_err(|refusal| refusal.reason())
        };
        assert_eq!(reason("ns-1", "ca.example.org"), Ok(()));
        let role = "x\nrules:\n- apiGroups: [\"*\"]\n  resources: [\"*\"]\n  verbs: [\"*\"]\n#";
        for name in [role, "../secrets/x", "ca?watch=1", "Ca", "", "-", &"a".repeat(254)] {
            assert_eq!(reason("ns", name), Err("object_name"), "{name}");
            assert_eq!(reason(name, "ca"), Err("object_name"), "{name}");
        }
        assert_eq!(reason("two.labels", "ca"), Err("object_name"));
    }

    #[test]
    fn a_refusal_is_one_line_of_a_log() {
        let transport = format!("x\n{}", "y".repeat(5_000));
        let ipfix = json!({ "ipfix": { "transport": transport } });
        let mut tls = tls();
        tls["serverName"] = format!("{}!", "x".repeat(5_000)).into();
        let tls = json!({
            "address": "a:1", "protocol": { "ipfix": { "transport": "tls" } }, "tlsConfig": tls,
        });
        let host = json!({
            "address": format!("{}:1", "h".repeat(5_000)), "protocol": { "ipfix": { "transport": "tcp" } },
        });
        for spec in [json!({ "address": "a:1", "protocol": ipfix }), tls, host] {
            let told = read_spec(&spec).unwrap_err().to_string();
            assert!(told.len() < 500 && !told.contains('\n'), "{told}");
        }
    }

    #[test]
    fn a_service_is_who_its_certificate_says_without_a_server_name() {
        let spec = read_spec(&json!({
            "address": "ns/svc:4739", "protocol": { "ipfix": { "transport": "tls" } },
            "tlsConfig": tls(),
        }))
        .unwrap();
        assert_eq!(spec.host(), "svc.ns.svc");
        assert_eq!(service(&spec.address).unwrap().to_string(), "ns/svc");
    }

    #[test]
    fn an_empty_filter_lets_nothing_through_and_none_everything() {
        let with = |filter: Value| {
            let spec = json!({
                "address": "a:1", "protocol": { "ipfix": { "transport": "tcp" } }, "filter": filter,
            });
            read_spec(&spec).unwrap().filter.protocols
        };
        assert_eq!(with(json!({ "protocols": [] })), ProtocolFilter::only(&[]));
        assert_eq!(with(json!({})), ProtocolFilter::default());
    }
}
