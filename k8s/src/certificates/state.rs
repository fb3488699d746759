//! What is stored, and what must be written next: a function of both that and the time.
//!
//! Each replica does the first thing that is wrong, reads everything again, and so on. A write
//! that somebody else was faster with fails, so that all replicas come to the same state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::parse_x509_certificate;

use super::authority::{Authority, AuthorityError, KeyKind};
use super::pair::{
    Pair, PairError, certificates_from_pem, certificates_to_pem, provider, validity,
};
use super::{
    BACKDATED_S, CERTIFICATE_KEY, CROSS_KEY, OVERLAP_S, PREVIOUS_KEY, PRIVATE_KEY_KEY,
    RENEW_BEFORE_S,
};

/// What a Secret holds, by key.
pub(super) type Data = BTreeMap<String, Vec<u8>>;

/// What was found. `None` if the object is not there.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) authority: Option<Data>,
    pub(super) client: Option<Data>,
    pub(super) bundle: Option<String>,
}

/// Whom to trust at the moment.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) authority: Arc<Authority>,
    pub(super) previous: Option<Previous>,
}

/// The CA before, for as long as it is trusted.
#[derive(Debug)]
pub(super) struct Previous {
    pub(super) certificate: CertificateDer<'static>,
    /// The present CA, certified by the previous one.
    pub(super) cross: CertificateDer<'static>,
}

/// The first thing that is not as it should be.
#[derive(Debug)]
pub(super) enum Step {
    /// A new CA; it overlaps with the `outgoing` one if that can still sign.
    Authority {
        why: Why,
        outgoing: Option<Arc<Authority>>,
    },
    Client {
        why: Why,
        trust: Trust,
    },
    Bundle(Trust),
    Nothing(Trust),
}

/// Why something is replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    #[error("it {0}")]
    Unusable(#[from] AuthorityError),
    #[error("it has less than 90 days left")]
    Expiring,
    #[error("the CA has not signed it for clients")]
    NotSigned,
    #[error("who trusts the previous CA alone could not verify it")]
    NotCrossed,
}

impl From<PairError> for Why {
    fn from(error: PairError) -> Self {
        Self::Unusable(error.into())
    }
}

/// Finds what must be written next. `None` while the CA is not valid yet: either its maker's
/// clock or ours is wrong, and replicas that replace each other's CAs would make it worse.
pub(super) fn next(stored: &Stored, now_s: u64) -> Option<Step> {
    let authority = match read_authority(stored) {
        Ok(authority) => Arc::new(authority),
        Err(why) => return Some(Step::Authority { why: why.into(), outgoing: None }),
    };
    if authority.validity.not_before_s > now_s {
        return None;
    }
    if authority.validity.not_after_s < now_s.saturating_add(RENEW_BEFORE_S) {
        let outgoing = (authority.validity.not_after_s > now_s).then_some(authority);
        return Some(Step::Authority { why: Why::Expiring, outgoing });
    }
    let previous = previous(stored, &authority, now_s);
    let trust = Trust { authority, previous };
    if let Err(why) = check_client(stored.client.as_ref(), &trust, now_s) {
        return Some(Step::Client { why, trust });
    }
    if stored.bundle.as_deref() != Some(trust.bundle().as_str()) {
        return Some(Step::Bundle(trust));
    }
    Some(Step::Nothing(trust))
}

/// Makes a CA, and what its Secret holds.
pub(super) fn new_authority(
    kind: KeyKind,
    now_s: u64,
    outgoing: Option<&Authority>,
) -> Result<Data, rcgen::Error> {
    let issued = Authority::create(kind, now_s)?;
    let mut data = pair_data(issued.chain_pem([]), issued.key_pem()?);
    if let Some(outgoing) = outgoing {
        let cross = outgoing.certify_next(&issued, now_s)?;
        data.insert(PREVIOUS_KEY.into(), certificates_to_pem([&outgoing.certificate]).into());
        data.insert(CROSS_KEY.into(), certificates_to_pem([&cross]).into());
    }
    Ok(data)
}

