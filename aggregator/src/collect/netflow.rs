//! Datagrams of routers: `NetFlow` versions 5 and 9 (RFC 3954), read by `netflow_parser`.
//!
//! One task for a socket, as with IPFIX over UDP. A session is a peer's address, its port and its
//! Source ID: templates of one must not decode the records of another.
mod records; // what a message tells
mod sequence; // what was lost on the way
mod source; // one session

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use netflow_parser::scoped_parser::{ScopingInfo, extract_scoping_info};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Shared;
use crate::metrics::EndReason;
use source::Source;

/// The longest datagram.
const LONGEST: usize = u16::MAX as usize;
/// Datagrams that are received before anything else has its turn.
const TURN: usize = 64;
/// An error of the socket itself is none of a peer; it may pass.
const RECEIVE_AGAIN: Duration = Duration::from_millis(100);
/// How often, within the time a source may be silent, silent ones are looked for.
const SWEEPS: u32 = 4;
/// How long what had arrived may still be read once shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(1);

/// Receives until `shutdown` turns true, and then what has arrived already.
pub(super) async fn listen(
    shared: &Arc<Shared>,
    socket: UdpSocket,
    shutdown: watch::Receiver<bool>,
) {
    let mut sources = Sources { shared, by_peer: HashMap::new() };
    let over = async {
        asked(shutdown.clone()).await;
        sleep(DRAIN).await;
    };
    tokio::select! {
        biased;
        // Who waits for room when the time is over waits in vain.
        () = over => {}
        () = sources.receive(&socket, shutdown.clone()) => {}
    }
    for (_, source) in sources.by_peer {
        source.end(EndReason::Shutdown);
    }
}

/// Returns when shutdown is asked for, or nobody is left who could.
async fn asked(mut shutdown: watch::Receiver<bool>) {
    shutdown.wait_for(|asked| *asked).await.ok();
}

/// Peer and Source ID.
type Key = (SocketAddr, u32);

struct Sources<'a> {
    shared: &'a Arc<Shared>,
    by_peer: HashMap<Key, Source>,
}

impl Sources<'_> {
    async fn receive(&mut self, socket: &UdpSocket, shutdown: watch::Receiver<bool>) {
        let mut stop = pin!(asked(shutdown));
        let mut buffer = vec![0; LONGEST];
        let period = self.shared.options.limits.idle_datagrams / SWEEPS;
        let mut sweep = interval(period.max(Duration::from_millis(1)));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                readable = socket.readable() => {
                    if readable.is_ok() && self.turn(socket, &mut buffer).await {
                        yield_now().await;
                    }
                }
                _ = sweep.tick() => self.sweep(Instant::now()),
                () = &mut stop => break,
            }
        }
        // A socket is asked only after the runtime has heard of it.
        yield_now().await;
        while self.turn(socket, &mut buffer).await {
            yield_now().await;
        }
    }

    /// Receives a few datagrams that have arrived. Returns whether there may be more.
    async fn turn(&mut self, socket: &UdpSocket, buffer: &mut [u8]) -> bool {
        let now = Instant::now();
        for _ in 0..TURN {
            match socket.try_recv_from(buffer) {
                Ok((length, peer)) => {
                    let datagram = buffer.get(..length).unwrap_or_default();
                    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                    self.datagram(datagram, peer, now).await;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => {
                    tracing::warn!(%error, "NetFlow cannot be received");
                    sleep(RECEIVE_AGAIN).await;
                    return false;
                }
            }
        }
        true
    }

    /// Hands a datagram to its session. What is wrong with it costs nobody else anything.
    async fn datagram(&mut self, datagram: &[u8], peer: SocketAddr, now: Instant) {
        let id = match extract_scoping_info(datagram) {
            ScopingInfo::V9 { source_id } => source_id,
            ScopingInfo::Legacy if datagram.starts_with(&[0, 5]) => 0,
            _ => return self.shared.metrics.session_ended(EndReason::Malformed),
        };
        let key = (peer, id);
        if !self.by_peer.contains_key(&key) {
            if !self.has_room() {
                return self.shared.metrics.session_ended(EndReason::TooMany);
            }
            let Some(source) = Source::open(self.shared, peer, now) else { return };
            self.by_peer.insert(key, source);
        }
        let Some(source) = self.by_peer.get_mut(&key) else { return };
        // It is not known yet who takes the records of a process that ends.
        let Some(room) = self.shared.room.reserve(datagram.len()).await else { return };
        if source.take(datagram, room, now).is_err()
            && let Some(source) = self.by_peer.remove(&key)
        {
            source.end(EndReason::Panicked);
        }
    }

    /// Whether there may be one session more. If need be, the one that has been silent the longest
    /// of those that have told nothing makes room: anybody can make up addresses.
    fn has_room(&mut self) -> bool {
        if self.by_peer.len() < self.shared.options.limits.datagram_peers {
            return true;
        }
        let useless = self.by_peer.iter().filter(|(_, source)| !source.has_told());
        let oldest = useless.min_by_key(|(_, source)| source.heard()).map(|(key, _)| *key);
        let source = oldest.and_then(|key| self.by_peer.remove(&key));
        source.map(|source| source.end(EndReason::Crowded)).is_some()
    }

    /// Ends sessions that have been silent for too long.
    fn sweep(&mut self, now: Instant) {
        let idle = self.shared.options.limits.idle_datagrams;
        let is_silent =
            |_: &Key, source: &mut Source| now.saturating_duration_since(source.heard()) >= idle;
        for (_, source) in self.by_peer.extract_if(is_silent) {
            source.end(EndReason::Idle);
        }
    }
}
