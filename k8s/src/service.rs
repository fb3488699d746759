//! Where a Service is, for those who name it `namespace/name` instead of an address.

use std::net::IpAddr;

use k8s_openapi::api::core::v1;

use crate::certificates::ObjectName;
use crate::client::Connection;
use crate::request::{ObjectError, read_by};

/// Why a Service has no address.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("Service {0} cannot be looked up")]
    Unread(ObjectName, #[source] ObjectError),
    #[error("Service {0} does not exist")]
    Missing(ObjectName),
    #[error("Service {0} is headless, so it has no address of its own")]
    Headless(ObjectName),
    #[error("Service {0} has no cluster address (yet)")]
    NoAddress(ObjectName),
    #[error("Service {0} has a cluster address that is none: {1:?}")]
    NotAnAddress(ObjectName, String),
}

impl ServiceError {
    pub const REASONS: [&str; 6] =
        ["denied", "unread", "missing", "headless", "no_address", "not_an_address"];

    /// As a metric's label.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unread(_, ObjectError::Denied(_)) => "denied",
            Self::Unread(..) => "unread",
            Self::Missing(_) => "missing",
            Self::Headless(_) => "headless",
            Self::NoAddress(_) => "no_address",
            Self::NotAnAddress(..) => "not_an_address",
        }
    }
}

/// Asks the API server for the cluster address of a Service, `spec.clusterIP`: of two families
/// that of the first.
pub async fn cluster_address(
    connection: &Connection,
    name: &ObjectName,
) -> Result<IpAddr, ServiceError> {
    let service: Option<v1::Service> = read_by(connection, &name.namespace, &name.name)
        .await
        .map_err(|error| ServiceError::Unread(name.clone(), error))?;
    let service = service.ok_or_else(|| ServiceError::Missing(name.clone()))?;
    let text = service.spec.and_then(|spec| spec.cluster_ip).unwrap_or_default();
    match text.as_str() {
        "" => Err(ServiceError::NoAddress(name.clone())),
        "None" => Err(ServiceError::Headless(name.clone())),
        text => text.parse().map_err(|_| {
            let shown = text.chars().take(100).collect();
            ServiceError::NotAnAddress(name.clone(), shown)
        }),
    }
}
