//! What sessions have done: each for itself, and all together.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{Peer, Refused, SessionEnd};
use crate::decode::Summary;

/// What one session has done. All but `messages`, `bytes`, `duplicates` and `malformed` are the
/// sums of what each [`Summary`] told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionCounters {
    /// Messages taken.
    pub messages: u64,
    /// Bytes of these, message headers included.
    pub bytes: u64,
    /// Data Records visited: [`Summary::records`].
    pub records: u64,
    /// [`Summary::templates`].
    pub templates: u64,
    /// [`Summary::redefinitions`].
    pub redefinitions: u64,
    /// [`Summary::withdrawals`].
    pub withdrawals: u64,
    /// [`Summary::templates_expired`].
    pub templates_expired: u64,
    /// [`Summary::templates_refused`].
    pub templates_refused: u64,
    /// [`Summary::sets_without_template`].
    pub sets_without_template: u64,
    /// [`Summary::sets_waiting`].
    pub sets_waiting: u64,
    /// [`Summary::sets_resumed`].
    pub sets_resumed: u64,
    /// [`Summary::records_resumed`].
    pub records_resumed: u64,
    /// [`Summary::sets_given_up`].
    pub sets_given_up: u64,
    /// [`Summary::sets_reserved`].
    pub sets_reserved: u64,
    /// [`Summary::lost_records`].
    pub lost_records: u64,
    /// Messages late or twice.
    pub out_of_order: u64,
    /// Messages skipped because they came twice.
    pub duplicates: u64,
    /// Messages that were malformed or too long. Over TCP and TLS there is at most one.
    pub malformed: u64,
}

/// What all sessions together have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// The sums over all sessions, open or over.
    pub sessions: SessionCounters,
    /// Sessions that began.
    pub opened: u64,
    /// Peers refused with [`Refused::TooMany`].
    pub refused_too_many: u64,
    /// Peers whose TLS handshake failed or took too long.
    pub refused_handshake: u64,
    /// Datagrams of peers without a session that were no messages.
    pub refused_datagrams: u64,
    /// Sessions whose beginning the caller's code did not survive.
    pub refused_panicked: u64,
    /// Times a listener could not accept or receive.
    pub listener_failures: u64,
    /// Sessions that ended with [`SessionEnd::Closed`].
    pub ended_closed: u64,
    /// Sessions that ended with [`SessionEnd::Idle`].
    pub ended_idle: u64,
    /// Sessions that ended with [`SessionEnd::Shutdown`].
    pub ended_shutdown: u64,
    /// Shutdown left no time to read them to their end.
    pub ended_cut_off: u64,
    /// Sessions whose peer broke a rule: [`SessionEnd::is_malformed`].
    pub ended_malformed: u64,
    /// The connection broke, or ended inside a message.
    pub ended_broken: u64,
    /// Sessions that ended with [`SessionEnd::Crowded`].
    pub ended_crowded: u64,
    /// Sessions the caller wanted no more of.
    pub ended_unwanted: u64,
    /// Sessions that ended with [`SessionEnd::Panicked`].
    pub ended_panicked: u64,
}

/// The counters of a session that is open.
#[derive(Debug)]
pub(super) struct Live {
    id: u64,
    peer: Peer,
    counted: Mutex<SessionCounters>,
}

/// All sessions that are open, and the sum of those that are over.
#[derive(Debug, Default)]
pub(super) struct Registry {
    next_id: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Live>>>,
    total: Mutex<Counters>,
}

/// A panic of a session is caught elsewhere, and leaves no counter half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub(super) fn taken(&self, bytes: usize, summary: &Summary) {
        lock(&self.counted).add(SessionCounters::of(bytes, summary));
    }

    pub(super) fn records(&self) -> u64 {
        let counted = lock(&self.counted);
        counted.records + counted.records_resumed
    }

    pub(super) fn malformed(&self) {
        lock(&self.counted).malformed += 1;
    }
}

