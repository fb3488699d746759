//! The aggregator's side: keeps the objects right, and serves with what they say.
//!
//! The objects are read once a minute rather than watched: three requests, no state to lose, and
//! with an overlap of 30 days nothing depends on the minute. Antrea watches, and looks hourly.

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;

use super::RENEW_BEFORE_S;
use super::authority::KeyKind;
use super::objects::{Found, Objects};
use super::origin::{ReadError, read_file};
use super::pair::{Pair, PairError, certificates_from_pem};
use super::state::{Step, Trust, check_client, new_authority, next};
use super::tls::{Clients, ServerSource, Source, server_config};
use crate::request::ObjectError;

/// How often the objects are read if nobody says otherwise.
const PERIOD: Duration = Duration::from_mins(1);
/// How often a check that failed is repeated.
const RETRY: Duration = Duration::from_secs(5);
/// Reads in one check. Each write takes one, and so does each that somebody else was faster with.
const ROUNDS: u32 = 64;

/// What a [`Keeper`] keeps.
#[derive(Debug, Clone)]
pub struct Options {
    namespace: String,
    names: Vec<ServerName<'static>>,
    key: KeyKind,
    period: Duration,
    further: Option<PathBuf>,
}

impl Options {
    /// For the collectors behind the Service `flow-aggregator` of `namespace`: RSA keys, and a
    /// look once a minute.
    pub fn new(namespace: &str) -> Result<Self, InvalidDnsNameError> {
        let service = ServerName::try_from(format!("flow-aggregator.{namespace}.svc"))?;
        Ok(Self {
            namespace: namespace.to_owned(),
            names: vec![service],
            key: KeyKind::default(),
            period: PERIOD,
            further: None,
        })
    }

    /// Adds a name or address by which exporters reach the collectors.
    #[must_use]
    pub fn reached_by(mut self, name: ServerName<'static>) -> Self {
        self.names.push(name);
        self
    }

    /// Sets what keys are made from now on. Those that exist are used until they are due.
    #[must_use]
    pub fn keys(mut self, key: KeyKind) -> Self {
        self.key = key;
        self
    }

    /// Sets how often the objects are read, once a second at most.
    #[must_use]
    pub fn checked_every(mut self, period: Duration) -> Self {
        self.period = period.max(Duration::from_secs(1));
        self
    }

    /// Lets in also those whose certificates are of an authority in the PEM `file`, which is read
    /// at each check.
    #[must_use]
    pub fn also_trusting(mut self, file: PathBuf) -> Self {
        self.further = Some(file);
        self
    }

    async fn further(&self) -> Result<Vec<CertificateDer<'static>>, CheckError> {
        let Some(file) = &self.further else { return Ok(Vec::new()) };
        certificates_from_pem(&read_file(file).await?).map_err(CheckError::Further)
    }
}

