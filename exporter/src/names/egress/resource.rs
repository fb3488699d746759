//! `Egress` of `crd.antrea.io/v1beta1`, as far as it matters to whose connections leave how.

use std::collections::BTreeMap;
use std::net::IpAddr;

use flow::Name;
use k8s::objects::{Custom, Kind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Where the resources are.
static RESOURCE: Custom =
    Custom { group: "crd.antrea.io", version: "v1beta1", plural: "egresses", kind: "Egress" };

/// The kind that is watched.
pub const KIND: Kind = Kind::Custom(&RESOURCE);

/// What an `Egress` may say of itself without making it one for some connections only.
const UNDERSTOOD: [&str; 6] =
    ["appliedTo", "egressIP", "egressIPs", "externalIPPool", "externalIPPools", "bandwidth"];

#[derive(Deserialize)]
struct Object {
    spec: BTreeMap<String, serde_json::Value>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AppliedTo {
    pod_selector: Option<LabelSelector>,
    namespace_selector: Option<LabelSelector>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Status {
    egress_node: Option<String>,
    #[serde(rename = "egressIP")]
    egress_ip: Option<String>,
    /// Since there are some for both families.
    #[serde(rename = "egressIPs")]
    egress_ips: Option<Vec<String>>,
    #[serde(rename = "conditions")]
    _conditions: Option<IgnoredAny>,
}

/// One Egress.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Egress {
    pub(super) name: Name,
    /// `None` if it cannot be read whom it is for: it may be anybody.
    pub(super) pods: Option<Selected>,
    /// It says things that are not known here, which may keep it from some connections.
    pub(super) is_partial: bool,
    pub(super) node: Name,
    /// As its status says; none while no Node has any.
    pub(super) addresses: [Option<Name>; 2],
}

/// Pods that have the labels, of namespaces that have theirs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Selected {
    pub(super) pods: Selector,
    /// `None`: of every namespace.
    pub(super) namespaces: Option<Selector>,
}

impl Egress {
    pub(super) fn read(name: &Name, json: &str) -> Self {
        let Ok(Object { spec, status }) = serde_json::from_str(json) else {
            let (node, addresses) = (Name::default(), [None, None]);
            return Self { name: name.clone(), pods: None, is_partial: true, node, addresses };
        };
        let status = status.unwrap_or_default();
        let told = status.egress_ips.unwrap_or_default();
        let mut addresses = [None, None];
        for address in status.egress_ip.iter().chain(&told) {
            let Ok(address) = address.parse::<IpAddr>() else { continue };
            let known = &mut addresses[usize::from(address.is_ipv6())];
            known.get_or_insert_with(|| Name::from(address.to_string().as_str()));
        }
        Self {
            name: name.clone(),
            pods: spec.get("appliedTo").and_then(selected),
            is_partial: spec.keys().any(|key| !UNDERSTOOD.contains(&key.as_str())),
            node: status.egress_node.as_deref().unwrap_or_default().into(),
            addresses,
        }
    }
}

fn selected(applied_to: &serde_json::Value) -> Option<Selected> {
    let AppliedTo { pod_selector, namespace_selector } = AppliedTo::deserialize(applied_to).ok()?;
    // One that selects nothing at all is no Egress that Antrea takes.
    if pod_selector.is_none() && namespace_selector.is_none() {
        return None;
    }
    let namespaces = namespace_selector.map(Selector::try_from).transpose().ok()?;
    let pods = Selector::try_from(pod_selector.unwrap_or_default()).ok()?;
    Some(Selected { pods, namespaces })
}
