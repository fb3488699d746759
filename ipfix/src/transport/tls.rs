//! TLS below a Transport Session (RFC 7011, section 11.1).
//!
//! Certificates are renewed while a process runs, so neither side holds a configuration: it asks
//! for one before each handshake. What is in it - versions, roots, whether the peer needs a
//! certificate - is the caller's.

mod accepted; // the collector's end

use std::{fmt, io, sync::Arc};

use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client};

use accepted::Accepted;

/// Returns what the next handshake uses.
type Provider<T> = Arc<dyn Fn() -> io::Result<Arc<T>> + Send + Sync>;

/// How an Exporting Process authenticates itself and its collector.
#[derive(Clone)]
pub struct ClientTls {
    config: Provider<ClientConfig>,
    server_name: ServerName<'static>,
}

impl ClientTls {
    /// Expects a collector whose certificate is for `server_name`, which is also sent as SNI
    /// if it is a name. `config` is called before each connect.
    pub fn new(
        server_name: ServerName<'static>,
        config: impl Fn() -> Arc<ClientConfig> + Send + Sync + 'static,
    ) -> Self {
        Self::fallible(server_name, move || Ok(config()))
    }

    /// As [`Self::new`], where there may be no configuration yet.
    pub fn fallible(
        server_name: ServerName<'static>,
        config: impl Fn() -> io::Result<Arc<ClientConfig>> + Send + Sync + 'static,
    ) -> Self {
        Self { config: Arc::new(config), server_name }
    }

    /// Says in each handshake that `protocol` is to be spoken (ALPN, RFC 7301). IPFIX has no name
    /// there; protocols that share its destinations may.
    #[must_use]
    pub fn speaking(self, protocol: &'static [u8]) -> Self {
        let Self { config, server_name } = self;
        let config = Arc::new(move || {
            let mut config = ClientConfig::clone(&*config()?);
            config.alpn_protocols = vec![protocol.to_vec()];
            Ok(Arc::new(config))
        });
        Self { config, server_name }
    }

    /// Prepares one handshake.
    pub(super) fn ready(&self) -> io::Result<Handshake<'_>> {
        Ok(Handshake { connector: (self.config)()?.into(), server_name: &self.server_name })
    }
}

/// The exporter's end of one handshake.
pub(super) struct Handshake<'a> {
    connector: TlsConnector,
    server_name: &'a ServerName<'static>,
}

impl Handshake<'_> {
    pub(super) async fn connect(
        self,
        stream: TcpStream,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        self.connector.connect(self.server_name.clone(), stream).await
    }
}

/// How a Collecting Process authenticates itself and its exporters.
#[derive(Clone)]
pub struct ServerTls {
    config: Provider<ServerConfig>,
}

impl ServerTls {
    /// Calls `config` before each handshake.
    pub fn new(config: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static) -> Self {
        Self { config: Arc::new(move || Ok(config())) }
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Accepted> {
        Accepted::handshake(stream, (self.config)()?).await
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
