//! How long certificates are still good.

use rustls::{ClientConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::Step;

/// Asked of our own certificate, which is the same for all.
const SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::ED25519,
];

/// One that is shown, and by whom.
pub(super) struct Certificate {
    whose: &'static str,
    der: Vec<u8>,
}

impl Certificate {
    /// That of the collector.
    pub(super) fn of_peer(stream: &TlsStream<TcpStream>) -> Option<Self> {
        let der = stream.get_ref().1.peer_certificates()?.first()?.to_vec();
        Some(Self { whose: "the collector's certificate", der })
    }

    /// Ours, wherever it was read from.
    pub(super) fn ours(config: &ClientConfig) -> Option<Self> {
        let shown = config.client_auth_cert_resolver.resolve(&[], &SCHEMES)?;
        Some(Self { whose: "our certificate", der: shown.cert.first()?.to_vec() })
    }

    /// `now` in seconds since 1970. What renews certificates has done so long before a tenth of
    /// their time is left.
    pub(super) fn look_at(&self, step: Step, destination: &str, now: u64) -> Step {
        let whose = self.whose;
        let Ok((_, certificate)) = X509Certificate::from_der(&self.der) else {
            return step.warn(format!("{destination}: {whose} cannot be read"), "issue it anew");
        };
        let validity = certificate.validity();
        let (begin, end) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let left = end.saturating_sub(now);
        let until = validity.not_after;
        if now < begin {
            let found = format!("{destination}: {whose} is good from {} on", validity.not_before);
            return step.fail(found, "set this Node's clock, or issue the certificate anew");
        }
        if left <= 0 {
            return step.fail(format!("{destination}: {whose} ended at {until}"), "renew it");
        }
        let text = format!("{destination}: {whose} is good until {until}");
        if left.saturating_mul(10) < end.saturating_sub(begin) {
            step.warn(text, "less than a tenth of its time is left: see why it is not renewed")
        } else {
            step.ok(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    /// 2000-01-01 to 2000-04-10, so for 100 days.
    fn certificate() -> Certificate {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2000, 4, 10);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Certificate { whose: "our certificate", der }
    }

    #[test]
    fn one_that_ends_soon_is_a_warning_and_one_that_has_is_a_failure() {
        const DAY: u64 = 86_400;
        // `date -ud 2000-01-01 +%s`
        let begin = 946_684_800;
        let verdict = |now| certificate().look_at(Step::new("x"), "d", now).verdict();
        assert_eq!(verdict(begin - 1), Verdict::Fail);
        assert_eq!(verdict(begin + DAY), Verdict::Ok);
        assert_eq!(verdict(begin + 89 * DAY), Verdict::Ok);
        assert_eq!(verdict(begin + 91 * DAY), Verdict::Warn);
        assert_eq!(verdict(begin + 101 * DAY), Verdict::Fail);
    }
}
