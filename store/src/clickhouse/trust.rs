//! Whom to believe that it is the server, and what connections over TLS are made with.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DEFAULT_VERSIONS, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Bytes of a file of authorities at most.
const LARGEST_FILE: u64 = 1 << 20;

/// Whom to believe that it is the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Who has a certificate for the server's name, signed by one of the authorities in this file,
    /// as PEM. It is read anew for each connection.
    Authorities(PathBuf),
    /// Anybody: nothing protects from who is in between.
    Anybody,
}

/// Why nobody can be believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} has no certificates of authorities", path.display())]
    None { path: PathBuf },
    #[error("{} has a certificate that cannot be read", path.display())]
    Pem {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("certificates cannot be used for TLS")]
    Tls(#[from] Error),
}

/// Keeps what was read last: as long as the file is the same, sessions can be resumed.
#[derive(Debug)]
pub(super) struct Material {
    trust: Trust,
    last: Mutex<Option<(Vec<u8>, Arc<ClientConfig>)>>,
}

impl Material {
    pub(super) fn new(trust: Trust) -> Self {
        Self { trust, last: Mutex::new(None) }
    }

    /// What the next connection is to be made with.
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        let text = match &self.trust {
            Trust::Authorities(path) => read(path).await?,
            Trust::Anybody => Vec::new(),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, config)) = &*last
            && *known == text
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(match &self.trust {
            Trust::Authorities(path) => trusting(roots(path, &text)?)?,
            Trust::Anybody => trusting_anybody()?,
        });
        *last = Some((text, Arc::clone(&config)));
        Ok(config)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    let failed = |source| TrustError::Read { path: path.to_owned(), source };
    if tokio::fs::metadata(path).await.map_err(failed)?.len() > LARGEST_FILE {
        return Err(failed(io::Error::other("it is larger than a mebibyte")));
    }
    tokio::fs::read(path).await.map_err(failed)
}

fn roots(path: &Path, text: &[u8]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let unread = |source| TrustError::Pem { path: path.to_owned(), source };
        roots.add(certificate.map_err(unread)?)?;
    }
    if roots.is_empty() { Err(TrustError::None { path: path.to_owned() }) } else { Ok(roots) }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, Error> {
    let builder =
        ClientConfig::builder_with_provider(provider()).with_protocol_versions(DEFAULT_VERSIONS)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn trusting_anybody() -> Result<ClientConfig, Error> {
    let builder =
        ClientConfig::builder_with_provider(provider()).with_protocol_versions(DEFAULT_VERSIONS)?;
    let verifier = Arc::new(Anybody(provider()));
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Takes any certificate; that its holder has the key is still checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
