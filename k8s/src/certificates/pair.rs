//! A certificate chain and its private key, as PEM and in memory.
//!
//! Keys may come as PKCS#1, PKCS#8 or SEC1, as Go's `tls.X509KeyPair` takes them.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, SupportedCipherSuite};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::parse_x509_certificate;

/// Why a pair is of no use. Says nothing of what was read: it may be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    #[error("is missing")]
    Missing,
    #[error("holds something that is no certificate")]
    Certificate,
    #[error("holds no private key that can be used")]
    Key,
    #[error("holds a private key of another certificate")]
    Mismatch,
}

/// A chain, its own certificate first, and the key of that.
pub(super) struct Pair {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// From when to when a certificate is good, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before_s: u64,
    pub(super) not_after_s: u64,
}

impl Pair {
    /// Reads PEM. The key must be that of the first certificate.
    pub(super) fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let chain = certificates_from_pem(certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PairError::Key)?;
        let pair = Self { chain, key };
        pair.certified()?;
        Ok(pair)
    }

    /// What rustls presents.
    pub(super) fn certified(&self) -> Result<CertifiedKey, PairError> {
        let key = aws_lc_rs::sign::any_supported_type(&self.key).map_err(|_| PairError::Key)?;
        let certified = CertifiedKey::new(self.chain.clone(), key);
        certified.keys_match().map_err(|_| PairError::Mismatch)?;
        Ok(certified)
    }

    pub(super) fn validity(&self) -> Result<Validity, PairError> {
        validity(self.chain.first().ok_or(PairError::Missing)?)
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("chain", &self.chain.len()).field("key", &"***").finish()
    }
}

/// Every certificate in `pem`, of which there must be one at least.
pub(super) fn certificates_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PairError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = read.map_err(|_| PairError::Certificate)?;
    for certificate in &certificates {
        validity(certificate)?;
    }
    if certificates.is_empty() { Err(PairError::Missing) } else { Ok(certificates) }
}

pub(super) fn certificates_to_pem<'a>(
    certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> String {
    let one = |der: &CertificateDer<'_>| pem_text("CERTIFICATE", der);
    certificates.into_iter().map(one).collect()
}

/// Lines end as everywhere but in the RFC's examples.
pub(super) fn pem_text(label: &str, der: &[u8]) -> String {
    let unix = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der.to_vec()), unix)
}

pub(super) fn validity(certificate: &CertificateDer<'_>) -> Result<Validity, PairError> {
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|_| PairError::Certificate)?;
    let validity = parsed.validity();
    let since_1970 = |time: i64| u64::try_from(time).unwrap_or(0);
    Ok(Validity {
        not_before_s: since_1970(validity.not_before.timestamp()),
        not_after_s: since_1970(validity.not_after.timestamp()),
    })
}

/// The one provider there is; naming it keeps a second one in the tree from mattering.
///
/// The cipher that every TLS 1.3 has (RFC 8446, section 9.1) comes first, as in Go's TLS and so in
/// Antrea's exporters. With a key twice as long, which rustls would prefer, a collector takes longer
/// to read.
pub(super) fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    let is_other =
        |suite: &SupportedCipherSuite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(is_other);
    Arc::new(provider)
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::DEFAULT_CIPHER_SUITES;

    use super::*;

    #[test]
    fn the_cipher_everybody_has_comes_first_and_none_is_missing() {
        let suites = &provider().cipher_suites;
        assert_eq!(suites[0].suite(), CipherSuite::TLS13_AES_128_GCM_SHA256);
        assert!(DEFAULT_CIPHER_SUITES.iter().all(|suite| suites.contains(suite)));
        assert_eq!(suites.len(), DEFAULT_CIPHER_SUITES.len());
    }
}
