//! Data Sets whose Template has yet to come.
//!
//! On UDP a Template may be overtaken by the records it describes, or be lost until it is sent
//! again. The Sets that arrive meanwhile are copied and kept here, for as long and as many as
//! [`Waiting`] allows; the oldest make room for the newest.

use std::{collections::VecDeque, time::Instant};

use super::{Summary, Waiting};
use crate::{message::MessageHeader, template::TemplateId};

/// What a Set takes besides its bytes, so that Sets of no bytes are bounded as well.
const OVERHEAD: usize = size_of::<WaitingSet>() + 32;

/// The body of a Data Set, and what its records would have carried.
#[derive(Debug)]
pub(super) struct WaitingSet {
    pub(super) header: MessageHeader,
    pub(super) id: TemplateId,
    pub(super) body: Box<[u8]>,
    since: Instant,
}

#[derive(Debug)]
pub(super) struct WaitingSets {
    /// The oldest first.
    sets: VecDeque<WaitingSet>,
    bytes: usize,
    limits: Waiting,
}

impl WaitingSets {
    pub(super) const fn new(limits: Waiting) -> Self {
        Self { sets: VecDeque::new(), bytes: 0, limits }
    }

    /// Keeps a Set, or says that it does not.
    pub(super) fn keep(
        &mut self,
        header: MessageHeader,
        id: TemplateId,
        body: &[u8],
        now: Option<Instant>,
        summary: &mut Summary,
    ) -> bool {
        let cost = body.len() + OVERHEAD;
        let Some(since) = now.filter(|_| cost <= self.limits.bytes) else {
            return false;
        };
        while self.bytes + cost > self.limits.bytes {
            self.give_up_oldest(summary);
        }
        self.bytes += cost;
        self.sets.push_back(WaitingSet { header, id, body: body.into(), since });
        true
    }

    /// Gives up what has waited too long.
    pub(super) fn expire(&mut self, now: Option<Instant>, summary: &mut Summary) {
        let Some(now) = now else { return };
        while self
            .sets
            .front()
            .is_some_and(|set| now.saturating_duration_since(set.since) > self.limits.time)
        {
            self.give_up_oldest(summary);
        }
    }

    /// Takes out, in the order they arrived, the Sets whose Template `is_known`.
    pub(super) fn resume(
        &mut self,
        is_known: impl Fn(u32, TemplateId) -> bool,
    ) -> VecDeque<WaitingSet> {
        if !self.sets.iter().any(|set| is_known(set.header.domain, set.id)) {
            return VecDeque::new();
        }
        let all = std::mem::take(&mut self.sets);
        let (resumed, waiting): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|set| is_known(set.header.domain, set.id));
        self.sets = waiting;
        self.bytes -= resumed.iter().map(|set| set.body.len() + OVERHEAD).sum::<usize>();
        resumed
    }

    fn give_up_oldest(&mut self, summary: &mut Summary) {
        match self.sets.pop_front() {
            Some(set) => {
                self.bytes -= set.body.len() + OVERHEAD;
                summary.sets_given_up += 1;
            }
            None => self.bytes = 0,
        }
    }
}
