//! Datagrams that come as fast as they are taken.

use std::{net::UdpSocket, time::Duration, time::Instant};

use ipfix::{
    decode::{Session, Summary},
    transport::collect::{CollectingProcess, Collector, CollectorSession, Limits, Peer, Rejected},
};
use tokio::sync::watch;

use super::messages;

/// Sends another message for each that is taken, though not for ever.
struct Flood(UdpSocket);

struct Flooded {
    session: Session<()>,
    socket: UdpSocket,
    left: u32,
}

/// Taking these takes far longer than [`DRAIN`].
const MOST: u32 = 500_000;
const DRAIN: Duration = Duration::from_millis(1);

impl Collector for Flood {
    type Plan = ();
    type Session = Flooded;

    fn open(&self, _: &Peer, session: Session<()>) -> Flooded {
        Flooded { session, socket: self.0.try_clone().unwrap(), left: MOST }
    }
}

impl CollectorSession for Flooded {
    async fn message(&mut self, message: &[u8], now: Instant) -> Result<Summary, Rejected> {
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            self.socket.send(message).unwrap();
        }
        Ok(self.session.decode_at(now, message, |_| (), |(), _, _| ())?)
    }
}

#[tokio::test]
async fn datagrams_that_do_not_cease_do_not_keep_the_process_from_ending() {
    let socket = ipfix::transport::bind_udp("127.0.0.1:0".parse().unwrap(), 1 << 20).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.connect(socket.local_addr().unwrap()).unwrap();
    // More than are taken at a time.
    for _ in 0..100 {
        peer.send(&messages(&[])[0]).unwrap();
    }
    let limits = Limits { drain: DRAIN, ..Limits::default() };
    let process = CollectingProcess::new(Flood(peer), limits);
    process.udp(socket, watch::channel(true).1).await;
    let counters = process.counters();
    assert!(counters.sessions.messages < u64::from(MOST), "{counters:?}");
    assert_eq!(counters.ended_cut_off, 1);
}
