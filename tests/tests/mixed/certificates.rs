//! An authority, and who it vouches for.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Makes a new authority and writes what it vouches for: `collector.test` and `exporter.test`.
///
/// Each file is replaced at once, as volumes of Kubernetes do; there may be readers.
pub(crate) fn write(folder: &Path) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // One whose name is that of what it signs is taken for no authority.
    authority.distinguished_name.push(DnType::CommonName, "authority");
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
    let replace = |name: &str, text: String| {
        fs::write(folder.join("new"), text).expect("a file");
        fs::rename(folder.join("new"), folder.join(name)).expect("a file");
    };
    replace("ca.pem", authority.pem());
    for name in ["collector.test", "exporter.test"] {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &authority).expect("a certificate");
        replace(&format!("{name}.pem"), certificate.pem());
        replace(&format!("{name}.key"), key.serialize_pem());
    }
}
