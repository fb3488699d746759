//! Who has had one thing (an address, a Service's address and port) and when.
//!
//! Nobody tells when an address changes hands. What is known of a tenancy are bounds: it began
//! after its object was made and before we saw the address in it; it ended before we saw the
//! object go, plus the time that an address may outlive its object. Bounds of one tenancy sharpen
//! those of others, since two never have the same address at once. Where bounds leave two
//! possible owners, none is named. See docs/decisions/0010-who-owned-an-address.md.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::lookup::{Lookup, Reason};

/// It has not ended.
pub(crate) const NEVER: u64 = u64::MAX;

/// How far times of different origin are trusted. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margins {
    /// How far the clocks of the API server, of Nodes and of the asker may be apart.
    pub skew_ms: u64,
    /// How long an address may be in use after its object has gone or its Pod has ended: a Pod
    /// deleted by force is still running then.
    pub linger_ms: u64,
    /// How long it may take until a change is known here, while the watch works.
    pub settle_ms: u64,
    /// How long after its end a tenancy is remembered.
    pub keep_ms: u64,
}

impl Default for Margins {
    /// `keep_ms` is Antrea's.
    fn default() -> Self {
        Self { skew_ms: 500, linger_ms: 5_000, settle_ms: 5_000, keep_ms: 300_000 }
    }
}

/// One owner's time. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Tenancy<T> {
    pub owner: Arc<T>,
    /// Number of the owner's object, which no other object gets.
    pub tenant: u64,
    /// It cannot have begun before.
    pub earliest: u64,
    /// It had begun by then.
    pub since: u64,
    /// It had ended, or its end was in sight, by then. [`NEVER`] while it lasts.
    pub left: u64,
    /// Number of the event, or of the list, that first told of it. The API server tells of later
    /// tenancies later; a list has no order.
    pub order: u64,
    /// Another had it by then. Stays true when the other is forgotten.
    succeeded: u64,
}

impl<T> Tenancy<T> {
    pub(crate) fn new(owner: Arc<T>, tenant: u64, [earliest, since]: [u64; 2], order: u64) -> Self {
        let earliest = earliest.min(since);
        Self { owner, tenant, earliest, since, left: NEVER, order, succeeded: NEVER }
    }

    /// It cannot have lasted until then.
    fn gone(&self, margins: &Margins) -> u64 {
        self.left.saturating_add(margins.linger_ms).min(self.succeeded)
    }

    fn is_possible(&self, time: u64, margins: &Margins) -> bool {
        let gone = self.gone(margins);
        let is_over = gone != NEVER && time >= gone.saturating_add(margins.skew_ms);
        time.saturating_add(margins.skew_ms) >= self.earliest && !is_over
    }

    /// Whether this began after `other` had begun.
    fn is_after(&self, other: &Self) -> bool {
        if other.earliest >= self.since && self.earliest < other.since {
            return false;
        }
        let is_proven = self.earliest >= other.since && other.earliest < self.since;
        is_proven || self.order > other.order
    }
}

/// All tenancies that are remembered of one thing. There is at least one.
#[derive(Debug, Clone)]
pub(crate) struct Holding<T> {
    newest: Tenancy<T>,
    /// Few things have any.
    older: Option<Arc<Vec<Tenancy<T>>>>,
    /// Tenancies that ended before may have been forgotten.
    complete_from: u64,
}

impl<T: Clone> Holding<T> {
    pub(crate) fn new(first: Tenancy<T>, complete_from: u64) -> Self {
        Self { newest: first, older: None, complete_from }
    }

    fn tenancies(&self) -> impl Iterator<Item = &Tenancy<T>> {
        std::iter::once(&self.newest).chain(self.older.iter().flat_map(|older| older.iter()))
    }

    fn tenancies_mut(&mut self) -> impl Iterator<Item = &mut Tenancy<T>> {
        let older = self.older.iter_mut().flat_map(|older| Arc::make_mut(older).iter_mut());
        std::iter::once(&mut self.newest).chain(older)
    }

    pub(crate) fn len(&self) -> usize {
        1 + self.older.as_ref().map_or(0, |older| older.len())
    }

    pub(crate) fn tenancy(&self, tenant: u64) -> Option<&Tenancy<T>> {
        self.tenancies().find(|tenancy| tenancy.tenant == tenant)
    }

    /// Adds a tenancy, or continues one that seemed to have ended.
    pub(crate) fn claim(&mut self, tenancy: Tenancy<T>) {
        let tenant = tenancy.tenant;
        if let Some(known) = self.tenancies_mut().find(|known| known.tenant == tenant) {
            (known.owner, known.left) = (tenancy.owner, NEVER);
        } else {
            let before = std::mem::replace(&mut self.newest, tenancy);
            Arc::make_mut(self.older.get_or_insert_default()).push(before);
        }
        self.bound();
    }

    /// The tenancy had ended by `left`.
    pub(crate) fn leave(&mut self, tenant: u64, left: u64) {
        for tenancy in self.tenancies_mut().filter(|tenancy| tenancy.tenant == tenant) {
            tenancy.left = tenancy.left.min(left);
        }
    }

