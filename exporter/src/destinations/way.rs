//! How a destination is reached: where it is, and what protects sessions with it.

use std::io;
use std::sync::Arc;

use config::address::{Address, Host};
use ipfix::transport::{self, ClientTls, Locator};
use k8s::certificates::{FollowError, check_files};
use k8s::client::Connection;
use k8s::service::{ServiceError, cluster_address};
use rustls::pki_types::{InvalidDnsNameError, ServerName};

use super::counters::Counters;
use super::material::{Material, origin};
use super::translate::service;
use crate::destination::{Spec, TlsSpec, Transport};

/// Finds destinations, with the API server's help if there is one.
#[derive(Debug, Clone)]
pub struct Way {
    connection: Option<Arc<Connection>>,
    counters: Arc<Counters>,
}

/// Why no session with a destination is possible, ever.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    #[error("{0:?} is neither a name nor an address")]
    Name(String, #[source] InvalidDnsNameError),
    #[error("certificates cannot be used")]
    Files(#[from] FollowError),
}

impl Way {
    pub const fn new(connection: Option<Arc<Connection>>, counters: Arc<Counters>) -> Self {
        Self { connection, counters }
    }

    /// Returns an error if no session with `spec` is possible as things are here: names and files
    /// are looked at, objects and the network are not.
    pub fn check(spec: &Spec) -> Result<(), WayError> {
        match &spec.transport {
            Transport::Tcp | Transport::Udp => Ok(()),
            Transport::Tls(tls) | Transport::Grpc(tls) => {
                server_name(spec, tls)?;
                Ok(check_files(&origin(tls))?)
            }
        }
    }

    /// Makes the destination of a session of `spec`. Needs a runtime around it, where what
    /// protects sessions is followed for as long as the destination or a clone of it lasts.
    pub fn to(&self, spec: &Spec) -> Result<transport::Destination, WayError> {
        let (carrier, material) = match &spec.transport {
            Transport::Tcp => (transport::Transport::Tcp, None),
            Transport::Udp => (transport::Transport::Udp, None),
            Transport::Tls(tls) | Transport::Grpc(tls) => {
                let name = server_name(spec, tls)?;
                let material = self.material(tls);
                let config = material.clone();
                let tls = ClientTls::fallible(name, move || config.config());
                (transport::Transport::Tls(tls), Some(material))
            }
        };
        let address = match &spec.transport {
            // Each request says whom it is for, by a name that DNS could have.
            Transport::Grpc(_) => by_name(&spec.address),
            Transport::Tcp | Transport::Udp | Transport::Tls(_) => told(&spec.address),
        };
        let mut to = transport::Destination::new(address, carrier);
        to.locator = Some(self.locator(spec.address.clone(), material));
        Ok(to)
    }

    /// What protects sessions of a destination, and the name its certificate must be for.
    pub fn protection(
        &self,
        spec: &Spec,
        tls: &TlsSpec,
    ) -> Result<(Material, ServerName<'static>), WayError> {
        Ok((self.material(tls), server_name(spec, tls)?))
    }

    /// `host:port` to connect to now, for the system's resolver if the host is a name. A Service
    /// is looked up each time, since it may be deleted and created anew.
    pub async fn locate(&self, address: &Address) -> Result<String, ServiceError> {
        let (Some(connection), Some(name)) = (&self.connection, service(address)) else {
            return Ok(by_name(address));
        };
        let found = cluster_address(connection, &name).await;
        self.counters.located(&found);
        Ok(std::net::SocketAddr::new(found?, address.port).to_string())
    }

    fn material(&self, tls: &TlsSpec) -> Material {
        let (connection, counters) = (self.connection.clone(), Arc::clone(&self.counters));
        Material::follow(tls, None, connection, counters)
    }

    fn locator(&self, address: Address, material: Option<Material>) -> Locator {
        if self.connection.is_none() && service(&address).is_some() {
            let name = by_name(&address);
            tracing::info!(%address, name, "no API server is asked for the Service, but DNS for its name");
        }
        let way = self.clone();
        Locator::new(move || {
            let (way, address, material) = (way.clone(), address.clone(), material.clone());
            async move {
                if let Some(material) = material {
                    material.tried().await;
                }
                let located = way.locate(&address).await;
                located.map_err(|error| io::Error::other(daemon::Chain(&error).to_string()))
            }
        })
    }
}

/// The address without what is spoken there.
fn told(address: &Address) -> String {
    Address { protocol: None, ..address.clone() }.to_string()
}

/// As DNS knows a Service inside of its cluster.
fn by_name(address: &Address) -> String {
    let Host::Service { namespace, name } = &address.host else { return told(address) };
    format!("{name}.{namespace}.svc:{}", address.port)
}

fn server_name(spec: &Spec, tls: &TlsSpec) -> Result<ServerName<'static>, WayError> {
    let name = tls.server_name.clone().unwrap_or_else(|| spec.host());
    ServerName::try_from(name.clone()).map_err(|error| WayError::Name(name, error))
}

#[cfg(test)]
mod tests {
    use grpc::export::{Export, ExportError, ExportingProcess};

    use super::*;
    use crate::destinations::of_aggregator;

    struct Nothing;

    impl Export for Nothing {
        type Record = ();

        fn encode(&self, (): &(), _export_time_ns: u64, _domain: u32, _out: &mut Vec<u8>) {}
    }

    #[tokio::test]
    async fn a_service_can_be_asked_for_over_grpc() {
        let way = Way::new(None, Arc::default());
        let spec = Spec {
            name: "aggregator".to_owned(),
            address: config::address::parse("flow-aggregator/flow-aggregator:14739:grpc").unwrap(),
            transport: Transport::Grpc(of_aggregator()),
            filter: crate::destination::Filter::default(),
            profile: flow::Profile::Antrea,
            compatibility: crate::destination::Compatibility::Antrea,
            timeouts: crate::destination::Timeouts {
                active: std::time::Duration::from_secs(5),
                idle: std::time::Duration::from_secs(15),
            },
            redaction: crate::destination::Redaction::default(),
            template_refresh: Spec::TEMPLATE_REFRESH,
        };
        let mut process = ExportingProcess::new(way.to(&spec).unwrap(), 1, Nothing);
        // There is no such Service, nor what TLS needs; but a URL it makes.
        let error = process.open().await.unwrap_err();
        assert!(matches!(error, ExportError::Session(_)), "{error}");
    }
}
