//! The three objects in Kubernetes.
//!
//! They are written as a whole, with the version that was read: the API server refuses what is
//! based on an old one (409). Labels, annotations and other entries of others are left alone.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::{error::Elapsed, timeout};

use super::state::{Data, Stored};
use super::{AUTHORITY_SECRET, BUNDLE_CONFIG_MAP, BUNDLE_KEY, CLIENT_SECRET};

/// How long one request may take. The client itself waits for ever.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// Why the API server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("{object} was not {verb}")]
    Api {
        verb: &'static str,
        object: String,
        #[source]
        cause: Box<kube::Error>,
    },
    #[error("{object} was not {verb}: no answer for {REQUEST_DEADLINE:?}")]
    Deadline { verb: &'static str, object: String },
}

impl ObjectError {
    /// Returns true if somebody else was faster.
    pub(super) fn is_race(&self) -> bool {
        let Self::Api { cause, .. } = self else { return false };
        // 404: what was to be replaced has been deleted meanwhile.
        matches!(&**cause, kube::Error::Api(status) if status.code == 409 || status.code == 404)
    }
}

/// The objects of a collector's namespace.
pub(super) struct Objects {
    secrets: Api<Secret>,
    config_maps: Api<ConfigMap>,
}

/// The objects as they were read.
pub(super) struct Found {
    authority: Option<Secret>,
    client: Option<Secret>,
    bundle: Option<ConfigMap>,
}

impl Objects {
    pub(super) fn new(client: &Client, namespace: &str) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            config_maps: Api::namespaced(client.clone(), namespace),
        }
    }

    pub(super) async fn read(&self) -> Result<Found, ObjectError> {
        Ok(Found {
            authority: read(&self.secrets, AUTHORITY_SECRET).await?,
            client: read(&self.secrets, CLIENT_SECRET).await?,
            bundle: read(&self.config_maps, BUNDLE_CONFIG_MAP).await?,
        })
    }

    pub(super) async fn write_authority(&self, f: Found, data: Data) -> Result<(), ObjectError> {
        self.write_secret(AUTHORITY_SECRET, f.authority, data).await
    }

    pub(super) async fn write_client(&self, f: Found, data: Data) -> Result<(), ObjectError> {
        self.write_secret(CLIENT_SECRET, f.client, data).await
    }

    pub(super) async fn write_bundle(&self, f: Found, pem: String) -> Result<(), ObjectError> {
        let is_new = f.bundle.is_none();
        let mut map = f.bundle.unwrap_or_else(|| ConfigMap {
            metadata: named(BUNDLE_CONFIG_MAP),
            ..ConfigMap::default()
        });
        map.metadata.labels.get_or_insert_default().insert("app".into(), "flow-aggregator".into());
        map.data.get_or_insert_default().insert(BUNDLE_KEY.into(), pem);
        write(&self.config_maps, BUNDLE_CONFIG_MAP, &map, is_new).await
    }

    /// The type of a Secret cannot be changed, so that of another one stays.
    async fn write_secret(
        &self,
        name: &str,
        old: Option<Secret>,
        data: Data,
    ) -> Result<(), ObjectError> {
        let is_new = old.is_none();
        let mut secret = old.unwrap_or_else(|| Secret {
            metadata: named(name),
            type_: Some("kubernetes.io/tls".to_owned()),
            ..Secret::default()
        });
        secret.data = Some(data.into_iter().map(|(key, value)| (key, ByteString(value))).collect());
        write(&self.secrets, name, &secret, is_new).await
    }
}

impl Found {
    pub(super) fn stored(&self) -> Stored {
        let bundle = self.bundle.as_ref().and_then(|map| map.data.as_ref()?.get(BUNDLE_KEY));
        Stored {
            authority: self.authority.as_ref().map(data_of),
            client: self.client.as_ref().map(data_of),
            bundle: bundle.cloned(),
        }
    }
}

pub(super) fn data_of(secret: &Secret) -> Data {
    let entries = secret.data.iter().flatten();
    entries.map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

/// Reads an object; `None` if it is not there.
pub(super) async fn read<K>(api: &Api<K>, name: &str) -> Result<Option<K>, ObjectError>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    answered("read", name, timeout(REQUEST_DEADLINE, api.get_opt(name)).await)
}

async fn write<K>(api: &Api<K>, name: &str, object: &K, is_new: bool) -> Result<(), ObjectError>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    let options = PostParams::default();
    if is_new {
        let created = timeout(REQUEST_DEADLINE, api.create(&options, object)).await;
        answered("created", name, created).map(drop)
    } else {
        let replaced = timeout(REQUEST_DEADLINE, api.replace(name, &options, object)).await;
        answered("replaced", name, replaced).map(drop)
    }
}

fn answered<T>(
    verb: &'static str,
    object: &str,
    answer: Result<Result<T, kube::Error>, Elapsed>,
) -> Result<T, ObjectError> {
    let object = object.to_owned();
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(cause)) => Err(ObjectError::Api { verb, object, cause: Box::new(cause) }),
        Err(_) => Err(ObjectError::Deadline { verb, object }),
    }
}

fn named(name: &str) -> ObjectMeta {
    let managed = ("app.kubernetes.io/managed-by".to_owned(), "fyke".to_owned());
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from([managed])),
        ..ObjectMeta::default()
    }
}