impl Trust {
    /// What exporters trust, the present CA first.
    pub(super) fn bundle(&self) -> String {
        certificates_to_pem(self.certificates())
    }

    pub(super) fn roots(&self) -> Result<RootCertStore, rustls::Error> {
        let mut roots = RootCertStore::empty();
        self.certificates().try_for_each(|certificate| roots.add(certificate.clone()))?;
        Ok(roots)
    }

    /// What goes behind a certificate of the present CA, for who trusts the previous one alone.
    pub(super) fn behind(&self) -> Option<&CertificateDer<'static>> {
        self.previous.as_ref().map(|previous| &previous.cross)
    }

    /// Issues a client's pair, as its Secret holds it.
    pub(super) fn new_client(&self, kind: KeyKind, now_s: u64) -> Result<Data, rcgen::Error> {
        let issued = self.authority.client(kind, now_s)?;
        Ok(pair_data(issued.chain_pem(self.behind()), issued.key_pem()?))
    }

    fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let previous = self.previous.as_ref().map(|previous| &previous.certificate);
        [&self.authority.certificate].into_iter().chain(previous)
    }
}

fn pair_data(certificates: String, key: String) -> Data {
    Data::from([
        (CERTIFICATE_KEY.into(), certificates.into()),
        (PRIVATE_KEY_KEY.into(), key.into()),
    ])
}

/// The certificates and the key of a Secret.
pub(super) fn pair_of(data: Option<&Data>) -> Result<(&[u8], &[u8]), PairError> {
    let entry = |key| data.and_then(|data| data.get(key)).ok_or(PairError::Missing);
    Ok((entry(CERTIFICATE_KEY)?, entry(PRIVATE_KEY_KEY)?))
}

fn read_authority(stored: &Stored) -> Result<Authority, AuthorityError> {
    let (certificate, key) = pair_of(stored.authority.as_ref())?;
    Authority::from_pem(certificate, key)
}

/// The CA before `authority`, while both are trusted. What somebody left behind who replaced the
/// CA without us does not fit the CA, and counts for nothing.
fn previous(stored: &Stored, authority: &Authority, now_s: u64) -> Option<Previous> {
    let data = stored.authority.as_ref()?;
    let one = |key| certificates_from_pem(data.get(key)?).ok()?.into_iter().next();
    let (certificate, cross) = (one(PREVIOUS_KEY)?, one(CROSS_KEY)?);
    let made_s = authority.validity.not_before_s.saturating_add(BACKDATED_S);
    let until_s = validity(&certificate).ok()?.not_after_s.min(made_s.saturating_add(OVERLAP_S));
    let fits = is_same_key(&cross, &authority.certificate)? && is_issued_by(&cross, &certificate)?;
    (fits && now_s < until_s).then_some(Previous { certificate, cross })
}

fn is_same_key(one: &CertificateDer<'_>, other: &CertificateDer<'_>) -> Option<bool> {
    let (_, one) = parse_x509_certificate(one).ok()?;
    let (_, other) = parse_x509_certificate(other).ok()?;
    let same_name = one.subject().as_raw() == other.subject().as_raw();
    Some(same_name && one.public_key().raw == other.public_key().raw)
}

fn is_issued_by(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> Option<bool> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let (_, issuer) = parse_x509_certificate(issuer).ok()?;
    Some(issuer.is_ca() && certificate.issuer().as_raw() == issuer.subject().as_raw())
}

/// Judges the clients' pair as its Secret holds it.
pub(super) fn check_client(data: Option<&Data>, trust: &Trust, now_s: u64) -> Result<(), Why> {
    let (certificates, key) = pair_of(data)?;
    let pair = Pair::from_pem(certificates, key)?;
    if pair.validity()?.not_after_s < now_s.saturating_add(RENEW_BEFORE_S) {
        return Err(Why::Expiring);
    }
    if !is_client_of(&pair, &trust.authority.certificate, now_s) {
        return Err(Why::NotSigned);
    }
    // Nothing checks a signature twice: the cross-signed certificate came with the CA.
    match trust.behind() {
        Some(cross) if !pair.chain.contains(cross) => Err(Why::NotCrossed),
        _ => Ok(()),
    }
}

