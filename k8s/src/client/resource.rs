use k8s_openapi::api::{apps, batch, core, discovery};
use kube::core::Request;

use crate::objects::{Custom, Kind};

/// Where a kind lives in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Empty for the core group.
    pub(crate) group: &'static str,
    version: &'static str,
    /// As in a path and in a rule: `pods`.
    pub(crate) plural: &'static str,
    /// Only `metadata` is asked for.
    pub(crate) metadata_only: bool,
}

impl Resource {
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Pod => Self::whole::<core::v1::Pod>(),
            Kind::Service => Self::whole::<core::v1::Service>(),
            Kind::EndpointSlice => Self::whole::<discovery::v1::EndpointSlice>(),
            Kind::Node => Self::whole::<core::v1::Node>(),
            Kind::Namespace => Self::metadata::<core::v1::Namespace>(),
            Kind::ReplicaSet => Self::metadata::<apps::v1::ReplicaSet>(),
            Kind::Job => Self::metadata::<batch::v1::Job>(),
            Kind::Custom(&Custom { group, version, plural, .. }) => {
                Self { group, version, plural, metadata_only: false }
            }
        }
    }

    fn whole<K: k8s_openapi::Resource>() -> Self {
        Self {
            group: K::GROUP,
            version: K::VERSION,
            plural: K::URL_PATH_SEGMENT,
            metadata_only: false,
        }
    }

    fn metadata<K: k8s_openapi::Resource>() -> Self {
        Self { metadata_only: true, ..Self::whole::<K>() }
    }

    /// Makes requests for all objects of the kind, in all namespaces.
    pub(crate) fn request(self) -> Request {
        let Self { group, version, plural, .. } = self;
        Request::new(match group {
            "" => format!("/api/{version}/{plural}"),
            _ => format!("/apis/{group}/{version}/{plural}"),
        })
    }
}
