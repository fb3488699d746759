//! The way to a far end: its address, and TLS with certificates that are read for each connection.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use config::Chain;
use ipfix::encode::EncodeError;
use ipfix::transport::{self, ClientTls, Destination, Locator};
use k8s::certificates::{ClientOrigin, ClientPolicy, ClientSource, Follower};
use rustls::ClientConfig;
use rustls::pki_types::{InvalidDnsNameError, ServerName};

use crate::{FarEnd, Tls, Transport};

/// Why an output cannot work as it was told to, whatever happens.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    #[error("{0:?} is no address: HOST:PORT is expected")]
    Address(String),
    #[error("{0:?} is neither a name nor an address")]
    ServerName(String, #[source] InvalidDnsNameError),
    #[error("messages of {limit} bytes are too short for what is to be told")]
    Template {
        limit: u16,
        #[source]
        source: EncodeError,
    },
    #[error("a record takes {least} bytes at least, but messages may have {limit}")]
    Record { least: usize, limit: u16 },
    #[error("UDP carries messages of {most} bytes at most, not {limit}")]
    Datagram { limit: u16, most: u16 },
}

/// Makes the destination of an output. Nothing is asked or read before a connection is made.
pub(crate) fn destination(to: &FarEnd) -> Result<Destination, OptionsError> {
    let address = &to.address;
    let host = address.rsplit_once(':').map(|(host, _)| host).filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| OptionsError::Address(address.clone()))?;
    let tls = match &to.transport {
        Transport::Tcp => return Ok(Destination::new(address, transport::Transport::Tcp)),
        Transport::Udp => return Ok(Destination::new(address, transport::Transport::Udp)),
        Transport::Tls(tls) => tls,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = tls.server_name.as_deref().unwrap_or(host);
    let server = ServerName::try_from(name.to_owned())
        .map_err(|error| OptionsError::ServerName(name.to_owned(), error))?;
    let material = Arc::new(Material::new(tls));
    let config = Arc::clone(&material);
    let tls = ClientTls::fallible(server, move || config.config());
    let mut destination = Destination::new(address, transport::Transport::Tls(tls));
    let address = address.clone();
    destination.locator = Some(Locator::new(move || {
        let (material, address) = (Arc::clone(&material), address.clone());
        async move {
            material.read().await;
            Ok(address)
        }
    }));
    Ok(destination)
}

/// What handshakes use. Read before each, so that new certificates need no restart.
struct Material {
    origin: ClientOrigin,
    policy: ClientPolicy,
    follower: tokio::sync::Mutex<Option<Follower<ClientConfig>>>,
    /// What the last reading came to, or why it failed if none ever did.
    current: Mutex<Result<ClientSource, String>>,
}

impl Material {
    fn new(tls: &Tls) -> Self {
        let policy = ClientPolicy { tls13_only: tls.tls13_only, protocol: None };
        Self {
            origin: tls.origin.clone(),
            policy,
            follower: tokio::sync::Mutex::default(),
            current: Mutex::new(Err("nothing has been read yet".to_owned())),
        }
    }

    async fn read(&self) {
        let mut follower = self.follower.lock().await;
        let read = if let Some(follower) = &mut *follower {
            // After an error the configuration before it is still good.
            follower.check().await
        } else {
            let made = Follower::of_client(None, self.origin.clone(), self.policy).await;
            made.map(|made| *follower = Some(made))
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match (read, &*follower) {
            (Ok(()), Some(follower)) => *current = Ok(follower.client()),
            (Err(error), Some(_)) => {
                tracing::warn!(error = %Chain(&error), "certificates were not read again");
            }
            (Err(error), None) => *current = Err(Chain(&error).to_string()),
            (Ok(()), None) => {}
        }
    }

    fn config(&self) -> io::Result<Arc<ClientConfig>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(ClientSource::config).map_err(|why| io::Error::other(why.clone()))
    }
}

#[cfg(test)]
mod tests {
    use k8s::certificates::AuthoritiesOrigin;

    use super::*;

    fn refused(address: &str, server_name: Option<&str>) -> Option<String> {
        let origin =
            ClientOrigin { authorities: AuthoritiesOrigin::File("/none".into()), pair: None };
        let server_name = server_name.map(str::to_owned);
        let transport = Transport::Tls(Tls { server_name, origin, tls13_only: false });
        let to = FarEnd { address: address.to_owned(), transport };
        destination(&to).err().map(|error| error.to_string())
    }

    #[test]
    fn what_no_certificate_can_be_for_is_refused() {
        assert_eq!(refused("collector.example:4739", None), None);
        assert_eq!(refused("[fd00::1]:4739", None), None);
        assert_eq!(refused("10.0.0.1:4739", Some("collector.example")), None);
        assert!(refused("collector_.example..:1", None).unwrap().contains("neither a name"));
        assert!(refused("collector.example", None).unwrap().contains("HOST:PORT"));
    }

    #[tokio::test]
    async fn a_missing_file_is_named_by_the_connection_that_needs_it() {
        let origin =
            ClientOrigin { authorities: AuthoritiesOrigin::File("/none".into()), pair: None };
        let transport = Transport::Tls(Tls { server_name: None, origin, tls13_only: false });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let destination = destination(&FarEnd { address, transport }).unwrap();
        let Err(error) = destination.stream().await else { panic!("it is not there") };
        let error = Chain(&error).to_string();
        assert!(error.contains("/none"), "{error}");
    }
}