/// Why the objects could not be checked or set right.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("the CA is not valid yet; is a clock wrong?")]
    NotYetValid,
    #[error("the CA cannot sign for clients: it was not made for that")]
    CannotSign,
    #[error("somebody changed the certificates {ROUNDS} times while they were being set right")]
    Contended,
    #[error("no certificate could be made")]
    Issue(#[from] rcgen::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("what tells whom else to let in {0}")]
    Further(#[source] PairError),
    #[error("certificate of our own {0}")]
    Pair(#[from] PairError),
    #[error("certificates cannot be used for TLS")]
    Tls(#[from] rustls::Error),
    #[error("making a certificate was broken off")]
    Task(#[from] JoinError),
}

/// What a [`Keeper`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub checks: u64,
    pub checks_failed: u64,
    /// Writes that somebody else was faster with.
    pub conflicts: u64,
    pub authorities_written: u64,
    pub clients_written: u64,
    pub bundles_written: u64,
    /// How often new handshakes got a new configuration.
    pub configurations: u64,
    /// When the CA ends, in seconds since 1970.
    pub authority_ends_s: u64,
}

/// Keeps the CA, the clients' pair and the bundle, and has a server's pair of its own.
///
/// Any number of replicas may do so at once.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    server: Server,
    /// Authorities of clients beside our own.
    further: Vec<CertificateDer<'static>>,
    required: ServerSource,
    asked: ServerSource,
}

/// The objects, and how they are kept.
struct Store {
    objects: Objects,
    options: Options,
    counters: watch::Sender<Counters>,
}

/// What the present configurations were made from.
#[derive(Debug)]
struct Server {
    /// Without what is behind it for holders of the previous CA.
    pair: Pair,
    authority: CertificateDer<'static>,
    behind: Option<CertificateDer<'static>>,
}

impl Keeper {
    /// Makes what is missing and reads what is there. After an error this may be called again.
    pub async fn start(client: &Client, options: Options, now_s: u64) -> Result<Self, CheckError> {
        let objects = Objects::new(client, &options.namespace);
        let store = Store { objects, options, counters: watch::Sender::default() };
        let trust = store.settle(now_s).await?;
        let further = store.options.further().await?;
        let server = Server::new(&store.options, &trust, now_s).await?;
        let required = Source::new(server.config(Clients::Required(roots(&trust, &further)?))?);
        let asked = Source::new(server.config(Clients::Asked(roots(&trust, &further)?))?);
        store.count(|counters| counters.configurations += 1);
        Ok(Self { store, server, further, required, asked })
    }

    /// Returns what a collector serves with that lets in only who has a certificate of our CA.
    pub fn server(&self) -> ServerSource {
        self.required.clone()
    }

    /// Returns what a server serves with that asks for a certificate of our CA and lets in those,
    /// too, who have none.
    pub fn server_for_anybody(&self) -> ServerSource {
        self.asked.clone()
    }

    pub fn counters(&self) -> watch::Receiver<Counters> {
        self.store.counters.subscribe()
    }

    /// Reads the objects, sets right what is not, and serves with what they say.
    ///
    /// After an error, what was served before still is.
    pub async fn check(&mut self, now_s: u64) -> Result<(), CheckError> {
        let checked = self.try_check(now_s).await;
        self.store.count(|counters| counters.checks_failed += u64::from(checked.is_err()));
        checked
    }

    /// Checks every so often until `shutdown` turns true. `clock` tells seconds since 1970.
    pub async fn run(mut self, clock: impl Fn() -> u64, mut shutdown: watch::Receiver<bool>) {
        let period = self.store.options.period;
        let mut wait = period;
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|asked| *asked) => return,
                () = sleep(wait) => {}
            }
            wait = match self.check(clock()).await {
                Ok(()) => period,
                Err(error) => {
                    let cause = error.source().map(ToString::to_string);
                    tracing::warn!(%error, cause, "certificates were not checked");
                    RETRY.min(period)
                }
            };
        }
    }

    async fn try_check(&mut self, now_s: u64) -> Result<(), CheckError> {
        let trust = self.store.settle(now_s).await?;
        let further = self.store.options.further().await?;
        if self.server.is_current(&trust, now_s)? && further == self.further {
            return Ok(());
        }
        let (required, asked) = (roots(&trust, &further)?, roots(&trust, &further)?);
        self.server.renew(&self.store.options, &trust, now_s).await?;
        let required = self.server.config(Clients::Required(required))?;
        let asked = self.server.config(Clients::Asked(asked))?;
        self.required.replace(required);
        self.asked.replace(asked);
        self.further = further;
        self.store.count(|counters| counters.configurations += 1);
        tracing::info!(overlap = trust.previous.is_some(), "new certificates are served");
        Ok(())
    }
}

impl Store {
    fn count(&self, change: impl FnOnce(&mut Counters)) {
        self.counters.send_modify(change);
    }

