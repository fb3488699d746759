//! Sessions over gRPC: connections are accepted, and each stream of flows is a session.
//!
//! A connection is a task, and so is each stream, so that what a peer sends can end its own and
//! nothing else.
mod stream; // one session

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use grpc::collect::{Connection, secure};
use ipfix::transport::keep_alive;
use k8s::certificates::ServerSource;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Shared;
use crate::metrics::EndReason;
use stream::Stream;

/// How long TLS and HTTP/2 may take to begin.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long connections may take to end once their streams had to: longer than these are read.
const FAREWELL: Duration = Duration::from_millis(1500);
/// After an error of the listener, which others have to mend.
const PAUSE: Duration = Duration::from_millis(100);

/// As many connections as there may be, over all listeners.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    pub(super) fn new(connections: usize) -> Self {
        Self(Arc::new(Semaphore::new(connections)))
    }
}

/// What all connections of a listener have in common.
#[derive(Debug, Clone)]
struct Listener {
    shared: Arc<Shared>,
    certificates: Option<ServerSource>,
    idle: Duration,
    shutdown: watch::Receiver<bool>,
}

/// Accepts connections until `shutdown` turns true, then lets those that are open finish. Without
/// certificates they are not encrypted.
pub(super) async fn listen(
    shared: &Arc<Shared>,
    listener: TcpListener,
    certificates: Option<ServerSource>,
    Places(places): &Places,
    mut shutdown: watch::Receiver<bool>,
) {
    let (shared, idle) = (Arc::clone(shared), shared.options.limits.idle);
    let common = Listener { shared, certificates, idle, shutdown: shutdown.clone() };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = shutdown.wait_for(|asked| *asked) => break,
            Some(ended) = connections.join_next() => {
                common.joined(&ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(place) = Arc::clone(places).try_acquire_owned() else {
                    common.refuse(peer, EndReason::TooMany, &"there are too many");
                    continue;
                };
                let common = common.clone();
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                connections.spawn(async move {
                    common.connection(stream, peer).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(PAUSE).await;
            }
        }
    }
    let ended = async {
        while let Some(ended) = connections.join_next().await {
            common.joined(&ended);
        }
    };
    timeout(FAREWELL, ended).await.ok();
}

impl Listener {
    /// Runs a connection to its end.
    async fn connection(&self, stream: TcpStream, peer: SocketAddr) {
        let keeping = stream.set_nodelay(true).and_then(|()| keep_alive(&stream));
        if let Err(error) = keeping {
            return self.refuse(peer, EndReason::Broken, &Chain(&error));
        }
        let Some(certificates) = &self.certificates else {
            return self.http2(stream, peer).await;
        };
        let config = certificates.config();
        match timeout(HANDSHAKE, secure(stream, &config)).await {
            Ok(Ok(stream)) => self.http2(stream, peer).await,
            Ok(Err(error)) => self.refuse(peer, EndReason::Broken, &Chain(&error)),
            Err(_) => self.refuse(peer, EndReason::Idle, &"no TLS handshake in time"),
        }
    }

    async fn http2(&self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) {
        match timeout(HANDSHAKE, Connection::handshake(stream)).await {
            Ok(Ok(connection)) => self.streams(connection, peer).await,
            Ok(Err(error)) => self.refuse(peer, EndReason::Malformed, &Chain(&error)),
            Err(_) => self.refuse(peer, EndReason::Idle, &"no HTTP/2 in time"),
        }
    }

    /// Runs the streams of a connection. What ends it ends them too, and is theirs to tell.
    async fn streams(
        &self,
        mut connection: Connection<impl AsyncRead + AsyncWrite + Unpin>,
        peer: SocketAddr,
    ) {
        let mut shutdown = self.shutdown.clone();
        let mut streams = JoinSet::new();
        let mut quiet_since = Instant::now();
        let mut is_ending = false;
        let (warned, doubted) = <_>::default();
        tracing::info!(%peer, protocol = "grpc", "session opened");
        loop {
            tokio::select! {
                accepted = connection.accept() => match accepted {
                    Some(Ok(stream)) => {
                        let session = Stream::open(self, peer, Arc::clone(&warned), Arc::clone(&doubted));
                        streams.spawn(session.run(stream));
                    }
                    Some(Err(error)) => {
                        if streams.is_empty() {
                            self.refuse(peer, EndReason::Broken, &Chain(&error));
                        }
                        break;
                    }
                    None => break,
                },
                Some(ended) = streams.join_next() => {
                    self.joined(&ended);
                    quiet_since = Instant::now();
                }
                () = sleep_until(quiet_since + self.idle), if streams.is_empty() => {
                    return self.refuse(peer, EndReason::Idle, &"nothing was sent");
                }
                _ = shutdown.wait_for(|asked| *asked), if !is_ending => {
                    is_ending = true;
                    connection.shut_down();
                }
            }
        }
        while let Some(ended) = streams.join_next().await {
            self.joined(&ended);
        }
        tracing::info!(%peer, protocol = "grpc", "session closed");
    }

    /// Counts a connection that came to nothing.
    fn refuse(&self, peer: SocketAddr, reason: EndReason, error: &dyn std::fmt::Display) {
        self.shared.metrics.session_ended(reason);
        // Anybody can bring that about.
        let seen = &self.shared.seen;
        if seen.refusals.is_due(seen.epoch.ms(Instant::now().into_std())) {
            tracing::warn!(%peer, reason = reason.label(), %error, "connection closed");
        }
    }

    /// Counts a task that a defect has ended.
    fn joined(&self, ended: &Result<(), tokio::task::JoinError>) {
        if ended.is_err() {
            self.shared.metrics.session_ended(EndReason::Panicked);
        }
    }
}

#[cfg(test)]
mod tests;
