//! From the sources, which must not wait, to the observer, which may be busy.

use std::sync::Arc;

use tokio::sync::mpsc::{Receiver, Sender, error::TrySendError};

use super::{Counts, Denied, Loss, Source};

/// Packets that may wait: those of a second at twice Antrea's limit of 5,000 per second.
pub const CAPACITY: usize = 10_000;

/// What sources have told and nobody has taken yet.
#[derive(Debug)]
pub struct Denials(Receiver<Denied>);

/// One source's end of the channel.
#[derive(Debug, Clone)]
pub struct Reporter {
    source: Source,
    sender: Sender<Denied>,
    counts: Arc<Counts>,
}

/// A channel with room for `capacity` packets. Reporters of other sources are made from the first
/// by [`Reporter::of`].
pub fn channel(capacity: usize, counts: Arc<Counts>) -> (Reporter, Denials) {
    let (sender, receiver) = tokio::sync::mpsc::channel(capacity);
    (Reporter { source: Source::Ovs, sender, counts }, Denials(receiver))
}

impl Denials {
    /// The next packet, if one waits.
    pub fn take(&mut self) -> Option<Denied> {
        self.0.try_recv().ok()
    }
}

impl Reporter {
    /// The same channel, for another source.
    #[must_use]
    pub fn of(&self, source: Source) -> Self {
        Self { source, ..self.clone() }
    }

    pub const fn source(&self) -> Source {
        self.source
    }

    /// Hands over a packet without waiting. Without room it is lost, and counted.
    pub fn tell(&self, denied: Denied) {
        let packets = denied.packets;
        self.counts.told(self.source, packets);
        match self.sender.try_send(denied) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.lost(Loss::QueueFull, packets),
            // The observer has ended, and the process is about to.
            Err(TrySendError::Closed(_)) => self.lost(Loss::Ending, packets),
        }
    }

    /// Hands over a packet and waits for room, on a thread that may. For sources that keep what
    /// they have not told yet.
    pub fn tell_in_time(&self, denied: Denied) {
        let packets = denied.packets;
        self.counts.told(self.source, packets);
        if self.sender.blocking_send(denied).is_err() {
            self.lost(Loss::Ending, packets);
        }
    }

    /// Counts packets, or whatever the source knows them by, of which nothing is told.
    pub fn lost(&self, why: Loss, count: u64) {
        self.counts.lost(self.source, why, count);
    }

    /// Says whether the source sees packets now.
    pub fn set_active(&self, is_active: bool) {
        self.counts.set_active(self.source, is_active);
    }

    /// Whether nobody takes packets any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::Tuple;
    use crate::deny::{Action, RuleRef};

    #[test]
    fn what_finds_no_room_is_counted() {
        let counts = Arc::new(Counts::default());
        let (reporter, mut denials) = channel(2, Arc::clone(&counts));
        let reporter = reporter.of(Source::Nflog);
        let end = ([10, 0, 0, 1].into(), 1);
        for packets in 1..=4 {
            reporter.tell(Denied {
                time_ns: 0,
                original: Tuple::new(end, end, 17),
                service: None,
                octets: 0,
                packets,
                direction: None,
                action: Action::Drop,
                rule: RuleRef::Unknown,
                other_rule: None,
                mark: None,
                source: Source::Nflog,
            });
        }
        let taken: Vec<_> = std::iter::from_fn(|| denials.take()).map(|it| it.packets).collect();
        assert_eq!(taken, [1, 2]);
        assert_eq!(counts.packets(Source::Nflog), 10);
        assert_eq!(counts.losses(Source::Nflog, Loss::QueueFull), 7);
        drop(denials);
        assert!(reporter.is_closed());
    }
}
