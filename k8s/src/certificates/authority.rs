//! The CA: made, read, and what it signs.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose as Purpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use x509_parser::der_parser::asn1_rs::{Any, FromDer as _, Integer, OctetString, Sequence};
use x509_parser::parse_x509_certificate;
use x509_parser::x509::X509Name;

use super::pair::{Pair, PairError, Validity, certificates_to_pem, pem_text, validity};
use super::{BACKDATED_S, LIFETIME_S};

/// Which keys are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyKind {
    /// As Antrea's Flow Aggregator makes them.
    #[default]
    Rsa2048,
    EcdsaP256,
}

/// A CA: its certificate and its key.
pub(super) struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) validity: Validity,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in the form that is stored.
pub(super) struct Issued {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: KeyPair,
}

/// Why a CA cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum AuthorityError {
    #[error(transparent)]
    Pair(#[from] PairError),
    #[error("is not the certificate of a CA")]
    NoAuthority,
    #[error("has a name that cannot be repeated in certificates")]
    Name,
}

impl Authority {
    /// Makes a CA. Its name holds the time, so that it differs from the one before.
    pub(super) fn create(kind: KeyKind, now_s: u64) -> Result<Issued, rcgen::Error> {
        let key = generate(kind)?;
        let params = authority_params(now_s, now_s.saturating_add(LIFETIME_S));
        Ok(Issued { certificate: params.self_signed(&key)?.into(), key })
    }

    /// Reads a CA, which may be anybody's.
    pub(super) fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, AuthorityError> {
        let Pair { mut chain, key } = Pair::from_pem(certificate, key)?;
        let key = KeyPair::try_from(&key).map_err(|_| PairError::Key)?;
        let certificate = chain.swap_remove(0);
        check_authority(&certificate)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key);
        let issuer = issuer.map_err(|_| AuthorityError::Name)?;
        Ok(Self { validity: validity(&certificate)?, certificate, issuer })
    }

    /// Certifies the key and name of the `next` CA, made at `now_s`: who trusts this CA alone
    /// then trusts what the next one signs.
    pub(super) fn certify_next(
        &self,
        next: &Issued,
        now_s: u64,
    ) -> Result<CertificateDer<'static>, rcgen::Error> {
        let mut params = authority_params(now_s, self.end_of_issued(now_s));
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(&next.key, &self.issuer)?.into())
    }

    /// Issues what all exporters present.
    pub(super) fn client(&self, kind: KeyKind, now_s: u64) -> Result<Issued, rcgen::Error> {
        self.issue(kind, now_s, "client", Purpose::ClientAuth, &[])
    }

    /// Issues what a collector presents that is reached by any of `names`.
    pub(super) fn server(
        &self,
        kind: KeyKind,
        now_s: u64,
        names: &[ServerName<'static>],
    ) -> Result<Issued, rcgen::Error> {
        self.issue(kind, now_s, "server", Purpose::ServerAuth, names)
    }

    fn issue(
        &self,
        kind: KeyKind,
        now_s: u64,
        role: &str,
        purpose: Purpose,
        names: &[ServerName<'static>],
    ) -> Result<Issued, rcgen::Error> {
        let key = generate(kind)?;
        let common = format!("flow-aggregator-{role}-certificate@{now_s}");
        let mut params = params(&common, now_s, self.end_of_issued(now_s));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.subject_alt_names = names.iter().map(alternative).collect::<Result<_, _>>()?;
        Ok(Issued { certificate: params.signed_by(&key, &self.issuer)?.into(), key })
    }

    /// Nothing outlives who signed it.
    fn end_of_issued(&self, now_s: u64) -> u64 {
        now_s.saturating_add(LIFETIME_S).min(self.validity.not_after_s)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Authority");
        told.field("validity", &self.validity).field("key", &"***").finish_non_exhaustive()
    }
}

impl Issued {
    /// The certificate and the ones `behind` it, as PEM.
    pub(super) fn chain_pem<'a>(
        &'a self,
        behind: impl IntoIterator<Item = &'a CertificateDer<'static>>,
    ) -> String {
        certificates_to_pem([&self.certificate].into_iter().chain(behind))
    }

    /// The key as PEM: PKCS#1 if it is RSA, as Antrea's own.
    pub(super) fn key_pem(&self) -> Result<String, rcgen::Error> {
        let pkcs8 = self.key.serialized_der();
        if self.key.algorithm() != &PKCS_RSA_SHA256 {
            return Ok(pem_text("PRIVATE KEY", pkcs8));
        }
        let pkcs1 = inside_pkcs8(pkcs8).ok_or(rcgen::Error::CouldNotParseKeyPair)?;
        Ok(pem_text("RSA PRIVATE KEY", &pkcs1))
    }

    pub(super) fn into_pair(self) -> Pair {
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        Pair { chain: vec![self.certificate], key }
    }
}

fn generate(kind: KeyKind) -> Result<KeyPair, rcgen::Error> {
    match kind {
        KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyKind::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
    }
}

fn authority_params(now_s: u64, not_after_s: u64) -> CertificateParams {
    let mut params = params(&format!("flow-aggregator-ca@{now_s}"), now_s, not_after_s);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![Purpose::ClientAuth, Purpose::ServerAuth];
    params
}

fn params(common_name: &str, now_s: u64, not_after_s: u64) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // The type of dates ends with the year 9999.
    let at = |time_s: u64| epoch + Duration::from_secs(time_s.min(250_000_000_000));
    let mut params = CertificateParams::default();
    params.not_before = at(now_s.saturating_sub(BACKDATED_S));
    params.not_after = at(not_after_s);
    params.serial_number = Some(SerialNumber::from_slice(&serial()));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// 128 random bits but one, so that the number is positive, and one, so that all are as long.
fn serial() -> [u8; 16] {
    let mut serial: [u8; 16] = rand::random();
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

fn alternative(name: &ServerName<'static>) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        ServerName::IpAddress(address) => SanType::IpAddress(IpAddr::from(*address)),
        other => SanType::DnsName(other.to_str().as_ref().try_into()?),
    })
}

fn check_authority(certificate: &CertificateDer<'_>) -> Result<(), AuthorityError> {
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|_| PairError::Certificate)?;
    let signs = parsed.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign());
    if !parsed.is_ca() || !signs {
        return Err(AuthorityError::NoAuthority);
    }
    if is_repeatable(parsed.subject()) { Ok(()) } else { Err(AuthorityError::Name) }
}

/// Names are compared byte by byte, and `rcgen` writes a name anew as one value per type.
fn is_repeatable(name: &X509Name<'_>) -> bool {
    let mut kinds = Vec::new();
    let single = name.iter_rdn().all(|part| {
        kinds.extend(part.iter().map(|attribute| attribute.attr_type().clone()));
        part.iter().count() == 1
    });
    let count = kinds.len();
    kinds.sort_by_key(ToString::to_string);
    kinds.dedup();
    single && count > 0 && kinds.len() == count
}

/// The `privateKey` of a `PrivateKeyInfo` (RFC 5208, section 5), which for RSA is PKCS#1.
fn inside_pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let (_, info) = Sequence::from_der(der).ok()?;
    let (rest, _version) = Integer::from_der(&info.content).ok()?;
    let (rest, _algorithm) = Any::from_der(rest).ok()?;
    let (_, key) = OctetString::from_der(rest).ok()?;
    Some(key.as_ref().to_vec())
}