    /// Removes a tenancy; `None` if nothing is left.
    pub(crate) fn without(mut self, tenant: u64, now: u64, margins: &Margins) -> Option<Self> {
        let Some(at) = self.tenancies().position(|tenancy| tenancy.tenant == tenant) else {
            return Some(self);
        };
        let older = Arc::make_mut(self.older.as_mut()?);
        let removed = match at.checked_sub(1) {
            Some(at) => older.remove(at),
            None => std::mem::replace(&mut self.newest, older.pop()?),
        };
        if older.is_empty() {
            self.older = None;
        }
        self.complete_from = self.complete_from.max(removed.gone(margins).min(now));
        Some(self)
    }

    /// The tenant to forget first if there are too many: the first that left.
    pub(crate) fn oldest(&self) -> u64 {
        let left = self.tenancies().min_by_key(|tenancy| (tenancy.left, tenancy.order));
        left.map_or(0, |tenancy| tenancy.tenant)
    }

    /// Notes which tenancies were over when another had begun.
    fn bound(&mut self) {
        let succeeded = |of: &Tenancy<T>| {
            let successors = self.tenancies().filter(|other| other.is_after(of));
            successors.map(|successor| successor.since).fold(of.succeeded, u64::min)
        };
        let all: Vec<u64> = self.tenancies().map(succeeded).collect();
        for (tenancy, succeeded) in self.tenancies_mut().zip(all) {
            tenancy.succeeded = succeeded;
        }
    }

    /// Its owner if nobody else is known to have had it, and the times at which [`Self::at`] finds
    /// that owner whatever else is asked.
    pub(crate) fn alone(
        &self,
        coverage: &Coverage,
        margins: &Margins,
    ) -> Option<(&T, RangeInclusive<u64>)> {
        let Tenancy { owner, since, left, succeeded, .. } = &self.newest;
        let is_alone = self.older.is_none() && [*left, *succeeded] == [NEVER; 2];
        let times = since.saturating_add(margins.skew_ms)..=coverage.settled;
        is_alone.then_some((owner.as_ref(), times))
    }

    /// Who had it at `time`.
    pub(crate) fn at(&self, time: u64, coverage: &Coverage, margins: &Margins) -> Lookup<'_, T> {
        let mut possible = self.tenancies().filter(|tenancy| tenancy.is_possible(time, margins));
        let is_settled = time <= coverage.settled;
        let Some(only) = possible.next() else {
            return Lookup::Missing(match coverage.gap(time) {
                _ if !is_settled => Reason::TooRecent,
                _ if time < self.complete_from => Reason::Forgotten,
                Some(_) => Reason::Unwatched,
                None => Reason::Vacant,
            });
        };
        if possible.next().is_some() {
            return Lookup::Missing(Reason::Ambiguous);
        }
        if !is_settled {
            // What comes after its end is more likely to be another's.
            let is_over = time >= only.left;
            return if is_over {
                Lookup::Missing(Reason::TooRecent)
            } else {
                Lookup::Likely(&only.owner)
            };
        }
        let has_begun = time >= only.since.saturating_add(margins.skew_ms);
        if !has_begun && time < self.complete_from {
            return Lookup::Missing(Reason::Forgotten);
        }
        match coverage.gap(time) {
            // Somebody else may have come and gone unseen, unless it was this one's throughout.
            Some(gap) if !has_begun || only.left.min(only.succeeded) <= gap.to => {
                Lookup::Missing(Reason::Unwatched)
            }
            _ => Lookup::Found(&only.owner),
        }
    }
}

/// A time of which changes may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    from: u64,
    /// A complete list had come by then.
    to: u64,
    /// What went unseen may have lasted until then.
    lingers: u64,
}

/// Gaps that are remembered; two that are older become one.
const MOST_GAPS: usize = 16;

/// Which times are known of one kind of object.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    /// Every change until then is known, save those in gaps.
    settled: u64,
    /// In the order of time.
    gaps: Vec<Gap>,
}

impl Coverage {
    /// Nothing is known yet.
    pub(crate) fn none() -> Self {
        Self { settled: 0, gaps: Vec::new() }
    }

    /// All that ever was and will be is known.
    pub(crate) fn complete() -> Self {
        Self { settled: NEVER, gaps: Vec::new() }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.settled == 0
    }

    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }

    /// Everything until `time` is known, in one go with what was known before; what comes after
    /// is not.
    pub(crate) fn settle(&mut self, time: u64) {
        self.settled = time.max(1);
    }

    /// A list that is complete `now` says how everything was at `listed`; changes since the last
    /// that is known may have been missed.
    pub(crate) fn resume(&mut self, listed: u64, now: u64, margins: &Margins) {
        let settled = listed.saturating_sub(margins.settle_ms);
        let lingers = now.saturating_add(margins.linger_ms);
        let gap = Gap { from: self.settled, to: now, lingers };
        self.settled = self.settled.max(settled);
        if self.gaps.len() == MOST_GAPS {
            let first = self.gaps.remove(0);
            self.gaps[0].from = first.from;
        }
        self.gaps.push(gap);
    }

    /// The latest gap that `time` lies in.
    fn gap(&self, time: u64) -> Option<&Gap> {
        let mut recent = self.gaps.iter().rev().take_while(|gap| time <= gap.lingers);
        recent.find(|gap| gap.from <= time)
    }
}
