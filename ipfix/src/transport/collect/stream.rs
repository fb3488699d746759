//! Sessions over TCP and TLS: one task each.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::AsyncRead,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use super::{
    Collector, Limits, Peer, Protocol, Refused, SessionEnd, Shared, canonical, session::Open,
};
#[cfg(feature = "tls")]
use crate::transport::tls::ServerTls;
use crate::transport::{MessageStream, socket};

/// Out of file descriptors, most likely: they come back as sessions end.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) enum Security {
    None,
    #[cfg(feature = "tls")]
    Tls(ServerTls),
}

pub(super) async fn listen<C: Collector>(
    shared: &Arc<Shared<C>>,
    listener: TcpListener,
    security: Security,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.wait_for(|stop| *stop) => break,
            Some(_) = sessions.join_next() => continue,
        };
        let Ok((stream, address)) = accepted else {
            sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let address = canonical(address);
        match Arc::clone(&shared.permits).try_acquire_owned() {
            Ok(permit) => {
                let connection = Connection {
                    shared: Arc::clone(shared),
                    address,
                    permit,
                    shutdown: shutdown.clone(),
                };
                sessions.spawn(connection.run(stream, security.clone()));
            }
            Err(_) => shared.refuse(address, &Refused::TooMany(shared.limits.sessions)),
        }
    }
    while sessions.join_next().await.is_some() {}
}

impl<C: Collector> Shared<C> {
    pub(super) fn refuse(&self, address: SocketAddr, why: &Refused) {
        self.registry.refused(why);
        self.collector.refused(address, why);
    }
}

/// An accepted connection that may become a session.
struct Connection<C> {
    shared: Arc<Shared<C>>,
    address: SocketAddr,
    permit: OwnedSemaphorePermit,
    shutdown: watch::Receiver<bool>,
}

impl<C: Collector> Connection<C> {
    async fn run(self, stream: TcpStream, security: Security) {
        // A socket that takes no options is closed already, which the first read will tell.
        socket::keep_alive(&stream).ok();
        match security {
            Security::None => self.serve(stream, Protocol::Tcp, None).await,
            #[cfg(feature = "tls")]
            Security::Tls(tls) => self.handshake(stream, &tls).await,
        }
    }

    #[cfg(feature = "tls")]
    async fn handshake(mut self, stream: TcpStream, tls: &ServerTls) {
        let deadline = self.shared.limits.handshake;
        let handshake = tokio::select! {
            handshake = tokio::time::timeout(deadline, tls.accept(stream)) => handshake,
            _ = self.shutdown.wait_for(|stop| *stop) => return,
        };
        let refused = match handshake {
            Ok(Ok(stream)) => {
                let chain = stream.get_ref().1.peer_certificates();
                let leaf = chain.and_then(<[_]>::first).map(|leaf| Arc::from(leaf.as_ref()));
                return self.serve(stream, Protocol::Tls, leaf).await;
            }
            Ok(Err(error)) => Refused::Handshake(error),
            Err(_) => Refused::HandshakeDeadline(deadline),
        };
        self.shared.refuse(self.address, &refused);
    }

    async fn serve(
        self,
        stream: impl AsyncRead + Unpin,
        protocol: Protocol,
        certificate: Option<Arc<[u8]>>,
    ) {
        let Self { shared, address, permit, mut shutdown } = self;
        let mut session = Open::new(&shared, Peer { address, protocol, certificate }, permit);
        let mut messages = MessageStream::new(stream);
        let end = read(&mut session, &mut messages, shared.limits, &mut shutdown).await;
        session.end(&end);
    }
}

/// Hands messages to `session` until it ends. Once shutdown is asked for, what has arrived is
/// still read.
async fn read<C: Collector>(
    session: &mut Open<C>,
    messages: &mut MessageStream<impl AsyncRead + Unpin>,
    limits: Limits,
    shutdown: &mut watch::Receiver<bool>,
) -> SessionEnd {
    let mut drained_by: Option<Instant> = None;
    loop {
        let now = Instant::now();
        if drained_by.is_some_and(|deadline| now >= deadline) {
            return SessionEnd::Shutdown;
        }
        let next = tokio::select! {
            next = timeout_at(drained_by.unwrap_or(now + limits.idle), messages.next()) => next,
            _ = shutdown.wait_for(|stop| *stop), if drained_by.is_none() => {
                drained_by = Some(now + limits.drain);
                continue;
            }
        };
        let message = match next {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => return SessionEnd::Closed,
            Ok(Err(error)) => return SessionEnd::Read(error),
            Err(_) if drained_by.is_some() => return SessionEnd::Shutdown,
            Err(_) => return SessionEnd::Idle,
        };
        if let Err(end) = session.take(message).await {
            return end;
        }
    }
}
