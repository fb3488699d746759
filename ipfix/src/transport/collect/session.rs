//! One Transport Session, whatever carries it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::sync::OwnedSemaphorePermit;

use super::{Collector, CollectorSession, Peer, SessionEnd, Shared, counters::Live};
use crate::decode::Summary;

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
    pub(super) fn new(shared: &Arc<Shared<C>>, peer: Peer, permit: OwnedSemaphorePermit) -> Self {
        let session = shared.collector.open(&peer, shared.limits.session);
        let live = shared.registry.open(peer);
        Self { shared: Arc::clone(shared), session, live, _permit: permit }
    }

    /// Hands one message to the caller. An error is what a connection would end with.
    pub(super) async fn take(&mut self, message: &[u8]) -> Result<(), SessionEnd> {
        if message.len() > usize::from(self.shared.limits.message) {
            return Err(SessionEnd::TooLong(message.len()));
        }
        let summary = caught(self.session.message(message)).await??;
        self.live.taken(message.len(), &summary);
        Ok(())
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
        if !matches!(end, SessionEnd::Panicked) {
            self.session.ended(end);
        }
    }
}

type Taken = Result<Summary, super::Rejected>;

/// Turns a panic of the caller's code into the end of the session it came from.
async fn caught(taking: impl Future<Output = Taken>) -> Result<Taken, SessionEnd> {
    let mut taking = pin!(taking);
    std::future::poll_fn(|context| {
        // Unwind safety: the session is not used again after a panic.
        match catch_unwind(AssertUnwindSafe(|| taking.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(SessionEnd::Panicked)),
        }
    })
    .await
}
