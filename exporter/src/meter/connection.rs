//! One connection: what the kernel last said, and what has been reported of it.

use super::{
    due::{Due, EndReason},
    store::Key,
};
use crate::conntrack::{Counters, Entry, Tuple, tcp_state};

/// Stands for "no TCP state".
const NO_STATE: u8 = u8::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Live,
    /// Its `DESTROY` event has come.
    Destroyed,
    /// A dump did not show it any more.
    Vanished,
}

/// Whether a live connection is in the wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    Running,
    /// It had no news when it was last due. News start it again.
    Stopped,
}

/// What an update has brought.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct News {
    pub(super) counters: bool,
    pub(super) reset: bool,
}

/// A slot of the store.
///
/// Four cache lines, in the order they are needed. A dump entry touches the first two, which
/// processors fetch as a pair; a report or a timer needs the others. With many connections nearly
/// every line touched is one waited for.
#[derive(Debug, Clone)]
#[repr(C, align(128))]
pub(super) struct Connection {
    pub(super) key: Key,
    /// The number of the last dump begun when it was last heard of.
    pub(super) seen: u32,
    pub(super) status: u32,
    pub(super) mark: u32,
    pub(super) state: State,
    pub(super) tcp_state: u8,
    /// The kernel told counters at least once.
    pub(super) is_counted: bool,
    /// `start_ns` is the kernel's, not that of first sight.
    pub(super) start_known: bool,
    is_labelled: bool,
    /// To be told although nothing of it is new: see [`Connection::inherit`].
    announce: bool,
    pub(super) timer: Timer,

    /// The kernel's counters as last seen.
    kernel: Counters,
    pub(super) start_ns: u64,
    /// While live, when its counters were last seen to change.
    pub(super) end_ns: u64,
    labels: [u8; 16],

    /// What the kernel had counted whenever it was made to start again from zero.
    offset: Counters,
    /// The totals at the last report.
    reported: Counters,

    reply: Tuple,
    pub(super) active_deadline: u64,
}

impl Connection {
    pub(super) fn new(key: Key, entry: &Entry, seen: u32, now: u64) -> Self {
        let mut connection = Self {
            key,
            seen,
            status: 0,
            mark: 0,
            state: State::Live,
            tcp_state: NO_STATE,
            is_counted: false,
            start_known: false,
            is_labelled: false,
            announce: false,
            timer: Timer::Stopped,
            kernel: Counters::default(),
            start_ns: now,
            end_ns: now,
            labels: [0; 16],
            offset: Counters::default(),
            reported: Counters::default(),
            reply: entry.reply,
            active_deadline: u64::MAX,
        };
        connection.update(entry, now);
        connection
    }

    /// Takes what has been counted so far for told by somebody else, and has it told once with
    /// deltas of zero: a far end that followed the connection before learns what it missed, and
    /// one that did not counts nothing twice.
    pub(super) fn inherit(&mut self) {
        self.reported = self.totals();
        self.announce = true;
    }

    /// Takes over what an entry tells; what it leaves out stays as it was.
    #[inline]
    pub(super) fn update(&mut self, entry: &Entry, now: u64) -> News {
        self.status = entry.status;
        self.mark = entry.mark;
        if let Some(state) = entry.tcp_state {
            self.tcp_state = state;
        }
        if let Some(labels) = entry.labels {
            self.labels = labels;
            self.is_labelled = true;
        }
        if !self.start_known
            && let Some(start) = entry.start_ns
        {
            self.start_ns = start;
            self.start_known = true;
        }
        entry.counters.map_or_else(News::default, |counters| self.count(counters, now))
    }

    #[inline]
    fn count(&mut self, counters: Counters, now: u64) -> News {
        self.is_counted = true;
        if counters == self.kernel {
            return News::default();
        }
        // Zeroing concerns all four at once, so what they had reached is kept of all four.
        let reset = counters.any_below(&self.kernel);
        if reset {
            self.offset = self.totals();
        }
        self.kernel = counters;
        self.end_ns = now;
        News { counters: true, reset }
    }

    /// Whether `entry` is about this very connection and it is alive; `false` may mean "unsure".
    #[inline]
    pub(super) fn is_surely(&self, key: &Key, entry: &Entry) -> bool {
        self.state == State::Live
            && self.key == *key
            && self.start_known
            && entry.start_ns == Some(self.start_ns)
    }

    /// Reads from both cache lines that a dump entry needs, for the sake of having them read.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.seen) ^ self.start_ns
    }

    pub(super) fn has_news(&self) -> bool {
        self.announce || self.totals() != self.reported
    }

    /// Whether TCP has ended it and that is still to be told, although the kernel remembers it.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        tcp_state::is_final(self.tcp_state) && self.state == State::Live && self.has_news()
    }

    /// When it is due, if nothing happens until then.
    pub(super) fn deadline(&self, idle: u64) -> u64 {
        self.active_deadline.min(self.end_ns.saturating_add(idle))
    }

    /// Moves the active deadline on, without drifting if the report was in time.
    pub(super) fn renew(&mut self, active: u64, now: u64) {
        let next = self.active_deadline.saturating_add(active);
        self.active_deadline = if next > now { next } else { now.saturating_add(active) };
    }

    /// Why it is due, given that it is.
    pub(super) fn live_reason(&self, idle: u64) -> EndReason {
        let idle_deadline = self.end_ns.saturating_add(idle);
        if tcp_state::is_final(self.tcp_state) {
            EndReason::EndOfFlow
        } else if idle_deadline < self.active_deadline {
            EndReason::IdleTimeout
        } else {
            EndReason::ActiveTimeout
        }
    }

    /// Hands it out and marks it as reported; returns `false` if there is nothing to report.
    pub(super) fn report(&mut self, reason: EndReason, report: &mut impl FnMut(&Due<'_>)) -> bool {
        if !self.has_news() {
            return false;
        }
        let totals = self.totals();
        report(&Due {
            original: &self.key.original,
            reply: &self.reply,
            zone: self.key.zone,
            id: self.key.id,
            mark: self.mark,
            labels: self.is_labelled.then_some(self.labels),
            status: self.status,
            tcp_state: (self.tcp_state != NO_STATE).then_some(self.tcp_state),
            start_ns: self.start_ns,
            end_ns: self.end_ns.max(self.start_ns),
            totals,
            deltas: totals.zip(self.reported, u64::saturating_sub),
            reason,
        });
        self.reported = totals;
        self.announce = false;
        true
    }

    fn totals(&self) -> Counters {
        self.kernel.zip(self.offset, u64::saturating_add)
    }
}

impl Counters {
    /// Applies `f` to each counter of both.
    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            packets: f(self.packets, other.packets),
            octets: f(self.octets, other.octets),
            reverse_packets: f(self.reverse_packets, other.reverse_packets),
            reverse_octets: f(self.reverse_octets, other.reverse_octets),
        }
    }

    /// Whether any counter is smaller than its counterpart.
    fn any_below(&self, other: &Self) -> bool {
        self.packets < other.packets
            || self.octets < other.octets
            || self.reverse_packets < other.reverse_packets
            || self.reverse_octets < other.reverse_octets
    }
}

// The layout above is the reason for the order of the fields.
const _: () = assert!(size_of::<Connection>() == 256);