    /// Sets right one thing after the other, until all is.
    async fn settle(&self, now_s: u64) -> Result<Trust, CheckError> {
        self.count(|counters| counters.checks += 1);
        for _ in 0..ROUNDS {
            let found = self.objects.read().await?;
            let step = next(&found.stored(), now_s).ok_or(CheckError::NotYetValid)?;
            if let Step::Nothing(trust) = step {
                let ends_s = trust.authority.validity.not_after_s;
                self.count(|counters| counters.authority_ends_s = ends_s);
                return Ok(trust);
            }
            match self.write(found, step, now_s).await {
                Err(CheckError::Object(error)) if error.is_race() => {
                    self.count(|counters| counters.conflicts += 1);
                    sleep(Duration::from_millis(rand::random_range(5..50))).await;
                }
                written => written?,
            }
        }
        Err(CheckError::Contended)
    }

    async fn write(&self, found: Found, step: Step, now_s: u64) -> Result<(), CheckError> {
        let kind = self.options.key;
        match step {
            Step::Authority { why, outgoing } => {
                let overlap = outgoing.is_some();
                let make = move || new_authority(kind, now_s, outgoing.as_deref());
                self.objects.write_authority(found, spawn_blocking(make).await??).await?;
                tracing::info!(%why, overlap, "made a new CA");
                self.count(|counters| counters.authorities_written += 1);
            }
            Step::Client { why, trust } => {
                let make = move || (trust.new_client(kind, now_s), trust);
                let (data, trust) = spawn_blocking(make).await?;
                let data = data?;
                if check_client(Some(&data), &trust, now_s).is_err() {
                    return Err(CheckError::CannotSign);
                }
                self.objects.write_client(found, data).await?;
                tracing::info!(%why, "made a new pair for clients");
                self.count(|counters| counters.clients_written += 1);
            }
            Step::Bundle(trust) => {
                self.objects.write_bundle(found, trust.bundle()).await?;
                tracing::info!(overlap = trust.previous.is_some(), "wrote whom clients trust");
                self.count(|counters| counters.bundles_written += 1);
            }
            Step::Nothing(_) => {}
        }
        Ok(())
    }
}

impl Server {
    async fn new(options: &Options, trust: &Trust, now_s: u64) -> Result<Self, CheckError> {
        let (kind, names) = (options.key, options.names.clone());
        let authority = Arc::clone(&trust.authority);
        let issued = spawn_blocking(move || authority.server(kind, now_s, &names)).await??;
        Ok(Self {
            pair: issued.into_pair(),
            authority: trust.authority.certificate.clone(),
            behind: trust.behind().cloned(),
        })
    }

    fn is_current(&self, trust: &Trust, now_s: u64) -> Result<bool, PairError> {
        Ok(self.is_signed_by(trust, now_s)? && self.behind.as_ref() == trust.behind())
    }

    fn is_signed_by(&self, trust: &Trust, now_s: u64) -> Result<bool, PairError> {
        let is_fresh = self.pair.validity()?.not_after_s >= now_s.saturating_add(RENEW_BEFORE_S);
        Ok(is_fresh && self.authority == trust.authority.certificate)
    }

    async fn renew(
        &mut self,
        options: &Options,
        trust: &Trust,
        now_s: u64,
    ) -> Result<(), CheckError> {
        if self.is_signed_by(trust, now_s)? {
            self.behind = trust.behind().cloned();
        } else {
            *self = Self::new(options, trust, now_s).await?;
        }
        Ok(())
    }

    fn config(&self, clients: Clients) -> Result<Arc<ServerConfig>, CheckError> {
        let mut certified = self.pair.certified()?;
        certified.cert.extend(self.behind.clone());
        Ok(server_config(certified, clients)?)
    }
}

fn roots(
    trust: &Trust,
    further: &[CertificateDer<'static>],
) -> Result<RootCertStore, rustls::Error> {
    let mut roots = trust.roots()?;
    further.iter().try_for_each(|certificate| roots.add(certificate.clone()))?;
    Ok(roots)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("options", &self.options).finish_non_exhaustive()
    }
}
