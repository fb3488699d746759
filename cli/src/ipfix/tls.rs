//! TLS configurations out of PEM files. A field tool asks for them once.

use std::path::Path;
use std::sync::Arc;

use ::ipfix::transport::{ClientTls, ServerTls};
use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A certificate with its chain, and its key.
pub(super) fn identity(certificate: &Path, key: &Path) -> anyhow::Result<Identity> {
    let unreadable = |path: &Path| format!("{} is no PEM file of that kind", path.display());
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| unreadable(certificate))?;
    Ok((chain, PrivateKeyDer::from_pem_file(key).with_context(|| unreadable(key))?))
}

fn roots(path: &Path) -> anyhow::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    let unreadable = || format!("{} holds no certificates", path.display());
    for certificate in CertificateDer::pem_file_iter(path).with_context(unreadable)? {
        roots.add(certificate.with_context(unreadable)?)?;
    }
    anyhow::ensure!(!roots.is_empty(), unreadable());
    Ok(Arc::new(roots))
}

/// Trusts collectors called `name` whose certificate is of an authority in `ca`.
pub(super) fn client(
    name: &str,
    ca: &Path,
    identity: Option<Identity>,
) -> anyhow::Result<ClientTls> {
    let name = ServerName::try_from(name.to_owned())
        .with_context(|| format!("{name} is neither a name nor an address"))?;
    let builder = ClientConfig::builder().with_root_certificates(roots(ca)?);
    let config = Arc::new(match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    });
    Ok(ClientTls::new(name, move || Arc::clone(&config)))
}

/// Lets exporters in whose certificate is of an authority in `client_ca`, or all without one.
pub(super) fn server(
    (chain, key): Identity,
    client_ca: Option<&Path>,
) -> anyhow::Result<ServerTls> {
    let builder = ServerConfig::builder();
    let builder = match client_ca {
        Some(ca) => {
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(roots(ca)?).build()?)
        }
        None => builder.with_no_client_auth(),
    };
    let config = Arc::new(builder.with_single_cert(chain, key)?);
    Ok(ServerTls::new(move || Arc::clone(&config)))
}
