//! What one destination has not been told yet although its track's others have.
//!
//! A debt grows instead of becoming two: one destination has at most one per connection. Whoever
//! is owed something gets nothing else until all of it is paid, so that its records stay in order.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::due::EndReason;
use crate::conntrack::Counters;

#[derive(Debug, Default)]
pub(super) struct Debts {
    owed: HashMap<u32, Debt>,
    /// Those of closed connections, which keep slots from being used again, then the others; the
    /// oldest first.
    order: BTreeSet<(Class, u64, u32)>,
    next: u64,
    closed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Debt {
    pub(super) deltas: Counters,
    pub(super) reason: EndReason,
    class: Class,
    number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Closed,
    Live,
}

impl Debts {
    pub(super) fn len(&self) -> usize {
        self.owed.len()
    }

    pub(super) const fn closed(&self) -> usize {
        self.closed
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Debt> {
        self.owed.get(&slot)
    }

    /// Owes more. Returns whether nothing was owed of this connection before.
    pub(super) fn owe(
        &mut self,
        slot: u32,
        deltas: Counters,
        reason: EndReason,
        class: Class,
    ) -> bool {
        if let Some(debt) = self.owed.get_mut(&slot) {
            debt.deltas = debt.deltas.zip(deltas, u64::saturating_add);
            debt.reason = reason;
            self.classify(slot, class);
            return false;
        }
        let number = self.next;
        self.next += 1;
        self.owed.insert(slot, Debt { deltas, reason, class, number });
        self.order.insert((class, number, slot));
        self.closed += usize::from(class == Class::Closed);
        true
    }

    /// The connection has ended, or has not after all. Returns whether something of it is owed.
    pub(super) fn classify(&mut self, slot: u32, class: Class) -> bool {
        let Some(debt) = self.owed.get_mut(&slot) else { return false };
        if debt.class != class {
            self.order.remove(&(debt.class, debt.number, slot));
            self.order.insert((class, debt.number, slot));
            debt.class = class;
            match class {
                Class::Closed => self.closed += 1,
                Class::Live => self.closed -= 1,
            }
        }
        true
    }

    /// Takes out what is to be paid next.
    pub(super) fn pop(&mut self) -> Option<(u32, Debt)> {
        let (class, _, slot) = self.order.pop_first()?;
        self.closed -= usize::from(class == Class::Closed);
        Some((slot, self.owed.remove(&slot)?))
    }
}
