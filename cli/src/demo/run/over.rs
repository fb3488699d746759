//! What carries records from the exporters to the aggregator.
//!
//! Where that is TLS, both ends show a certificate. They are made for the run in the lab's
//! directory and go with it; what signed them is never written down.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::demo::lab::{Family, Host};

/// IPFIX's (RFC 7011, section 10.3), which Antrea's Flow Aggregator has over TLS too, and that one's
/// for gRPC.
const IPFIX_PORT: u16 = 4739;
const GRPC_PORT: u16 = 14739;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Over {
    /// IPFIX over TCP
    Tcp,
    /// IPFIX over TLS; both ends show certificates
    Tls,
    /// gRPC; both ends show certificates
    Grpc,
}

/// The arguments that tell both ends.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) aggregator: [OsString; 2],
    pub(super) exporter: [OsString; 2],
}

impl Over {
    /// As the user is told.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "IPFIX over TCP",
            Self::Tls => "IPFIX over mutual TLS",
            Self::Grpc => "gRPC over mutual TLS",
        }
    }

    /// Whether an exporter can keep a copy of what it sends: messages of IPFIX alone.
    pub const fn can_be_recorded(self) -> bool {
        !matches!(self, Self::Grpc)
    }

    /// Has `directory` hold what both ends need.
    pub(super) fn prepare(self, directory: &Path) -> Result<Ends> {
        let host = Host::Aggregator.address(Family::V4).to_string();
        let Some([aggregator, exporter]) = self.configurations(&host, directory) else {
            let ipfix: OsString = format!("{host}:{IPFIX_PORT}").into();
            return Ok(Ends {
                aggregator: ["--listen".into(), ipfix.clone()],
                exporter: ["--collector".into(), ipfix],
            });
        };
        certify(directory, &host)?;
        let file = |name: &str, text: &str| -> Result<[OsString; 2]> {
            let path = directory.join(name);
            write(&path, text)?;
            Ok(["--config".into(), path.into()])
        };
        Ok(Ends {
            aggregator: file("flow-aggregator.conf", &aggregator)?,
            exporter: file("flow-exporter.conf", &exporter)?,
        })
    }

    /// What the aggregator is told, and what the exporters are, where arguments cannot tell it.
    fn configurations(self, host: &str, directory: &Path) -> Option<[String; 2]> {
        let (listen, collector) = match self {
            Self::Tcp => return None,
            Self::Tls => (
                format!(
                    "{{ipfix: '{host}:{IPFIX_PORT}', grpc: off}}\naggregatorTransportProtocol: tls"
                ),
                format!("{host}:{IPFIX_PORT}:tls"),
            ),
            Self::Grpc => (
                format!("{{grpc: '{host}:{GRPC_PORT}'}}\naggregatorTransportProtocol: none"),
                format!("{host}:{GRPC_PORT}:grpc"),
            ),
        };
        let shown = directory.display();
        let pair = |name| format!("certFile: '{shown}/{name}.crt', keyFile: '{shown}/{name}.key'");
        let (aggregators, exporters) = (pair("aggregator"), pair("exporter"));
        Some([
            format!(
                "listen: {listen}\ntls: {{{aggregators}, clientCAFile: '{shown}/ca.crt'}}\n\
                 kubernetes: off\napiServer: {{apiPort: 0}}\n"
            ),
            format!(
                "flowCollectorAddr: '{collector}'\ntls: {{{exporters}, caFile: '{shown}/ca.crt'}}\n"
            ),
        ])
    }
}

/// Makes an authority, and certificates for the aggregator at `host` and for the exporters.
fn certify(directory: &Path, host: &str) -> Result<()> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    // One whose name is that of what it signs is taken for no authority.
    params.distinguished_name.push(DnType::CommonName, "fyke demo");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    write(&directory.join("ca.crt"), &authority.pem())?;
    for (name, known_as) in [("aggregator", host), ("exporter", "exporter")] {
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new([known_as.to_owned()])?.signed_by(&key, &authority)?;
        write(&directory.join(format!("{name}.crt")), &certificate.pem())?;
        write(&directory.join(format!("{name}.key")), &key.serialize_pem())?;
    }
    Ok(())
}

/// For its owner's eyes only from the first moment on.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_their_owners_and_the_authoritys_is_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        for over in [Over::Tls, Over::Grpc] {
            over.prepare(folder.path()).unwrap();
            let mut keys: Vec<String> = Vec::new();
            for entry in fs::read_dir(folder.path()).unwrap() {
                let entry = entry.unwrap();
                if fs::read_to_string(entry.path()).unwrap().contains("PRIVATE KEY") {
                    assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
                    keys.push(entry.file_name().into_string().unwrap());
                }
            }
            keys.sort();
            assert_eq!(keys, ["aggregator.key", "exporter.key"]);
        }
    }

    #[test]
    fn nothing_is_made_for_tcp() {
        let folder = tempfile::tempdir().unwrap();
        Over::Tcp.prepare(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
