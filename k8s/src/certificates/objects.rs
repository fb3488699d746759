//! The three objects in Kubernetes.
//!
//! They are written as a whole, with the version that was read: the API server refuses what is
//! based on an old one (409). Labels, annotations and other entries of the `ConfigMap` are left
//! alone; other entries of a Secret go when it is written, for they belonged to the old pair.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::ObjectMeta;
use kube::{Api, Client};

use super::state::{Data, Stored};
use super::{AUTHORITY_SECRET, BUNDLE_CONFIG_MAP, BUNDLE_KEY, CLIENT_SECRET};
use crate::request::{ObjectError, read, write};

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

fn named(name: &str) -> ObjectMeta {
    let managed = ("app.kubernetes.io/managed-by".to_owned(), "fyke".to_owned());
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from([managed])),
        ..ObjectMeta::default()
    }
}
