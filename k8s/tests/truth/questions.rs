//! What is asked.

use std::net::IpAddr;

use crate::script::{BEGIN, Random, Script, Slot, addresses};

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    AnyAddress,
    ChangedAddress,
    /// Within four seconds of the change.
    Change,
}

pub(crate) struct Question {
    pub about: About,
    pub slot: Slot,
    pub address: IpAddr,
    /// By no clock.
    pub at: u64,
    /// By the clock of the Node that asks.
    pub shown: u64,
}

/// Asks about addresses, half of the time about such that have changed hands, and half of those
/// at about that time.
pub(crate) struct Asker<'a> {
    script: &'a Script,
    random: Random,
    slots: Vec<Slot>,
    changed: Vec<(u64, Slot)>,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(script: &'a Script) -> Self {
        let mut slots: Vec<Slot> = script.tenancies.keys().copied().collect();
        slots.sort_unstable();
        let with = |&slot: &Slot| script.tenancies[&slot].iter().map(move |t| (t.from, slot));
        let mut changed: Vec<_> = slots.iter().flat_map(with).collect();
        changed.retain(|(at, _)| *at >= BEGIN);
        changed.sort_unstable();
        Self { script, random: Random(3), slots, changed }
    }

    pub(crate) fn question(&mut self, now: u64) -> Question {
        let span = if self.random.percent(20) { 5_000 } else { 40_000 };
        let mut at = now - self.random.below(span);
        let mut slot = self.slots[self.random.index(self.slots.len())];
        let mut about = About::AnyAddress;
        let past = self.changed.partition_point(|(changed, _)| *changed <= now);
        if past > 0 && self.random.percent(50) {
            let (changed, of) = self.changed[self.random.index(past)];
            (slot, about) = (of, About::ChangedAddress);
            if self.random.percent(50) {
                about = About::Change;
                at = (changed + self.random.below(8_000)).saturating_sub(4_000).min(now);
            }
        }
        let shown = at.checked_add_signed(self.script.clocks[slot / 256]).unwrap();
        let address = addresses(slot)[self.random.index(2)];
        Question { about, slot, address, at, shown }
    }
}
