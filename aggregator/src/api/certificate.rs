//! A certificate for whoever comes from this host, made anew at each start.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;
use rustls::{DEFAULT_VERSIONS, ServerConfig, SupportedCipherSuite};

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("it cannot be signed")]
    Signing(#[from] rcgen::Error),
    #[error("it cannot be served")]
    Serving(#[from] rustls::Error),
}

pub(super) fn for_localhost(
    is_tls13_only: bool,
    cipher_suites: &[&str],
) -> Result<Arc<ServerConfig>, CertificateError> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names)?.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    let is_spoken = |suite: &SupportedCipherSuite| {
        let name = suite.suite();
        suite.tls13().is_some() || name.as_str().is_some_and(|it| cipher_suites.contains(&it))
    };
    if !cipher_suites.is_empty() {
        provider.cipher_suites.retain(is_spoken);
    }
    let versions = if is_tls13_only { &[&TLS13][..] } else { DEFAULT_VERSIONS };
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok(Arc::new(config))
}
