//! Sessions over TCP and TLS: one task each.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    io::AsyncRead,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, watch},
    task::{JoinSet, yield_now},
    time::{Instant, sleep, sleep_until},
};

use super::{
    Collector, Limits, Peer, Protocol, Refused, SessionEnd, Shared, canonical, session::Open,
};
#[cfg(feature = "tls")]
use crate::transport::tls::ServerTls;
use crate::transport::{MessageStream, socket};

/// Out of file descriptors, most likely: they come back as sessions end.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Bytes that a session takes before the others have their turn. To count messages would not be
/// fair: one may have as many bytes as a thousand others.
const TURN: usize = 16_384;

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
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                shared.listener_failed(&error);
                sleep(ACCEPT_AGAIN).await;
                continue;
            }
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
    // Exporters that connect from now on look for another collector at once.
    drop(listener);
    while sessions.join_next().await.is_some() {}
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
                let chain = stream.peer_certificates();
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
        let Self { shared, address, permit, shutdown } = self;
        let limits = shared.limits;
        let mut session = match Open::new(&shared, Peer { address, protocol, certificate }, permit)
        {
            Ok(session) => session,
            Err(refused) => return shared.refuse(address, &refused),
        };
        let messages = MessageStream::new(stream);
        let end = tokio::select! {
            biased;
            () = drained(shutdown.clone(), limits.drain) => SessionEnd::CutOff,
            end = read(&mut session, messages, limits, shutdown) => end,
        };
        session.end(&end);
    }
}

/// Returns when the time to read what had been sent before shutdown is over.
pub(super) async fn drained(mut shutdown: watch::Receiver<bool>, drain: Duration) {
    asked(&mut shutdown).await;
    sleep(drain).await;
}

/// Returns when shutdown is asked for, or nobody is left who could.
pub(super) async fn asked(shutdown: &mut watch::Receiver<bool>) {
    shutdown.wait_for(|stop| *stop).await.ok();
}

/// Hands messages to `session` until it ends. Once shutdown is asked for, what has arrived is
/// still read.
///
/// Whatever all messages have in common - the time, a look at timers, a turn of the others - is
/// done once for all that one read brought.
async fn read<C: Collector>(
    session: &mut Open<C>,
    mut messages: MessageStream<impl AsyncRead + Unpin>,
    limits: Limits,
    mut shutdown: watch::Receiver<bool>,
) -> SessionEnd {
    let mut stop = pin!(asked(&mut shutdown));
    let mut patience = limits.idle;
    let mut heard = Instant::now();
    let mut alarm = pin!(sleep_until(heard + patience));
    let mut draining = false;
    loop {
        tokio::select! {
            // What has come counts, however long it had to wait for its turn.
            biased;
            filled = messages.fill() => match filled {
                Ok(true) => {}
                Ok(false) => return SessionEnd::Closed,
                Err(error) => return SessionEnd::Read(error),
            },
            () = &mut alarm => {
                if heard + patience > Instant::now() {
                    alarm.as_mut().reset(heard + patience);
                    continue;
                }
                return if draining { SessionEnd::Shutdown } else { SessionEnd::Idle };
            }
            () = &mut stop, if !draining => {
                (draining, patience, heard) = (true, limits.drain_idle, Instant::now());
                alarm.as_mut().reset(heard + patience);
                continue;
            }
        }
        match take_buffered(session, &mut messages).await {
            Ok(true) => heard = Instant::now(),
            Ok(false) => {}
            Err(end) => return end,
        }
    }
}

/// Hands over the messages that have been read whole, and says so. Returns whether there were any.
async fn take_buffered<C: Collector>(
    session: &mut Open<C>,
    messages: &mut MessageStream<impl AsyncRead + Unpin>,
) -> Result<bool, SessionEnd> {
    let taken = take_each(session, messages).await;
    // What was taken before something that ends the session is sound.
    if !matches!(taken, Ok(false) | Err(SessionEnd::Panicked)) {
        session.caught_up().await?;
    }
    taken
}

async fn take_each<C: Collector>(
    session: &mut Open<C>,
    messages: &mut MessageStream<impl AsyncRead + Unpin>,
) -> Result<bool, SessionEnd> {
    let now = Instant::now().into_std();
    let (mut turn, mut any) = (0, false);
    while let Some(message) = messages.buffered().map_err(SessionEnd::Read)? {
        session.take(message, now).await?;
        any = true;
        turn += message.len();
        if turn >= TURN {
            turn = 0;
            yield_now().await;
        }
    }
    Ok(any)
}
