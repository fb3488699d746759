//! TLS to the collector, out of PEM files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use daemon::Chain;
use ipfix::transport::ClientTls;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::destination::{Authorities, Identity, ObjectName, TlsSpec, TlsVersion};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0:?} is neither a name nor an address")]
    Name(String, #[source] InvalidDnsNameError),
    #[error("{} is no PEM file with what is wanted", .0.display())]
    Pem(PathBuf, #[source] pem::Error),
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    #[error("{}/{} is an object of the API server, which is not asked", .0.namespace, .0.name)]
    Object(ObjectName),
    #[error("certificate cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// Reads the files now, and again before each handshake: certificates are renewed while this runs.
/// What cannot be read then is left, and the files' last good content is used.
///
/// `host` is the name that a certificate must be for unless `spec` says another.
pub fn client(spec: &TlsSpec, host: &str) -> Result<ClientTls, TlsError> {
    let name = spec.server_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name.clone()).map_err(|error| TlsError::Name(name, error))?;
    let last = Mutex::new(config(spec)?);
    let spec = spec.clone();
    Ok(ClientTls::new(name, move || {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        match config(&spec) {
            Ok(config) => *last = config,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "TLS files cannot be used; the last ones are");
            }
        }
        Arc::clone(&last)
    }))
}

fn config(spec: &TlsSpec) -> Result<Arc<ClientConfig>, TlsError> {
    let ca = match &spec.ca {
        Authorities::File(path) => path,
        Authorities::ConfigMap(name) => return Err(TlsError::Object(name.clone())),
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate)?;
    }
    let versions: &[_] = match spec.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let builder =
        ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
    Ok(Arc::new(match &spec.identity {
        None => builder.with_no_client_auth(),
        Some(Identity::Files { certificate, key }) => {
            let unreadable = |error| TlsError::Pem(key.clone(), error);
            let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable)?;
            builder.with_client_auth_cert(certificates(certificate)?, key)?
        }
        Some(Identity::Secret(name)) => return Err(TlsError::Object(name.clone())),
    }))
}

/// At least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| TlsError::Pem(path.to_owned(), error))?;
    if read.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(read) }
}
