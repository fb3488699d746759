//! One Transport Session, whatever carries it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use tokio::sync::OwnedSemaphorePermit;

use super::{Collector, CollectorSession, Peer, Refused, SessionEnd, Shared, counters::Live};
use crate::decode;

/// A session that is open, with both halves: what the caller does with messages, and what is
/// counted here.
pub(super) struct Open<C: Collector> {
    shared: Arc<Shared<C>>,
    session: C::Session,
    live: Arc<Live>,
    /// One of as many as there may be sessions.
    _permit: OwnedSemaphorePermit,
}

impl<C: Collector> Open<C> {
    pub(super) fn new(
        shared: &Arc<Shared<C>>,
        peer: Peer,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Refused> {
        let limits = shared.limits;
        let decoder = decode::Session::with_rules(limits.session, limits.rules(peer.protocol));
        let open = AssertUnwindSafe(|| shared.collector.open(&peer, decoder));
        let session = catch_unwind(open).map_err(|_| Refused::Panicked)?;
        let live = shared.registry.open(peer);
        Ok(Self { shared: Arc::clone(shared), session, live, _permit: permit })
    }

    /// Hands one message to the caller. An error is what a connection would end with.
    pub(super) async fn take(&mut self, message: &[u8], now: Instant) -> Result<(), SessionEnd> {
        if message.len() > usize::from(self.shared.limits.message) {
            return Err(SessionEnd::TooLong(message.len()));
        }
        let summary = caught(self.session.message(message, now)).await??;
        self.live.taken(message.len(), &summary);
        Ok(())
    }

    /// Tells the caller that nothing more has arrived.
    pub(super) async fn caught_up(&mut self) -> Result<(), SessionEnd> {
        caught(self.session.caught_up()).await
    }

    /// Whether any Data Record of the peer was understood.
    pub(super) fn has_told(&self) -> bool {
        self.live.records() > 0
    }

    /// Counts a message that was not taken, and ends nothing.
    pub(super) fn malformed(&self) {
        self.live.malformed();
    }

    /// Ends the session.
    pub(super) fn end(self, end: &SessionEnd) {
        if end.is_malformed() {
            self.live.malformed();
        }
        self.shared.registry.close(&self.live, end);
        // Others may be in the same task. What the caller has not done by now it never will.
        catch_unwind(AssertUnwindSafe(|| self.session.ended(end))).ok();
    }
}

/// Turns a panic of the caller's code into the end of the session it came from.
async fn caught<T>(taking: impl Future<Output = T>) -> Result<T, SessionEnd> {
    let mut taking = pin!(taking);
    std::future::poll_fn(|context| {
        // Unwind safety: after a panic the session takes no more messages.
        match catch_unwind(AssertUnwindSafe(|| taking.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(SessionEnd::Panicked)),
        }
    })
    .await
}
