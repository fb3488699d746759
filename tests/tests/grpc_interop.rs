//! The gRPC project's own implementation reads our messages, and we read its.

#[path = "grpc_interop/collectors.rs"]
mod collectors;
#[path = "grpc_interop/exporters.rs"]
mod exporters;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// An authority, a collector's certificate for `collector.test`, and an exporter's.
fn certificates() -> TempDir {
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
    for name in ["collector.test", "exporter.test"] {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &authority).expect("a certificate");
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    folder
}

/// One of the Python programs, with the `.proto` file where it looks for it.
fn python(script: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    let mut command = Command::new(python);
    command.arg(root.join("tests/grpc_interop").join(script));
    command.env("PYTHONPATH", root.join("../grpc/proto"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}
