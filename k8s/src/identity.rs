//! Which cluster this is: the UUID that Antrea's Controller gives it.

use flow::{NoUid, Uid};
use k8s_openapi::api::core::v1::ConfigMap;

use crate::client::Connection;
use crate::request::{ObjectError, read_by};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "antrea-cluster-identity";
const KEY: &str = "uuid";

/// Why the UUID is not known.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    Unread(#[from] ObjectError),
    #[error("ConfigMap {NAMESPACE}/{NAME} does not exist, or has no {KEY}; Antrea makes it")]
    Missing,
    #[error("ConfigMap {NAMESPACE}/{NAME} has a {KEY} that is none")]
    Invalid(#[from] NoUid),
}

/// Asks for the cluster's UUID.
pub async fn cluster_uuid(connection: &Connection) -> Result<Uid, IdentityError> {
    let map: Option<ConfigMap> = read_by(connection, NAMESPACE, NAME).await?;
    let text = map.and_then(|map| map.data?.remove(KEY)).ok_or(IdentityError::Missing)?;
    Ok(text.parse()?)
}
