//! Code of the caller that does not survive the beginning or the end of a session.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use ipfix::{
    decode::{Session, Summary},
    transport::collect::{
        CollectingProcess, Collector, CollectorSession, Limits, Peer, Rejected, SessionEnd,
    },
};
use tokio::sync::watch;

use super::send_udp;

/// Does not survive its first session.
struct Shocked(AtomicBool);

struct Calm(Session<()>);

impl Collector for Shocked {
    type Plan = ();
    type Session = Calm;

    fn open(&self, _: &Peer, session: Session<()>) -> Calm {
        assert!(self.0.swap(true, Ordering::Relaxed), "on purpose");
        Calm(session)
    }
}

impl CollectorSession for Calm {
    async fn message(&mut self, message: &[u8], now: Instant) -> Result<Summary, Rejected> {
        Ok(self.0.decode_at(now, message, |_| (), |(), _, _| ())?)
    }

    fn ended(self, _: &SessionEnd) {
        panic!("on purpose");
    }
}

#[tokio::test]
async fn code_that_panics_at_either_end_of_a_session_ends_no_other() {
    let limits = Limits { idle_udp: Duration::from_millis(50), ..Limits::default() };
    let process = CollectingProcess::new(Shocked(AtomicBool::new(false)), limits);
    let socket = ipfix::transport::bind_udp("127.0.0.1:0".parse().unwrap(), 1 << 20).unwrap();
    let address = socket.local_addr().unwrap();
    let (collecting, shutdown) = (process.clone(), watch::Sender::new(false));
    let stop = shutdown.subscribe();
    let task = tokio::spawn(async move { collecting.udp(socket, stop).await });
    for session in 1..=3 {
        let _socket = send_udp(address, &[1]).await;
        while process.counters().ended_idle < session {
            tokio::task::yield_now().await;
        }
    }
    shutdown.send_replace(true);
    task.await.unwrap();
    let counters = process.counters();
    assert_eq!((counters.refused_panicked, counters.opened, counters.ended_idle), (1, 3, 3));
}
