//! Connections of clients: a task each, and one for each call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use grpc::Status;
use grpc::collect::secure;
use grpc::stream::{Call, Connection};
use ipfix::transport::keep_alive;
use k8s::certificates::ServerSource;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::access::Access;
use super::call::answer;
use super::counts::{Counts, End};
use super::hub::Hub;

/// Connections at a time. A page in a browser has one, by way of whoever serves it.
const CONNECTIONS: usize = 256;
/// How long handshakes and requests may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may be without a call. A client of gRPC's own connects again by itself.
const IDLE: Duration = Duration::from_secs(30);
/// Calls at a time over all connections.
const CALLS: usize = 64;
/// How long calls may take to end at shutdown: what they wait for has ended before.
const FAREWELL: Duration = Duration::from_millis(1500);
/// After an error of the listener, which others have to mend.
const PAUSE: Duration = Duration::from_millis(100);

/// What all calls have in common.
#[derive(Debug, Clone)]
pub struct Server {
    pub(super) hub: Hub,
    pub(super) access: Access,
    pub(super) counts: Arc<Counts>,
    /// Nanoseconds since 1970.
    pub(super) clock_ns: fn() -> u64,
    calls: Arc<Semaphore>,
}

/// Serves until `shutdown` turns true. Without certificates nothing is encrypted.
pub async fn serve(
    listener: TcpListener,
    certificates: Option<ServerSource>,
    server: Server,
    mut shutdown: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = shutdown.wait_for(|asked| *asked) => break,
            Some(ended) = connections.join_next() => {
                server.joined(&ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    server.drop_peer(peer, &"there are too many");
                    continue;
                };
                let (server, certificates) = (server.clone(), certificates.clone());
                let shutdown = shutdown.clone();
                connections.spawn(async move {
                    server.connection(stream, peer, certificates, shutdown).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a client's connection cannot be accepted");
                sleep(PAUSE).await;
            }
        }
    }
    let ended = async {
        while let Some(ended) = connections.join_next().await {
            server.joined(&ended);
        }
    };
    timeout(FAREWELL, ended).await.ok();
}

impl Server {
    /// `clock_ns` tells nanoseconds since 1970.
    pub fn new(hub: Hub, access: Access, counts: Arc<Counts>, clock_ns: fn() -> u64) -> Self {
        Self { hub, access, counts, clock_ns, calls: Arc::new(Semaphore::new(CALLS)) }
    }

    async fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        certificates: Option<ServerSource>,
        shutdown: watch::Receiver<bool>,
    ) {
        if let Err(error) = stream.set_nodelay(true).and_then(|()| keep_alive(&stream)) {
            return self.drop_peer(peer, &Chain(&error));
        }
        let Some(certificates) = certificates else {
            return self.http2(stream, false, peer, shutdown).await;
        };
        match timeout(PATIENCE, secure(stream, &certificates.config())).await {
            Ok(Ok(stream)) => {
                let is_certified = stream.get_ref().1.peer_certificates().is_some();
                self.http2(stream, is_certified, peer, shutdown).await;
            }
            Ok(Err(error)) => self.drop_peer(peer, &Chain(&error)),
            Err(_) => self.drop_peer(peer, &"no TLS handshake in time"),
        }
    }

    async fn http2(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        is_certified: bool,
        peer: SocketAddr,
        shutdown: watch::Receiver<bool>,
    ) {
        match timeout(PATIENCE, Connection::handshake(stream)).await {
            Ok(Ok(connection)) => self.calls(connection, is_certified, peer, shutdown).await,
            Ok(Err(error)) => self.drop_peer(peer, &Chain(&error)),
            Err(_) => self.drop_peer(peer, &"no HTTP/2 in time"),
        }
    }

    /// Runs the calls of a connection, which end with it.
    async fn calls(
        &self,
        mut connection: Connection<impl AsyncRead + AsyncWrite + Unpin>,
        is_certified: bool,
        peer: SocketAddr,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut calls: JoinSet<End> = JoinSet::new();
        let mut quiet_since = Instant::now();
        let mut is_ending = false;
        loop {
            tokio::select! {
                accepted = connection.accept() => match accepted {
                    Some(Ok(call)) => {
                        calls.spawn(self.clone().call(call, is_certified, peer));
                    }
                    Some(Err(error)) => {
                        tracing::debug!(%peer, error = %Chain(&error), "connection broke");
                        break;
                    }
                    None => break,
                },
                Some(ended) = calls.join_next() => {
                    self.call_joined(&ended);
                    quiet_since = Instant::now();
                    // Who may not ask has no reason to stay.
                    if matches!(ended, Ok(End::Refused)) && calls.is_empty() {
                        is_ending = true;
                        connection.shut_down();
                    }
                }
                () = sleep_until(quiet_since + IDLE), if calls.is_empty() => break,
                _ = shutdown.wait_for(|asked| *asked), if !is_ending => {
                    is_ending = true;
                    connection.shut_down();
                }
            }
        }
        while let Some(ended) = calls.join_next().await {
            self.call_joined(&ended);
        }
    }

    async fn call(self, call: Call, is_certified: bool, peer: SocketAddr) -> End {
        self.counts.calls.inc();
        let counts = Arc::clone(&self.counts);
        let end = if let Ok(_place) = Arc::clone(&self.calls).try_acquire_owned() {
            answer(call, is_certified, self).await
        } else {
            call.refuse(&Status::new(Status::RESOURCE_EXHAUSTED, "there are too many calls"));
            End::Dropped
        };
        counts.calls.dec();
        counts.ended(end);
        tracing::debug!(%peer, ?end, "call ended");
        end
    }

    fn call_joined(&self, ended: &Result<End, JoinError>) {
        if ended.is_err() {
            self.counts.ended(End::Panicked);
            self.counts.calls.dec();
        }
    }

    /// Counts a connection that came to nothing.
    fn drop_peer(&self, peer: SocketAddr, error: &dyn std::fmt::Display) {
        self.counts.ended(End::Dropped);
        tracing::debug!(%peer, %error, "client's connection closed");
    }

    /// Counts a task that a defect has ended.
    fn joined(&self, ended: &Result<(), JoinError>) {
        if ended.is_err() {
            self.counts.ended(End::Panicked);
        }
    }
}