impl Registry {
    pub(super) fn open(&self, peer: Peer) -> Arc<Live> {
        let id = self.next_id.fetch_add(1, Relaxed);
        let live = Arc::new(Live { id, peer, counted: Mutex::default() });
        lock(&self.open).insert(id, Arc::clone(&live));
        lock(&self.total).opened += 1;
        live
    }

    pub(super) fn close(&self, live: &Live, end: &SessionEnd) {
        // Both under one lock, so that no session is missing from the sum or in it twice.
        let mut open = lock(&self.open);
        let mut total = lock(&self.total);
        open.remove(&live.id);
        total.sessions.add(*lock(&live.counted));
        *total.ended(end) += 1;
    }

    pub(super) fn refused(&self, why: &Refused) {
        *lock(&self.total).refused(why) += 1;
    }

    pub(super) fn listener_failed(&self) {
        lock(&self.total).listener_failures += 1;
    }

    pub(super) fn counters(&self) -> Counters {
        let open = lock(&self.open);
        let mut total = *lock(&self.total);
        for live in open.values() {
            total.sessions.add(*lock(&live.counted));
        }
        total
    }

    pub(super) fn sessions(&self) -> Vec<(Peer, SessionCounters)> {
        lock(&self.open).values().map(|live| (live.peer.clone(), *lock(&live.counted))).collect()
    }
}

impl SessionCounters {
    /// Returns what one message of so many bytes adds.
    fn of(bytes: usize, summary: &Summary) -> Self {
        Self {
            messages: 1,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            records: summary.records.into(),
            templates: summary.templates.into(),
            redefinitions: summary.redefinitions.into(),
            withdrawals: summary.withdrawals.into(),
            templates_expired: summary.templates_expired.into(),
            templates_refused: summary.templates_refused.into(),
            sets_without_template: summary.sets_without_template.into(),
            sets_waiting: summary.sets_waiting.into(),
            sets_resumed: summary.sets_resumed.into(),
            records_resumed: summary.records_resumed.into(),
            sets_given_up: summary.sets_given_up.into(),
            sets_reserved: summary.sets_reserved.into(),
            lost_records: summary.lost_records.into(),
            out_of_order: summary.out_of_order.into(),
            duplicates: summary.duplicate.into(),
            malformed: 0,
        }
    }

    const fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.records += other.records;
        self.templates += other.templates;
        self.redefinitions += other.redefinitions;
        self.withdrawals += other.withdrawals;
        self.templates_expired += other.templates_expired;
        self.templates_refused += other.templates_refused;
        self.sets_without_template += other.sets_without_template;
        self.sets_waiting += other.sets_waiting;
        self.sets_resumed += other.sets_resumed;
        self.records_resumed += other.records_resumed;
        self.sets_given_up += other.sets_given_up;
        self.sets_reserved += other.sets_reserved;
        self.lost_records += other.lost_records;
        self.out_of_order += other.out_of_order;
        self.duplicates += other.duplicates;
        self.malformed += other.malformed;
    }
}

impl Counters {
    const fn ended(&mut self, end: &SessionEnd) -> &mut u64 {
        match end {
            end if end.is_malformed() => &mut self.ended_malformed,
            SessionEnd::Closed => &mut self.ended_closed,
            SessionEnd::Idle => &mut self.ended_idle,
            SessionEnd::Shutdown => &mut self.ended_shutdown,
            SessionEnd::CutOff => &mut self.ended_cut_off,
            SessionEnd::Crowded => &mut self.ended_crowded,
            SessionEnd::Rejected(_) | SessionEnd::TooLong(_) => &mut self.ended_unwanted,
            SessionEnd::Read(_) => &mut self.ended_broken,
            SessionEnd::Panicked => &mut self.ended_panicked,
        }
    }

    const fn refused(&mut self, why: &Refused) -> &mut u64 {
        match why {
            Refused::TooMany(_) => &mut self.refused_too_many,
            Refused::Handshake(_) | Refused::HandshakeDeadline(_) => &mut self.refused_handshake,
            Refused::Malformed(_) | Refused::TooLong(_) => &mut self.refused_datagrams,
            Refused::Panicked => &mut self.refused_panicked,
        }
    }
}
