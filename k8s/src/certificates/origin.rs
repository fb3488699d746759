//! Where a [`Follower`](super::Follower) reads.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::objects::data_of;
use super::state::pair_of;
use super::{BUNDLE_CONFIG_MAP, BUNDLE_KEY, CLIENT_SECRET};
use crate::request::{ObjectError, read};

/// The longest file, in bytes. Bundles of all public CAs have a quarter of it.
const MAX_FILE: u64 = 1 << 20;

/// A certificate chain and its key, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    pub certificates: PathBuf,
    pub key: PathBuf,
}

/// What an exporter uses, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The CAs of collectors.
    pub authorities: PathBuf,
    /// Who the exporter is, if collectors ask.
    pub pair: Option<PairFiles>,
}

/// What a collector uses, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    pub pair: PairFiles,
    /// The CAs of exporters; without, exporters need no certificate.
    pub clients: Option<PathBuf>,
}

/// The name of an object in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    pub namespace: String,
    pub name: String,
}

/// What an exporter uses, in the form of Antrea's `tlsConfig` (`FlowExporterDestination`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientObjects {
    /// The `ConfigMap` that has the CAs of collectors under `ca.crt`.
    pub bundle: ObjectName,
    /// The Secret that tells who the exporter is, if collectors ask.
    pub pair: Option<ObjectName>,
}

impl ClientObjects {
    /// The objects that the aggregator in `namespace` keeps.
    pub fn of_aggregator(namespace: &str) -> Self {
        let object = |name: &str| ObjectName { namespace: namespace.into(), name: name.into() };
        Self { bundle: object(BUNDLE_CONFIG_MAP), pair: Some(object(CLIENT_SECRET)) }
    }
}

/// Why there was nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("{name} is missing, or has no {key}")]
    Missing { name: String, key: &'static str },
    #[error("{} cannot be read", .0.display())]
    File(PathBuf, #[source] io::Error),
    #[error("{} is longer than {MAX_FILE} bytes", .0.display())]
    TooLong(PathBuf),
}

/// What was read, as PEM.
#[derive(PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) authorities: Option<Vec<u8>>,
    /// Certificates and key.
    pub(super) pair: Option<(Vec<u8>, Vec<u8>)>,
}

pub(super) enum Origin {
    Files { authorities: Option<PathBuf>, pair: Option<PairFiles> },
    Objects { client: Client, names: ClientObjects },
}

impl Origin {
    pub(super) const fn is_files(&self) -> bool {
        matches!(self, Self::Files { .. })
    }

    pub(super) async fn read(&self) -> Result<Texts, ReadError> {
        match self {
            Self::Files { authorities, pair } => {
                read_files(authorities.as_deref(), pair.as_ref()).await
            }
            Self::Objects { client, names } => read_objects(client, names).await,
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_files() { "Files" } else { "Objects" })
    }
}

async fn read_files(
    authorities: Option<&Path>,
    pair: Option<&PairFiles>,
) -> Result<Texts, ReadError> {
    let authorities = match authorities {
        Some(path) => Some(read_file(path).await?),
        None => None,
    };
    let pair = match pair {
        Some(pair) => Some((read_file(&pair.certificates).await?, read_file(&pair.key).await?)),
        None => None,
    };
    Ok(Texts { authorities, pair })
}

async fn read_file(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut text = Vec::new();
    let read = async { File::open(path).await?.take(MAX_FILE + 1).read_to_end(&mut text).await };
    let read = read.await.map_err(|error| ReadError::File(path.to_owned(), error))?;
    if read as u64 > MAX_FILE { Err(ReadError::TooLong(path.to_owned())) } else { Ok(text) }
}

async fn read_objects(client: &Client, names: &ClientObjects) -> Result<Texts, ReadError> {
    let missing = |object: &ObjectName, key| {
        let name = format!("{}/{}", object.namespace, object.name);
        ReadError::Missing { name, key }
    };
    let bundle = &names.bundle;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &bundle.namespace);
    let map = read(&maps, &bundle.name).await?.and_then(|map| map.data?.remove(BUNDLE_KEY));
    let authorities = map.ok_or_else(|| missing(bundle, BUNDLE_KEY))?.into_bytes();
    let Some(pair) = &names.pair else {
        return Ok(Texts { authorities: Some(authorities), pair: None });
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &pair.namespace);
    let data = read(&secrets, &pair.name).await?.as_ref().map(data_of);
    let texts = pair_of(data.as_ref()).map(|(chain, key)| (chain.to_vec(), key.to_vec()));
    let texts = texts.map_err(|_| missing(pair, "tls.crt and tls.key"))?;
    Ok(Texts { authorities: Some(authorities), pair: Some(texts) })
}
