//! The other sides: certificates that somebody else keeps, in objects or in files.
//!
//! Files are read and compared rather than watched: Kubernetes replaces a symbolic link above
//! them, others write them in place or over a network, and reading works for all. What does not
//! fit together - a key that is new already beside a certificate that is still old - is not
//! taken; the next reading finds the rest.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::sync::watch;
use tokio::time::sleep;

use super::origin::{
    AuthoritiesOrigin, ClientOrigin, Origin, PairOrigin, ReadError, ServerFiles, Texts,
    read_file_now,
};
use super::pair::{Pair, PairError, certificates_from_pem};
use super::tls::{
    ClientPolicy, ClientSource, Clients, ServerSource, Source, client_config, server_config,
};
use crate::client::Connection;

/// How often files are read.
const FILES_PERIOD: Duration = Duration::from_secs(10);
/// How often objects are read that nobody asks for.
const OBJECTS_PERIOD: Duration = Duration::from_hours(1);
/// How soon after a reading there may be another. Each time somebody asks for the configuration,
/// which is before each connect, it is read again for the next one.
const GAP: Duration = Duration::from_secs(5);

/// Why certificates could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("what tells whom to trust {0}")]
    Authorities(#[source] PairError),
    #[error("what tells who we are {0}")]
    Pair(#[source] PairError),
    #[error("certificates cannot be used for TLS")]
    Tls(#[from] rustls::Error),
}

/// What a [`Follower`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FollowCounters {
    pub readings: u64,
    /// Readings that failed, or found what cannot be used.
    pub readings_failed: u64,
    /// How often new handshakes got a new configuration.
    pub configurations: u64,
}

/// Makes a configuration from what was read.
type Make<T> = Box<dyn Fn(&Texts) -> Result<Arc<T>, FollowError> + Send + Sync>;

/// Reads certificates again and again, and makes each new handshake use what was read.
pub struct Follower<T> {
    origin: Origin,
    make: Make<T>,
    texts: Texts,
    source: Source<T>,
    counters: watch::Sender<FollowCounters>,
}

impl Follower<ClientConfig> {
    /// Reads what an exporter needs. Objects need a `connection`. After an error this may be
    /// called again.
    pub async fn of_client(
        connection: Option<Arc<Connection>>,
        origin: ClientOrigin,
        policy: ClientPolicy,
    ) -> Result<Self, FollowError> {
        let ClientOrigin { authorities, pair } = origin;
        let origin = Origin { authorities: Some(authorities), pair, connection };
        Self::start(origin, Box::new(move |texts| make_client(texts, policy))).await
    }

    pub fn client(&self) -> ClientSource {
        self.source.clone()
    }
}

impl Follower<ServerConfig> {
    /// Reads what a collector needs from files.
    pub async fn server_files(files: ServerFiles) -> Result<Self, FollowError> {
        Self::of_server(files, Clients::Required).await
    }

    /// As [`Self::server_files`]; those who have no certificate get in, too.
    pub async fn server_files_for_anybody(files: ServerFiles) -> Result<Self, FollowError> {
        Self::of_server(files, Clients::Asked).await
    }

    async fn of_server(
        files: ServerFiles,
        clients: fn(RootCertStore) -> Clients,
    ) -> Result<Self, FollowError> {
        let origin = Origin {
            authorities: files.clients.map(AuthoritiesOrigin::File),
            pair: Some(PairOrigin::Files(files.pair)),
            connection: None,
        };
        Self::start(origin, Box::new(move |texts| make_server(texts, clients))).await
    }

    pub fn server(&self) -> ServerSource {
        self.source.clone()
    }
}

impl<T> Follower<T> {
    async fn start(origin: Origin, make: Make<T>) -> Result<Self, FollowError> {
        let texts = origin.read().await?;
        let source = Source::new(make(&texts)?);
        let first = FollowCounters { readings: 1, configurations: 1, ..FollowCounters::default() };
        Ok(Self { origin, make, texts, source, counters: watch::Sender::new(first) })
    }

    pub fn counters(&self) -> watch::Receiver<FollowCounters> {
        self.counters.subscribe()
    }

    /// Reads once. After an error, what was used before still is.
    pub async fn check(&mut self) -> Result<(), FollowError> {
        let checked = self.try_check().await;
        self.counters.send_modify(|counters| {
            counters.readings += 1;
            counters.readings_failed += u64::from(checked.is_err());
            counters.configurations += u64::from(checked.as_ref().is_ok_and(|is_new| *is_new));
        });
        checked.map(drop)
    }

    /// Reads every so often until `shutdown` turns true.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|asked| *asked) => return,
                () = self.due() => {}
            }
            if let Err(error) = self.check().await {
                let cause = error.source().map(ToString::to_string);
                tracing::warn!(%error, cause, "certificates were not read again");
            }
        }
    }

    async fn due(&self) {
        if self.origin.is_files() {
            return sleep(FILES_PERIOD).await;
        }
        sleep(GAP).await;
        tokio::select! {
            () = self.source.asked() => {}
            () = sleep(OBJECTS_PERIOD) => {}
        }
    }

    async fn try_check(&mut self) -> Result<bool, FollowError> {
        let texts = self.origin.read().await?;
        if texts == self.texts {
            return Ok(false);
        }
        self.source.replace((self.make)(&texts)?);
        self.texts = texts;
        tracing::info!("new certificates are used");
        Ok(true)
    }
}

impl<T> fmt::Debug for Follower<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Returns an error if a file that `origin` names cannot be used now. Objects are not asked for.
pub fn check_files(origin: &ClientOrigin) -> Result<(), FollowError> {
    if let AuthoritiesOrigin::File(path) = &origin.authorities {
        certificates_from_pem(&read_file_now(path)?).map_err(FollowError::Authorities)?;
    }
    if let Some(PairOrigin::Files(files)) = &origin.pair {
        let (certificates, key) = (read_file_now(&files.certificates)?, read_file_now(&files.key)?);
        Pair::from_pem(&certificates, &key).map_err(FollowError::Pair)?;
    }
    Ok(())
}

fn make_client(texts: &Texts, policy: ClientPolicy) -> Result<Arc<ClientConfig>, FollowError> {
    let roots = roots(texts)?.ok_or(FollowError::Authorities(PairError::Missing))?;
    let pair = texts.pair.as_ref().map(|(certificates, key)| Pair::from_pem(certificates, key));
    let own = pair.transpose().and_then(|pair| pair.map(|pair| pair.certified()).transpose());
    Ok(client_config(roots, own.map_err(FollowError::Pair)?, policy)?)
}

fn make_server(
    texts: &Texts,
    clients: fn(RootCertStore) -> Clients,
) -> Result<Arc<ServerConfig>, FollowError> {
    let (certificates, key) = texts.pair.as_ref().ok_or(FollowError::Pair(PairError::Missing))?;
    let pair = Pair::from_pem(certificates, key).and_then(|pair| pair.certified());
    let clients = roots(texts)?.map_or(Clients::Anybody, clients);
    Ok(server_config(pair.map_err(FollowError::Pair)?, clients)?)
}

fn roots(texts: &Texts) -> Result<Option<RootCertStore>, FollowError> {
    let Some(pem) = &texts.authorities else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates_from_pem(pem).map_err(FollowError::Authorities)? {
        roots.add(certificate)?;
    }
    Ok(Some(roots))
}
