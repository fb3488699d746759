//! A cluster, and what an exporter holds of it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use k8s::certificates::{
    AUTHORITY_SECRET, AuthoritiesOrigin, BUNDLE_CONFIG_MAP, BUNDLE_KEY, CLIENT_SECRET,
    ClientOrigin, ClientPolicy, ClientSource, FollowError, Follower, Keeper, KeyKind, Options,
    PairFiles, PairOrigin,
};
use k8s::client::{Connection, Source};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, Config};
use rustls::ClientConfig;
use tempfile::TempDir;
use tests::api_server::StandIn;

pub(crate) const NAMESPACE: &str = "flow-aggregator";
/// What exporters call the collector.
pub(crate) const SERVER: &str = "flow-aggregator.flow-aggregator.svc";
pub(crate) const DAY: u64 = 24 * 3600;

/// What handshakes go by; the tests' own times are before and after it.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn client(server: &StandIn) -> Client {
    client_at(server.address())
}

pub(crate) fn client_at(address: SocketAddr) -> Client {
    Client::try_from(Config::new(format!("http://{address}").parse().unwrap())).unwrap()
}

/// Follows what the aggregator keeps, as an exporter does.
pub(crate) async fn of_aggregator(server: &StandIn) -> Follower<ClientConfig> {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::Kubeconfig(server.kubeconfig(folder.path(), None));
    let connection = Some(Arc::new(Connection::open(source).await.unwrap()));
    let origin = ClientOrigin::of_aggregator(NAMESPACE);
    Follower::of_client(connection, origin, ClientPolicy::default()).await.unwrap()
}

/// Follows files.
pub(crate) async fn of_client(origin: ClientOrigin) -> Result<Follower<ClientConfig>, FollowError> {
    Follower::of_client(None, origin, ClientPolicy::default()).await
}

/// With keys that are made in no time; RSA is what [`Options`] would choose.
pub(crate) fn options() -> Options {
    Options::new(NAMESPACE).unwrap().keys(KeyKind::EcdsaP256)
}

pub(crate) async fn keeper(server: &StandIn, now_s: u64) -> Keeper {
    Keeper::start(&client(server), options(), now_s).await.unwrap()
}

/// One entry of a Secret of the aggregator.
pub(crate) async fn secret(server: &StandIn, name: &str, key: &str) -> String {
    let secret: Secret = Api::namespaced(client(server), NAMESPACE).get(name).await.unwrap();
    String::from_utf8(secret.data.unwrap().remove(key).unwrap().0).unwrap()
}

pub(crate) async fn authority(server: &StandIn) -> String {
    secret(server, AUTHORITY_SECRET, "tls.crt").await
}

/// `ca.crt`, as exporters read it.
pub(crate) async fn bundle(server: &StandIn) -> String {
    let map: ConfigMap =
        Api::namespaced(client(server), NAMESPACE).get(BUNDLE_CONFIG_MAP).await.unwrap();
    map.data.unwrap().remove(BUNDLE_KEY).unwrap()
}

/// What one exporter has read, perhaps long ago.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) authorities: String,
    pub(crate) certificates: String,
    pub(crate) key: String,
}

impl Held {
    /// Reads the objects as Antrea's Agent does before it connects.
    pub(crate) async fn read(server: &StandIn) -> Self {
        Self {
            authorities: bundle(server).await,
            certificates: secret(server, CLIENT_SECRET, "tls.crt").await,
            key: secret(server, CLIENT_SECRET, "tls.key").await,
        }
    }

    /// Trusts whom `self` trusts, and is who `other` is.
    pub(crate) fn with_pair_of(&self, other: &Self) -> Self {
        Self { authorities: self.authorities.clone(), ..other.clone() }
    }

    /// All that exporters may hold around a rotation, with a name for each.
    pub(crate) fn mixed(old: &Self, new: &Self) -> [(&'static str, Self); 4] {
        [
            ("old CA, old pair", old.clone()),
            ("old CA, new pair", old.with_pair_of(new)),
            ("new bundle, old pair", new.with_pair_of(old)),
            ("new bundle, new pair", new.clone()),
        ]
    }

    /// Puts it into files.
    pub(crate) fn files(&self) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let authorities = file("ca.crt", &self.authorities);
        let certificates = file("tls.crt", &self.certificates);
        let key = file("tls.key", &self.key);
        Files { folder, authorities, certificates, key }
    }

    /// What the exporter's handshakes use.
    pub(crate) async fn source(&self) -> ClientSource {
        let files = self.files();
        of_client(files.of_client()).await.unwrap().client()
    }
}

/// Files that are removed with it.
pub(crate) struct Files {
    pub(crate) folder: TempDir,
    pub(crate) authorities: PathBuf,
    pub(crate) certificates: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    pub(crate) fn of_client(&self) -> ClientOrigin {
        let pair = PairFiles { certificates: self.certificates.clone(), key: self.key.clone() };
        ClientOrigin {
            authorities: AuthoritiesOrigin::File(self.authorities.clone()),
            pair: Some(PairOrigin::Files(pair)),
        }
    }
}