/// As a collector would judge that trusts `authority` alone.
fn is_client_of(pair: &Pair, authority: &CertificateDer<'static>, now_s: u64) -> bool {
    let mut roots = RootCertStore::empty();
    let added = roots.add(authority.clone());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let Ok(verifier) = builder.build() else { return false };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now_s));
    let Some((own, behind)) = pair.chain.split_first() else { return false };
    added.is_ok() && verifier.verify_client_cert(own, behind, now).is_ok()
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::DAY_S;

    const BEGIN: u64 = 1_800_000_000;

    fn stored(authority: Data) -> Stored {
        Stored { authority: Some(authority), ..Stored::default() }
    }

    /// A CA made at `now_s`, with an overlap with one made at `BEGIN`.
    fn rotated(now_s: u64) -> Data {
        let first = new_authority(KeyKind::EcdsaP256, BEGIN, None).unwrap();
        let first = read_authority(&stored(first)).unwrap();
        new_authority(KeyKind::EcdsaP256, now_s, Some(&first)).unwrap()
    }

    fn overlaps(data: &Data, now_s: u64) -> bool {
        let stored = stored(data.clone());
        let authority = read_authority(&stored).unwrap();
        previous(&stored, &authority, now_s).is_some()
    }

    #[test]
    fn an_overlap_lasts_for_thirty_days() {
        let now = BEGIN + 280 * DAY_S;
        let data = rotated(now);
        assert!(overlaps(&data, now) && overlaps(&data, now + 30 * DAY_S - 1));
        assert!(!overlaps(&data, now + 30 * DAY_S));
    }

    #[test]
    fn an_overlap_ends_with_the_old_ca() {
        let now = BEGIN + 350 * DAY_S;
        let data = rotated(now);
        assert!(overlaps(&data, now + 15 * DAY_S - 1) && !overlaps(&data, now + 15 * DAY_S));
    }

    /// Somebody replaced the CA, and left our entries beside it.
    #[test]
    fn what_does_not_fit_the_ca_counts_for_nothing() {
        let now = BEGIN + 280 * DAY_S;
        let (mut data, other) = (rotated(now), rotated(now));
        for key in [CERTIFICATE_KEY, PRIVATE_KEY_KEY] {
            data.insert(key.to_owned(), other[key].clone());
        }
        assert!(!overlaps(&data, now));
        let mut data = rotated(now);
        data.insert(PREVIOUS_KEY.to_owned(), data[CERTIFICATE_KEY].clone());
        assert!(!overlaps(&data, now), "it was not the one before");
        data.insert(PREVIOUS_KEY.to_owned(), b"no PEM".to_vec());
        assert!(!overlaps(&data, now));
    }

    #[test]
    fn nothing_that_is_stored_makes_it_panic() {
        let now = BEGIN + 280 * DAY_S;
        let data = rotated(now);
        for key in [CERTIFICATE_KEY, PREVIOUS_KEY, CROSS_KEY] {
            let der = certificates_from_pem(&data[key]).unwrap().remove(0);
            for place in 0..der.len() {
                let mut changed = der.to_vec();
                changed[place] ^= 1 << (place % 8);
                let mut data = data.clone();
                let pem = certificates_to_pem([&CertificateDer::from(changed)]);
                data.insert(key.to_owned(), pem.into_bytes());
                next(&stored(data), now);
            }
        }
        for length in 0..data[PRIVATE_KEY_KEY].len() {
            let mut data = data.clone();
            data.get_mut(PRIVATE_KEY_KEY).unwrap().truncate(length);
            next(&stored(data), now);
        }
    }
}
