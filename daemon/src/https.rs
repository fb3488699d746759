//! An HTTP server behind TLS, for those who come with a token.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::admin::connections::{Connection, Limited};
use crate::admin::{CONNECTIONS, LIFETIME};

#[derive(Debug, thiserror::Error)]
#[error("API server cannot listen on {address}; choose another port")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// A bound server, not yet serving.
#[derive(Debug)]
pub struct Https {
    listener: Limited,
    address: SocketAddr,
    router: Router,
    config: Arc<ServerConfig>,
}

impl Https {
    /// Listens on `address`.
    pub async fn bind(
        address: SocketAddr,
        router: Router,
        config: Arc<ServerConfig>,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener: Limited::new(listener, CONNECTIONS, LIFETIME),
            address,
            router,
            config,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the task is dropped.
    pub async fn serve(self) {
        let (ready, secured) = mpsc::channel(1);
        let secured = Secured { ready: secured, address: self.address };
        let acceptor = TlsAcceptor::from(self.config);
        tokio::select! {
            () = shake_hands(self.listener, acceptor, ready) => {}
            served = axum::serve(secured, self.router) => if let Err(error) = served {
                tracing::error!(%error, "API server stopped");
            }
        }
    }
}

type Ready = (TlsStream<Connection>, SocketAddr);

/// Each connection by itself, so that one that says nothing holds up no other. Their number and
/// their time are limited by the listener.
async fn shake_hands(mut listener: Limited, acceptor: TlsAcceptor, ready: mpsc::Sender<Ready>) {
    let mut handshakes = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = handshakes.join_next() => continue,
        };
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        handshakes.spawn(async move {
            match acceptor.accept(stream).await {
                // It fails when the process ends, and then nobody waits for an answer.
                Ok(stream) => drop(ready.send((stream, peer)).await),
                Err(error) => tracing::debug!(%peer, %error, "no TLS"),
            }
        });
    }
}

/// Connections whose handshake is done.
struct Secured {
    ready: mpsc::Receiver<Ready>,
    address: SocketAddr,
}

impl Listener for Secured {
    type Io = TlsStream<Connection>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Ready {
        match self.ready.recv().await {
            Some(ready) => ready,
            // The other half of `serve` has ended, and this one with it.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
