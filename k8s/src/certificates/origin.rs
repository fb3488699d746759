//! Where a [`Follower`](super::Follower) reads.

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::objects::data_of;
use super::state::pair_of;
use super::{BUNDLE_CONFIG_MAP, BUNDLE_KEY, CLIENT_SECRET};
use crate::client::Connection;
use crate::request::{ObjectError, read_by};

/// The longest file, in bytes. Bundles of all public CAs have a quarter of it.
const MAX_FILE: u64 = 1 << 20;

/// A certificate chain and its key, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    pub certificates: PathBuf,
    pub key: PathBuf,
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

/// Where the CAs of collectors are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthoritiesOrigin {
    File(PathBuf),
    /// Under `ca.crt` of a `ConfigMap`.
    ConfigMap(ObjectName),
}

/// Where a certificate chain and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairOrigin {
    Files(PairFiles),
    /// Under `tls.crt` and `tls.key` of a Secret.
    Secret(ObjectName),
}

/// Where what an exporter uses is; of objects, as Antrea's `tlsConfig` says it
/// (`FlowExporterDestination`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOrigin {
    pub authorities: AuthoritiesOrigin,
    /// Who the exporter is, if collectors ask.
    pub pair: Option<PairOrigin>,
}

impl ClientOrigin {
    /// The objects that the aggregator in `namespace` keeps.
    pub fn of_aggregator(namespace: &str) -> Self {
        let object = |name: &str| ObjectName { namespace: namespace.into(), name: name.into() };
        Self {
            authorities: AuthoritiesOrigin::ConfigMap(object(BUNDLE_CONFIG_MAP)),
            pair: Some(PairOrigin::Secret(object(CLIENT_SECRET))),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Why there was nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("{kind} {name} is missing, or has no {key}")]
    Missing { kind: &'static str, name: ObjectName, key: &'static str },
    #[error("{kind} {0} cannot be read: there is no way to the API server", kind = .1)]
    NoApiServer(ObjectName, &'static str),
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

pub(super) struct Origin {
    pub(super) authorities: Option<AuthoritiesOrigin>,
    pub(super) pair: Option<PairOrigin>,
    /// The way to objects.
    pub(super) connection: Option<Arc<Connection>>,
}

impl Origin {
    /// Whether nothing is asked of the API server.
    pub(super) const fn is_files(&self) -> bool {
        !matches!(self.authorities, Some(AuthoritiesOrigin::ConfigMap(_)))
            && !matches!(self.pair, Some(PairOrigin::Secret(_)))
    }

    pub(super) async fn read(&self) -> Result<Texts, ReadError> {
        let authorities = match &self.authorities {
            None => None,
            Some(AuthoritiesOrigin::File(path)) => Some(read_file(path).await?),
            Some(AuthoritiesOrigin::ConfigMap(name)) => Some(self.bundle(name).await?),
        };
        let pair = match &self.pair {
            None => None,
            Some(PairOrigin::Files(PairFiles { certificates, key })) => {
                Some((read_file(certificates).await?, read_file(key).await?))
            }
            Some(PairOrigin::Secret(name)) => Some(self.pair(name).await?),
        };
        Ok(Texts { authorities, pair })
    }

    async fn bundle(&self, name: &ObjectName) -> Result<Vec<u8>, ReadError> {
        const KIND: &str = "ConfigMap";
        let ObjectName { namespace, name: own } = name;
        let map: Option<ConfigMap> = read_by(self.connection(name, KIND)?, namespace, own).await?;
        let text = map.and_then(|map| map.data?.remove(BUNDLE_KEY)).map(String::into_bytes);
        text.ok_or_else(|| ReadError::Missing { kind: KIND, name: name.clone(), key: BUNDLE_KEY })
    }

    async fn pair(&self, name: &ObjectName) -> Result<(Vec<u8>, Vec<u8>), ReadError> {
        const KIND: &str = "Secret";
        let ObjectName { namespace, name: own } = name;
        let secret: Option<Secret> = read_by(self.connection(name, KIND)?, namespace, own).await?;
        let data = secret.as_ref().map(data_of);
        let pair = pair_of(data.as_ref()).map(|(chain, key)| (chain.to_vec(), key.to_vec()));
        let key = "tls.crt and tls.key";
        pair.map_err(|_| ReadError::Missing { kind: KIND, name: name.clone(), key })
    }

    fn connection(&self, name: &ObjectName, kind: &'static str) -> Result<&Connection, ReadError> {
        let missing = || ReadError::NoApiServer(name.clone(), kind);
        self.connection.as_deref().ok_or_else(missing)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Origin");
        told.field("authorities", &self.authorities).field("pair", &self.pair);
        told.finish_non_exhaustive()
    }
}

pub(super) async fn read_file(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut text = Vec::new();
    let read = async { File::open(path).await?.take(MAX_FILE + 1).read_to_end(&mut text).await };
    let read = read.await.map_err(|error| ReadError::File(path.to_owned(), error))?;
    if read as u64 > MAX_FILE { Err(ReadError::TooLong(path.to_owned())) } else { Ok(text) }
}

/// As [`read_file`], while the caller waits.
pub(super) fn read_file_now(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut text = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut text));
    let read = read.map_err(|error| ReadError::File(path.to_owned(), error))?;
    if read as u64 > MAX_FILE { Err(ReadError::TooLong(path.to_owned())) } else { Ok(text) }
}
