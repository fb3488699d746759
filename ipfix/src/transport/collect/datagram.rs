//! Sessions over UDP: all in one task, told apart by the peer's address and port (RFC 7011,
//! section 10.3).
//!
//! Nothing opens or closes them. One begins with the first datagram that looks like a message, so
//! that port scans cost nothing, and ends when it has been silent for long.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashMap;
use tokio::{
    net::UdpSocket,
    sync::watch,
    task::yield_now,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    Collector, Peer, Protocol, Refused, SessionEnd, Shared,
    arrived::Arrived,
    canonical,
    session::Open,
    stream::{asked, drained},
};
use crate::message::{MessageError, MessageHeader};
use crate::reader::Reader;

/// An error of the socket itself is none of a peer; it may pass.
const RECEIVE_AGAIN: Duration = Duration::from_millis(100);
/// How often, within the time a session may be silent, silent ones are looked for.
const SWEEPS: u32 = 4;

pub(super) async fn listen<C: Collector>(
    shared: &Arc<Shared<C>>,
    socket: UdpSocket,
    shutdown: watch::Receiver<bool>,
) {
    let mut sessions = Sessions { shared, by_peer: HashMap::new() };
    let end = tokio::select! {
        biased;
        () = drained(shutdown.clone(), shared.limits.drain) => SessionEnd::CutOff,
        () = receive(&mut sessions, &socket, shutdown) => SessionEnd::Shutdown,
    };
    sessions.end(&end);
}

/// Receives until shutdown is asked for, and then what has arrived already.
async fn receive<C: Collector>(
    sessions: &mut Sessions<'_, C>,
    socket: &UdpSocket,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut stop = pin!(asked(&mut shutdown));
    let mut arrived = Arrived::new();
    let period = (sessions.shared.limits.idle_udp / SWEEPS).max(Duration::from_millis(1));
    let mut sweep = interval(period);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            readable = socket.readable() => {
                if readable.is_ok() && sessions.turn(socket, &mut arrived).await {
                    yield_now().await;
                }
            }
            _ = sweep.tick() => sessions.sweep(Instant::now()),
            () = &mut stop => break,
        }
    }
    loop {
        // The end of the time for this is looked at only when it makes way, and a socket is asked
        // only after the runtime has heard of it.
        yield_now().await;
        if !sessions.turn(socket, &mut arrived).await {
            break;
        }
    }
}

struct Sessions<'a, C: Collector> {
    shared: &'a Arc<Shared<C>>,
    by_peer: HashMap<SocketAddr, (Open<C>, Instant)>,
}

impl<C: Collector> Sessions<'_, C> {
    /// Receives a few datagrams that have arrived. Returns whether there may be more.
    async fn turn(&mut self, socket: &UdpSocket, arrived: &mut Arrived) -> bool {
        match arrived.receive(socket) {
            Ok(may_be_more) => {
                let now = Instant::now();
                for (datagram, peer) in arrived.datagrams() {
                    self.datagram(datagram, peer, now).await;
                }
                may_be_more
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                self.shared.listener_failed(&error);
                sleep(RECEIVE_AGAIN).await;
                false
            }
        }
    }

    /// Hands a datagram to its session. What is wrong with it costs nobody else anything.
    async fn datagram(&mut self, datagram: &[u8], peer: SocketAddr, now: Instant) {
        if !self.by_peer.contains_key(&peer) {
            let mut opened = self.open(datagram, peer);
            if matches!(opened, Err(Refused::TooMany(_))) && self.make_room() {
                opened = self.open(datagram, peer);
            }
            match opened {
                Ok(session) => self.by_peer.insert(peer, (session, now)),
                Err(refused) => return self.shared.refuse(canonical(peer), &refused),
            };
        }
        let Some((session, heard)) = self.by_peer.get_mut(&peer) else { return };
        *heard = now;
        let taken = session.take(datagram, now).await;
        let caught_up = match &taken {
            Err(SessionEnd::Panicked) => Ok(()),
            _ => session.caught_up().await,
        };
        match taken.and(caught_up) {
            Ok(()) => {}
            Err(end) if end.is_malformed() => session.malformed(),
            Err(end) => self.close(peer, &end),
        }
    }

    fn open(&self, datagram: &[u8], peer: SocketAddr) -> Result<Open<C>, Refused> {
        looks_like_a_message(datagram)?;
        let limits = self.shared.limits;
        if datagram.len() > usize::from(limits.message) {
            return Err(Refused::TooLong(datagram.len()));
        }
        let permit = Arc::clone(&self.shared.permits)
            .try_acquire_owned()
            .map_err(|_| Refused::TooMany(limits.sessions))?;
        let peer = Peer { address: canonical(peer), protocol: Protocol::Udp, certificate: None };
        Open::new(self.shared, peer, permit)
    }

    /// Ends the session that has been silent the longest of those that have told nothing. Whoever
    /// makes up addresses must not keep the others out.
    fn make_room(&mut self) -> bool {
        let useless = self.by_peer.iter().filter(|(_, (session, _))| !session.has_told());
        let oldest = useless.min_by_key(|(_, (_, heard))| *heard).map(|(peer, _)| *peer);
        oldest.is_some_and(|peer| {
            self.close(peer, &SessionEnd::Crowded);
            true
        })
    }

    fn close(&mut self, peer: SocketAddr, end: &SessionEnd) {
        if let Some((session, _)) = self.by_peer.remove(&peer) {
            session.end(end);
        }
    }

    /// Ends sessions that have been silent for too long.
    fn sweep(&mut self, now: Instant) {
        let idle = self.shared.limits.idle_udp;
        let is_silent = |_: &SocketAddr, (_, heard): &mut (Open<C>, Instant)| {
            now.saturating_duration_since(*heard) >= idle
        };
        for (_, (session, _)) in self.by_peer.extract_if(is_silent) {
            session.end(&SessionEnd::Idle);
        }
    }

    fn end(self, end: &SessionEnd) {
        for (session, _) in self.by_peer.into_values() {
            session.end(end);
        }
    }
}

/// Checks what can be checked without Templates.
fn looks_like_a_message(datagram: &[u8]) -> Result<(), MessageError> {
    let header = MessageHeader::decode(&mut Reader::new(datagram))?;
    let (stated, actual) = (header.length, datagram.len());
    if usize::from(stated) == actual {
        Ok(())
    } else {
        Err(MessageError::Length { stated, actual })
    }
}
