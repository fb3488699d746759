//! TLS to the collector, out of PEM files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use daemon::Chain;
use ipfix::transport::ClientTls;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::settings::Protection;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0:?} is neither a name nor an address")]
    Name(String, #[source] InvalidDnsNameError),
    #[error("{} is no PEM file with what is wanted", .0.display())]
    Pem(PathBuf, #[source] pem::Error),
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    #[error("certificate cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// Reads the files now, and again before each handshake: certificates are renewed while this runs.
/// What cannot be read then is left, and the files' last good content is used.
pub fn client(protection: &Protection) -> Result<ClientTls, TlsError> {
    let Protection { server_name, .. } = protection;
    let name = ServerName::try_from(server_name.clone())
        .map_err(|error| TlsError::Name(server_name.clone(), error))?;
    let last = Mutex::new(config(protection)?);
    let protection = protection.clone();
    Ok(ClientTls::new(name, move || {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        match config(&protection) {
            Ok(config) => *last = config,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "TLS files cannot be used; the last ones are");
            }
        }
        Arc::clone(&last)
    }))
}

fn config(protection: &Protection) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&protection.ca)? {
        roots.add(certificate)?;
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    Ok(Arc::new(match &protection.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let unreadable = |error| TlsError::Pem(key.clone(), error);
            let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable)?;
            builder.with_client_auth_cert(certificates(certificate)?, key)?
        }
    }))
}

/// At least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| TlsError::Pem(path.to_owned(), error))?;
    if read.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(read) }
}
