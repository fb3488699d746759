//! How each kind's watch is doing, for metrics, readiness and whoever asks.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::client::{Access, Reason};
use crate::objects::Kind;
use crate::tracker::Stats;

/// What of an object, or which object, was not taken over, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeftOut {
    /// The object: it is not JSON of the shape that its kind has.
    Malformed,
    /// The object: it lacks a name, uid or namespace, or one is longer than names are.
    Nameless,
    /// The object: it is larger than the limit.
    TooLarge,
    /// An address or a network: it cannot be read, or there are too many.
    Address,
    /// A port: it or its protocol is not one, or there are too many.
    Port,
    /// A label: there are too many, or too long ones.
    Label,
    /// The end of a text.
    NameEnd,
}

impl LeftOut {
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Nameless,
        Self::TooLarge,
        Self::Address,
        Self::Port,
        Self::Label,
        Self::NameEnd,
    ];

    /// As a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Nameless => "nameless",
            Self::TooLarge => "too_large",
            Self::Address => "address",
            Self::Port => "port",
            Self::Label => "label",
            Self::NameEnd => "name_end",
        }
    }
}

/// How much was left out, for each reason.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Left([u64; LeftOut::ALL.len()]);

impl Left {
    pub fn of(&self, what: LeftOut) -> u64 {
        LeftOut::ALL.iter().zip(self.0).find(|(one, _)| **one == what).map_or(0, |(_, count)| count)
    }

    pub(super) fn count(&mut self, what: LeftOut) {
        for (_, count) in LeftOut::ALL.iter().zip(&mut self.0).filter(|(one, _)| **one == what) {
            *count += 1;
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

/// How often a watch began anew, for each reason.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Restarts([u64; Reason::ALL.len()]);

impl Restarts {
    pub fn of(&self, reason: Reason) -> u64 {
        Reason::ALL.iter().zip(self.0).find(|(one, _)| **one == reason).map_or(0, |(_, n)| n)
    }

    fn count(&mut self, reason: Reason) {
        for (_, count) in Reason::ALL.iter().zip(&mut self.0).filter(|(one, _)| **one == reason) {
            *count += 1;
        }
    }
}

impl fmt::Debug for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = LeftOut::ALL.iter().map(|what| what.name()).zip(self.0);
        f.debug_map().entries(counts.filter(|(_, count)| *count > 0)).finish()
    }
}

impl fmt::Debug for Restarts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Reason::ALL.iter().map(|reason| reason.name()).zip(self.0);
        f.debug_map().entries(counts.filter(|(_, count)| *count > 0)).finish()
    }
}

/// A 403 that still stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub access: Access,
    /// What the API server says, cut to 300 bytes.
    pub message: String,
}

/// How the watch of one kind is doing. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindState {
    /// When the first complete list was part of the picture.
    pub synced_ms: Option<u64>,
    /// When the API server last sent an object or a bookmark.
    pub last_event_ms: Option<u64>,
    /// Objects that were added, changed or deleted, listed ones among them.
    pub events: u64,
    /// Complete lists.
    pub lists: u64,
    pub restarts: Restarts,
    pub left_out: Left,
    /// Since when a watch is open, from where a list or an earlier watch ended.
    pub followed_since_ms: Option<u64>,
    /// Until when everything is known that the API server told: when a list was asked for, or
    /// when the watch that followed last brought an object or a bookmark.
    pub known_ms: Option<u64>,
    /// Short watches that were to tell how far the API server is, and those of them that did not.
    pub probes: u64,
    pub probes_vain: u64,
    /// What the API server does not allow just now.
    pub denied: Option<Denied>,
    /// The API server has no such kind just now: a custom resource that is not installed.
    pub absent: bool,
}

/// The states of all kinds that are watched.
#[derive(Debug)]
pub(super) struct States {
    kinds: Vec<(Kind, Mutex<KindState>)>,
    /// Somebody wants to know of the kind how far the API server is.
    wanted: Vec<(Kind, Notify)>,
    missing: Mutex<Vec<Access>>,
    tracker: Mutex<Stats>,
    ready: watch::Sender<bool>,
}

impl States {
    pub(super) fn new(kinds: &[Kind]) -> Self {
        let wanted = kinds.iter().map(|&kind| (kind, Notify::new())).collect();
        let kinds = kinds.iter().map(|&kind| (kind, Mutex::default())).collect();
        Self {
            kinds,
            wanted,
            missing: Mutex::default(),
            tracker: Mutex::default(),
            ready: watch::Sender::new(false),
        }
    }

    /// Becomes `true` when every kind has been listed, or is denied or absent.
    pub(super) fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    pub(super) fn all(&self) -> Vec<(Kind, KindState)> {
        self.kinds.iter().map(|(kind, state)| (*kind, lock(state).clone())).collect()
    }

