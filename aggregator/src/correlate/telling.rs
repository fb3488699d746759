//! When flows are told, and forgotten.

use flow::{FlowKey, FlowRecord};

use super::flow_entry::FlowEntry;
use super::{AHEAD, Correlator, Timeouts, millis, wheel};

/// What is due at one moment and has not been handed out yet. Whoever begins with it goes through
/// with it: flows are nowhere else to be looked at meanwhile.
#[derive(Debug)]
pub struct Due {
    now_ms: u64,
    look: wheel::Look,
    /// The next flow of the slot at hand.
    number: u32,
}

impl Correlator {
    /// Hands out what is due at `now_ms`, and forgets flows that nobody reports any more.
    pub fn expire(&mut self, now_ms: u64, emit: &mut Vec<FlowRecord>) {
        let mut due = self.due(now_ms);
        self.expire_some(&mut due, usize::MAX, emit);
    }

    /// As [`Self::expire`], a few records at a time, by [`Self::expire_some`].
    pub fn due(&mut self, now_ms: u64) -> Due {
        self.shared.memory.age(now_ms);
        Due { now_ms, look: self.wheel.look(now_ms), number: wheel::NONE }
    }

    /// Hands out what is due until `emit` has about `most` records. Returns whether there may be
    /// more.
    pub fn expire_some(&mut self, due: &mut Due, most: usize, emit: &mut Vec<FlowRecord>) -> bool {
        let now_ms = due.now_ms;
        while emit.len() < most && !self.hot.is_empty() {
            let from = self.hot.len().saturating_sub(AHEAD);
            self.touch(&self.hot.iter().skip(from).copied());
            for _ in from..self.hot.len() {
                let Some(number) = self.hot.pop() else { break };
                self.tell(number, emit);
                if let Some(entry) = self.flows.get_mut(number) {
                    entry.is_hot = false;
                    entry.due_ms = next_look(entry, &self.timeouts, now_ms);
                }
            }
        }
        while emit.len() < most {
            let number = due.number;
            let Some(entry) = self.flows.get(number) else {
                let Some(first) = self.wheel.next(&mut due.look) else {
                    self.overflow.expire(now_ms, millis(self.timeouts.active), emit);
                    return false;
                };
                due.number = first;
                continue;
            };
            due.number = entry.next;
            if entry.due_ms <= now_ms {
                self.tell(number, emit);
                self.settle(number, now_ms);
            }
            self.link(number, now_ms);
        }
        true
    }

    /// Hands out everything that has not been told, for shutdown.
    pub fn flush(&mut self, now_ms: u64, emit: &mut Vec<FlowRecord>) {
        let mut from = Some(0);
        while let Some(next) = from {
            from = self.flush_some(next, u32::MAX, now_ms, emit);
        }
    }

    /// As [`Self::flush`], of `count` flows from number `from` on. Returns where to go on.
    pub fn flush_some(
        &mut self,
        from: u32,
        count: u32,
        now_ms: u64,
        emit: &mut Vec<FlowRecord>,
    ) -> Option<u32> {
        let end = from.saturating_add(count).min(self.flows.numbers());
        for number in from..end {
            self.tell(number, emit);
        }
        if end < self.flows.numbers() {
            return Some(end);
        }
        self.overflow.flush(now_ms, emit);
        None
    }

    /// Hands out a flow's record if it has news.
    fn tell(&mut self, number: u32, emit: &mut Vec<FlowRecord>) {
        let Some(entry) = self.flows.get_mut(number) else { return };
        if !entry.changed {
            return;
        }
        let is_alone = !entry.is_complete() && !entry.may_be_alone();
        self.stats.unpaired += u64::from(!entry.told && is_alone);
        self.stats.emitted += 1;
        emit.push(entry.export(&self.shared.states));
    }

    /// Plans the next look at a flow that was just looked at, or forgets it.
    fn settle(&mut self, number: u32, now_ms: u64) {
        let Some(entry) = self.flows.get_mut(number) else { return };
        entry.due_ms = next_look(entry, &self.timeouts, now_ms);
        if entry.due_ms > now_ms {
            return;
        }
        let key = entry.key;
        let hash = self.hash(&key);
        if let Some(entry) = self.flows.remove(hash, number) {
            entry.forget(&mut self.shared.memory);
        }
    }

    /// Flows as they are now, beginning with number `from`, of the `count` numbers from there on.
    /// Returns where to go on, unless there are no more. A flow is `wanted` by the key under which
    /// its halves met, or by the one it is told with.
    pub fn look(
        &self,
        from: u32,
        count: u32,
        wanted: impl Fn(&FlowKey) -> bool,
        mut visit: impl FnMut(FlowRecord),
    ) -> Option<u32> {
        let end = from.saturating_add(count).min(self.flows.numbers());
        for number in from..end {
            let Some(entry) = self.flows.get(number) else { continue };
            if wanted(&entry.key) || wanted(&entry.shown_key()) {
                visit(entry.peek(&self.shared.states));
            }
        }
        (end < self.flows.numbers()).then_some(end)
    }
}

/// When a flow is to be looked at again; not in the future if it is to be forgotten.
fn next_look(entry: &FlowEntry, timeouts: &Timeouts, now_ms: u64) -> u64 {
    let forgotten = entry.received_ms + millis(timeouts.inactive);
    let next = now_ms + millis(timeouts.active);
    if entry.has_ended() { forgotten } else { next.min(forgotten) }
}
