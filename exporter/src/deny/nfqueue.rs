//! Packets that a netfilter queue hands over for a decision (iptables `-j NFQUEUE`, nft `queue`).
//!
//! The rule that queues a packet is the one that denies it: this end only says so, and the packet
//! goes the way the configuration has for it. A rule with bypass (`--queue-bypass`) lets packets
//! through while nobody listens, one without drops them. Both hold when this process dies.
mod rate; // how much of a storm is looked at
mod overruns; // what the kernel had no room for

use std::io;
use std::time::UNIX_EPOCH;

use nfq::{Message, Queue};

use super::prefix::Meaning;
use super::{Denied, Loss, Reporter, packet};
pub use overruns::Overruns;
use rate::Rate;

/// Queues at most, each with a thread of its own.
pub const MAX_QUEUES: usize = 16;
/// Bytes of each packet: the headers of nearly any.
const COPY_RANGE: u16 = 256;
/// Packets that may wait in the kernel.
const LENGTH: u32 = 4096;
/// Packets of a queue that are looked at each second; Antrea's limit for its own. All get their
/// verdict.
const PACKETS_PER_SECOND: u64 = 5000;

/// What becomes of a packet that was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// The queue's rule is one that denies.
    #[default]
    Drop,
    /// It goes on behind the rule's chain: the rule only watches.
    Accept,
    /// It passes its chain once more, which needs a rule that tells it by its mark.
    Repeat,
}

impl Fate {
    pub const ALL: [Self; 3] = [Self::Drop, Self::Accept, Self::Repeat];

    /// The word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Accept => "accept",
            Self::Repeat => "repeat",
        }
    }

    const fn verdict(self) -> nfq::Verdict {
        match self {
            Self::Drop => nfq::Verdict::Drop,
            Self::Accept => nfq::Verdict::Accept,
            Self::Repeat => nfq::Verdict::Repeat,
        }
    }
}

/// How packets of a queue are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Treatment {
    pub fate: Fate,
    /// Packets for which the queue has no room are let through, not dropped.
    pub fail_open: bool,
}

/// Why a queue cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum NfqueueError {
    /// Somebody else may be bound to it.
    #[error("cannot bind to netfilter queue {0}")]
    Bind(u16, #[source] io::Error),
    #[error("cannot receive from netfilter queue {0}")]
    Receive(u16, #[source] io::Error),
    #[error("cannot give a verdict to netfilter queue {0}")]
    Verdict(u16, #[source] io::Error),
}

/// Serves one queue, in the network namespace of the opening thread.
#[derive(Debug)]
pub struct Nfqueue {
    number: u16,
    inner: Inner,
    treatment: Treatment,
    rate: Rate,
    reporter: Reporter,
}

/// The crate's queue has no `Debug`.
struct Inner(Queue);

impl Nfqueue {
    /// Needs `CAP_NET_ADMIN`.
    pub fn open(
        number: u16,
        treatment: Treatment,
        reporter: Reporter,
    ) -> Result<Self, NfqueueError> {
        let bind = || {
            let mut queue = Queue::open()?;
            queue.bind(number)?;
            queue.set_copy_range(number, COPY_RANGE)?;
            queue.set_queue_max_len(number, LENGTH)?;
            queue.set_fail_open(number, treatment.fail_open)?;
            Ok(queue)
        };
        let queue = bind().map_err(|error| NfqueueError::Bind(number, error))?;
        let rate = Rate::new(PACKETS_PER_SECOND);
        Ok(Self { number, inner: Inner(queue), treatment, rate, reporter })
    }

    /// Serves the queue until nobody listens. The thread may stay in the kernel for ever, where no
    /// packet comes: it is to be left alone with that.
    pub fn run(&mut self, clock: impl Fn() -> u64) -> Result<(), NfqueueError> {
        while !self.reporter.is_closed() {
            match self.inner.0.recv() {
                Ok(message) => self.serve(message, clock())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NfqueueError::Receive(self.number, error)),
            }
        }
        Ok(())
    }

    /// Has the packet's fate decided first: it waits for that.
    fn serve(&mut self, mut message: Message, now: u64) -> Result<(), NfqueueError> {
        let denied = self.denied(&message, now);
        message.set_verdict(self.treatment.fate.verdict());
        let given = self.inner.0.verdict(message);
        given.map_err(|error| NfqueueError::Verdict(self.number, error))?;
        if !self.rate.allows(now) {
            self.reporter.lost(Loss::TooMany, 1);
            return Ok(());
        }
        match denied {
            Some(denied) => self.reporter.tell(denied),
            None => self.reporter.lost(Loss::Malformed, 1),
        }
        Ok(())
    }

    fn denied(&self, message: &Message, now: u64) -> Option<Denied> {
        let packet = packet::read(message.get_payload()).ok()?;
        let time = message.get_timestamp().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let time_ns = time.and_then(|time| u64::try_from(time.as_nanos()).ok());
        // A queue's rule has no prefix that could say more.
        let Meaning { action, direction, rule } = Meaning::UNKNOWN;
        Some(Denied {
            time_ns: time_ns.unwrap_or(now),
            original: packet.tuple,
            service: None,
            octets: packet.octets,
            packets: 1,
            direction,
            action,
            rule,
            other_rule: None,
            mark: None,
            source: self.reporter.source(),
        })
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}
