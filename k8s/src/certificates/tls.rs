//! Configurations for rustls, exchanged while in use.
//!
//! A handshake uses the configuration that is current when it begins. Sessions that are open keep
//! theirs, so an exchange ends none of them; and a session of TLS that is resumed was begun under
//! the same configuration, since each has a memory of its own.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, DEFAULT_VERSIONS, RootCertStore, ServerConfig};
use tokio::sync::Notify;

use super::pair::provider;

/// What a collector's handshakes use.
pub type ServerSource = Source<ServerConfig>;
/// What an exporter's handshakes use.
pub type ClientSource = Source<ClientConfig>;

/// A configuration that is always current. Clones are the same source.
pub struct Source<T>(Arc<Shared<T>>);

struct Shared<T> {
    current: ArcSwap<T>,
    asked: Notify,
}

impl<T> Source<T> {
    pub(super) fn new(config: Arc<T>) -> Self {
        Self(Arc::new(Shared { current: ArcSwap::new(config), asked: Notify::new() }))
    }

    /// Returns what the next handshake is to use. Must be asked before each.
    pub fn config(&self) -> Arc<T> {
        self.0.asked.notify_one();
        self.0.current.load_full()
    }

    pub(super) fn replace(&self, config: Arc<T>) {
        self.0.current.store(config);
    }

    /// Waits until somebody has asked for the configuration since the last time.
    pub(super) async fn asked(&self) {
        self.0.asked.notified().await;
    }
}

impl<T> Clone for Source<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

/// Whether peers of a server show a certificate, which is then signed by one of these.
pub(super) enum Clients {
    Anybody,
    Asked(RootCertStore),
    Required(RootCertStore),
}

/// Makes a collector's configuration: TLS 1.2 or newer.
pub(super) fn server_config(
    certified: CertifiedKey,
    clients: Clients,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(DEFAULT_VERSIONS)?;
    let verifier = |roots| WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = match clients {
        Clients::Anybody => None,
        Clients::Asked(roots) => Some(verifier(roots).allow_unauthenticated()),
        Clients::Required(roots) => Some(verifier(roots)),
    };
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => {
            let verifier = verifier.build().map_err(|e| rustls::Error::General(e.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let resolver = SingleCertAndKey::from(certified);
    Ok(Arc::new(builder.with_cert_resolver(Arc::new(resolver))))
}

/// What an exporter asks of a session, beside certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientPolicy {
    /// No session with TLS 1.2.
    pub tls13_only: bool,
    /// The application protocol that is asked for (RFC 7301), if any.
    pub protocol: Option<&'static str>,
}

/// Makes an exporter's configuration: TLS 1.2 or newer, unless `policy` says otherwise. It trusts
/// `roots`, and presents `own` if there is one.
pub(super) fn client_config(
    roots: RootCertStore,
    own: Option<CertifiedKey>,
    policy: ClientPolicy,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let versions = if policy.tls13_only { &[&TLS13][..] } else { DEFAULT_VERSIONS };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
    };
    config.alpn_protocols = policy.protocol.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}
