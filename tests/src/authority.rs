//! Certificates for both ends of a test, and the Python programs at the other one.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority, a collector's certificate for `collector.test`, and an exporter's.
pub fn certificates() -> TempDir {
    certificates_for(&["collector.test", "exporter.test"])
}

/// An authority (`ca.pem`), and a certificate and a key for each of these names (`NAME.pem`,
/// `NAME.key`).
pub fn certificates_for(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // One whose name is that of what it signs is taken for no authority.
    authority.distinguished_name.push(DnType::CommonName, "authority");
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
    let write = |name: &str, text: String| {
        fs::write(folder.path().join(name), text).expect("a file");
    };
    write("ca.pem", authority.pem());
    for name in names {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new([(*name).to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &authority).expect("a certificate");
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    folder
}

/// One of the Python programs, with the `.proto` file where it looks for it.
pub fn python(script: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    let mut command = Command::new(python);
    command.arg(root.join("tests").join(script));
    command.env("PYTHONPATH", root.join("../grpc/proto"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}
