//! `FlowExporterDestination` of `crd.antrea.io/v1alpha1`, which Antrea has since 2.6
//! (`pkg/apis/crd/v1alpha1/types.go`). `deploy/crds/` is made of these types.

use k8s::objects::{Custom, Kind};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the resources are.
pub static RESOURCE: Custom = Custom {
    group: "crd.antrea.io",
    version: "v1alpha1",
    plural: "flowexporterdestinations",
    kind: "FlowExporterDestination",
};

/// The kind that is watched.
pub const KIND: Kind = Kind::Custom(&RESOURCE);

/// A destination of the flows of every Node.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "crd.antrea.io",
    version = "v1alpha1",
    kind = "FlowExporterDestination",
    plural = "flowexporterdestinations",
    singular = "flowexporterdestination",
    shortname = "flowexporterdest",
    doc = "A destination of the flows of every Node.",
    printcolumn(name = "Address:Port", type_ = "string", json_path = ".spec.address")
)]
#[serde(rename_all = "camelCase")]
pub struct FlowExporterDestinationSpec {
    /// Host and port of the collector. The host is a name, an IPv4 address, an IPv6 address in
    /// brackets, or NAMESPACE/NAME of a Service.
    #[schemars(regex(pattern = r"^.+:[0-9]+$"))]
    pub address: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Which connections are told; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// A connection that goes on is told this often.
    #[serde(default = "active_timeout")]
    #[schemars(range(min = 1))]
    pub active_flow_export_timeout_seconds: i32,
    /// What a connection last did is told once it is quiet for this long.
    #[serde(default = "idle_timeout")]
    #[schemars(range(min = 1))]
    pub idle_flow_export_timeout_seconds: i32,
    /// Needed by grpc, and by ipfix over tls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
}

/// Exactly one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// IPFIX (RFC 7011).
    Ipfix {
        /// What carries the messages.
        transport: Transport,
    },
    /// Antrea's gRPC service for flows.
    Grpc {},
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Tcp,
    Udp,
    Tls,
}

impl Transport {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Tls => "tls",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Filter {
    /// Only connections of these; all unless given, none if the list is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Vec<FilterProtocol>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FilterProtocol {
    Tcp,
    Udp,
    Sctp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsConfig {
    /// The oldest version of TLS that will do.
    #[serde(default, rename = "minTLSVersion")]
    pub min_tls_version: TlsVersion,
    /// The name that the collector's certificate is for, if it is not the host of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub server_name: Option<String>,
    /// The authorities a collector's certificate may be from, under ca.crt.
    pub ca_config_map: ObjectReference,
    /// The certificate that is shown to the collector and its key, under tls.crt and tls.key.
    /// None is shown unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<ObjectReference>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    #[default]
    #[serde(rename = "VersionTLS12")]
    Tls12,
    #[serde(rename = "VersionTLS13")]
    Tls13,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectReference {
    #[schemars(length(min = 1))]
    pub namespace: String,
    #[schemars(length(min = 1))]
    pub name: String,
}

const fn active_timeout() -> i32 {
    5
}

const fn idle_timeout() -> i32 {
    15
}

/// The `CustomResourceDefinition`, for `kubectl apply`.
pub fn definition() -> Result<serde_json::Value, serde_json::Error> {
    use kube::CustomResourceExt as _;
    let mut definition = serde_json::to_value(FlowExporterDestination::crd())?;
    drop_null(&mut definition);
    Ok(definition)
}

/// An optional field may be left out, and is not null otherwise: API servers take `nullable` for a
/// value of its own, and drop null where it is not allowed.
fn drop_null(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            if fields.get("nullable").is_some_and(serde_json::Value::is_boolean) {
                fields.remove("nullable");
            }
            fields.values_mut().for_each(drop_null);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# Made from exporter/src/destinations/crd.rs by `cargo xtask generate`.\n";

    #[test]
    fn what_is_committed_is_what_the_types_say() {
        let path = "deploy/crds/flowexporterdestination.yaml";
        let content = HEAD.to_owned() + &serde_yaml::to_string(&definition().unwrap()).unwrap();
        let is_so = config::reference::is_committed(path, &content);
        assert!(is_so, "{path} is stale; run `cargo xtask generate`");
    }

    #[test]
    fn the_watched_kind_is_the_type() {
        use kube::Resource as _;
        type Type = FlowExporterDestination;
        assert_eq!(RESOURCE.group, Type::group(&()));
        assert_eq!(RESOURCE.version, Type::version(&()));
        assert_eq!(RESOURCE.plural, Type::plural(&()));
        assert_eq!(RESOURCE.kind, Type::kind(&()));
    }
}