    /// Lets `change` have the state of `kind`, if it is watched.
    pub(super) fn change(&self, kind: Kind, change: impl FnOnce(&mut KindState)) {
        if let Some((_, state)) = self.kinds.iter().find(|(one, _)| *one == kind) {
            change(&mut lock(state));
        }
    }

    /// Somebody wants to know how far the API server is with `kind`.
    pub(super) fn want(&self, kind: Kind) {
        let wanted = self.wanted.iter().find(|(one, _)| *one == kind);
        if let Some((_, wanted)) = wanted {
            wanted.notify_one();
        }
    }

    /// Resolves once for any number of [`Self::want`].
    pub(super) async fn wanted(&self, kind: Kind) {
        match self.wanted.iter().find(|(one, _)| *one == kind) {
            Some((_, wanted)) => wanted.notified().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn probed(&self, kind: Kind, known: bool) {
        self.change(kind, |state| {
            state.probes += 1;
            state.probes_vain += u64::from(!known);
        });
    }

    /// Until when everything is known of each kind that is followed.
    pub(super) fn known(&self, now_ms: u64) -> Vec<(Kind, u64)> {
        let known = |(kind, state): &(Kind, Mutex<KindState>)| {
            let mut state = lock(state);
            state.followed_since_ms?;
            // The clock may have been set back.
            let until_ms = state.known_ms.as_mut()?;
            *until_ms = now_ms.min(*until_ms);
            Some((*kind, *until_ms))
        };
        self.kinds.iter().filter_map(known).collect()
    }

    pub(super) fn checked(&self, missing: Vec<Access>) {
        *lock(&self.missing) = missing;
    }

    pub(super) fn missing(&self) -> Vec<Access> {
        lock(&self.missing).clone()
    }

    pub(super) fn tracked(&self, stats: Stats) {
        *lock(&self.tracker) = stats;
    }

    pub(super) fn tracker_stats(&self) -> Stats {
        *lock(&self.tracker)
    }

    /// It works, from the present state of the API server on.
    pub(super) fn follows(&self, kind: Kind, now_ms: u64) {
        self.change(kind, |state| {
            state.denied = None;
            state.absent = false;
            state.followed_since_ms = Some(now_ms);
        });
    }

    pub(super) fn restarted(&self, kind: Kind, reason: Reason) {
        self.change(kind, |state| {
            state.restarts.count(reason);
            state.followed_since_ms = None;
        });
    }

    /// Takes note of a 403; returns whether it is news.
    pub(super) fn denied(&self, kind: Kind, denied: Denied) -> bool {
        let mut is_news = false;
        self.change(kind, |state| {
            is_news = state.denied.as_ref().is_none_or(|known| known.access != denied.access);
            state.denied = Some(denied);
        });
        self.look_whether_ready();
        is_news
    }

    /// Takes note of a 404; returns whether it is news.
    pub(super) fn absent(&self, kind: Kind) -> bool {
        let mut is_news = false;
        self.change(kind, |state| is_news = !std::mem::replace(&mut state.absent, true));
        self.look_whether_ready();
        is_news
    }

    /// A complete list of `kind` is part of the picture.
    pub(super) fn synced(&self, kind: Kind, now_ms: u64) {
        self.change(kind, |state| {
            state.lists += 1;
            state.synced_ms.get_or_insert(now_ms);
        });
        self.look_whether_ready();
    }

    fn look_whether_ready(&self) {
        let settled =
            |state: &KindState| state.synced_ms.is_some() || state.denied.is_some() || state.absent;
        if self.kinds.iter().all(|(_, state)| settled(&lock(state))) {
            self.ready.send_replace(true);
        }
    }
}

/// A panic while a number is written leaves no half of one.
fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_until_it_was_heard_of_while_it_is_followed_without_a_gap() {
        let states = States::new(&[Kind::Pod, Kind::Node]);
        let heard = |kind, ms| states.change(kind, |state| state.known_ms = Some(ms));
        states.follows(Kind::Pod, 10);
        assert_eq!(states.known(20), [], "nothing was heard");
        heard(Kind::Pod, 12);
        assert_eq!(states.known(14), [(Kind::Pod, 12)]);
        assert_eq!(states.known(90), [(Kind::Pod, 12)], "silence tells nothing");
        states.restarted(Kind::Pod, Reason::Ended);
        states.follows(Kind::Node, 15);
        heard(Kind::Node, 18);
        assert_eq!(states.known(90), [(Kind::Node, 18)], "one does not wait for the other");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_make_the_future_known() {
        let states = States::new(&[Kind::Pod]);
        states.follows(Kind::Pod, 9_000);
        states.change(Kind::Pod, |state| state.known_ms = Some(9_000));
        assert_eq!(states.known(105), [(Kind::Pod, 105)]);
        assert_eq!(states.known(9_000), [(Kind::Pod, 105)]);
    }
}
