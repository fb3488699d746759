//! One connection: what the kernel last said, and what has been reported of it.

use super::{
    due::{Due, EndReason},
    set::{Id, Set},
    store::Key,
};
use crate::conntrack::{Counters, Entry, Kind, Tuple, tcp_state};
use crate::verdict::Verdict;

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

/// What an update has brought.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct News {
    pub(super) counters: bool,
    pub(super) reset: bool,
    /// The totals before, if one of them has passed a multiple of [`STRIDE`] since, or started
    /// again.
    pub(super) strode_from: Option<Counters>,
}

/// A connection that takes less than this has not come far.
pub(super) const STRIDE: u64 = 1 << 31;

/// A slot of the store.
///
/// Three cache lines, in the order they are needed. A dump entry touches the first two; a report
/// needs the third, and what its track has of it. With many connections nearly every line touched is
/// one waited for.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
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
    /// An event told of its beginning, or no dump ever shows it.
    is_begun: bool,
    /// The tracks in which its timers run, or have run out. In another it had no news when it was
    /// last due; news start them again.
    pub(super) running: Set,

    /// The kernel's counters as last seen.
    kernel: Counters,
    pub(super) start_ns: u64,
    /// While live, when its counters were last seen to change.
    pub(super) end_ns: u64,
    labels: [u8; 16],

    /// What the kernel had counted whenever it was made to start again from zero, which it seldom is.
    offset: Option<Box<Counters>>,
    reply: Tuple,
    /// How many destinations are owed something of it.
    pub(super) debts: u8,
    /// Somebody has been told of it, by us or by whoever recorded before.
    pub(super) is_known: bool,
    pub(super) denied: Option<Verdict>,
    /// The tracks in which it is to be told although nothing of it is new: see
    /// [`Connection::inherit`].
    pub(super) announce: Set,
    /// The tracks in whose queue it is: what is due of it waits to be told, or its end.
    pub(super) waiting: Set,
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
            is_begun: entry.kind == Kind::New || entry.denied.is_some(),
            running: Set::EMPTY,
            kernel: Counters::default(),
            start_ns: now,
            end_ns: now,
            labels: [0; 16],
            offset: None,
            reply: entry.reply,
            debts: 0,
            is_known: false,
            denied: entry.denied,
            announce: Set::EMPTY,
            waiting: Set::EMPTY,
        };
        connection.update(entry, now);
        connection
    }

    /// Takes what has been counted so far for told by somebody else, and has it told once in
    /// `tracks` with deltas of zero: a far end that followed the connection before learns what it
    /// missed, and one that did not counts nothing twice.
    pub(super) fn inherit(&mut self, tracks: Set) {
        self.announce = tracks;
        self.is_known = true;
    }

    /// Whether `entry` is the first to tell that this connection began before `began`, although
    /// it was first seen after that. An event that tells of a change says no more than that.
    #[inline]
    pub(super) fn turns_out_old(&self, entry: &Entry, began: u64) -> bool {
        let is_unclear = !self.start_known && !self.is_begun && !self.is_known;
        is_unclear && self.start_ns >= began && entry.start_ns.is_some_and(|start| start < began)
    }

    /// Whether a dump shows what was so before the connection was over and its last counters were
    /// asked for: the kernel fills a chunk some time before it is read. They would be taken for
    /// zeroed otherwise, and count twice.
    #[inline]
    pub(super) fn is_ahead_of(&self, entry: &Entry) -> bool {
        let is_lower = || entry.counters.is_some_and(|it| it.any_below(&self.kernel));
        entry.kind == Kind::Dump && self.is_over() && is_lower()
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
        let strode_from =
            (reset || counters.is_in_other_stride(&self.kernel)).then(|| self.totals());
        if reset {
            self.offset = Some(Box::new(self.totals()));
        }
        self.kernel = counters;
        self.end_ns = now;
        News { counters: true, reset, strode_from }
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

    /// Whether a track has something to tell that has told `told`.
    pub(super) fn has_news(&self, track: Id, told: &Counters) -> bool {
        self.announce.contains(track) || self.totals() != *told
    }

    /// Whether its end has still to be told to somebody.
    pub(super) const fn is_awaited(&self) -> bool {
        self.debts > 0 || !self.waiting.is_empty()
    }

    /// Whether TCP has ended it, although the kernel remembers it.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        tcp_state::is_final(self.tcp_state) && self.state == State::Live
    }

    /// Why it is due in a track, given that it is.
    pub(super) fn live_reason(&self, active_deadline: u64, idle: u64) -> EndReason {
        let idle_deadline = self.end_ns.saturating_add(idle);
        if tcp_state::is_final(self.tcp_state) {
            EndReason::EndOfFlow
        } else if idle_deadline < active_deadline {
            EndReason::IdleTimeout
        } else {
            EndReason::ActiveTimeout
        }
    }

    /// As it is handed out.
    pub(super) fn due(&self, totals: Counters, deltas: Counters, reason: EndReason) -> Due<'_> {
        Due {
            original: &self.key.original,
            reply: &self.reply,
            zone: self.key.zone,
            id: self.key.id,
            mark: self.mark,
            labels: self.is_labelled.then_some(self.labels),
            status: self.status,
            tcp_state: (self.tcp_state != NO_STATE).then_some(self.tcp_state),
            denied: self.denied,
            start_ns: self.start_ns,
            end_ns: self.end_ns.max(self.start_ns),
            totals,
            deltas,
            reason,
        }
    }

    pub(super) fn totals(&self) -> Counters {
        match &self.offset {
            None => self.kernel,
            Some(offset) => self.kernel.zip(**offset, u64::saturating_add),
        }
    }
}

impl Counters {
    /// Applies `f` to each counter of both.
    pub(super) fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            packets: f(self.packets, other.packets),
            octets: f(self.octets, other.octets),
            reverse_packets: f(self.reverse_packets, other.reverse_packets),
            reverse_octets: f(self.reverse_octets, other.reverse_octets),
        }
    }

    /// Whether there is a multiple of [`STRIDE`] between any two.
    fn is_in_other_stride(&self, other: &Self) -> bool {
        self.zip(*other, |one, other| one ^ other).is_any(|differs| differs >= STRIDE)
    }

    /// Whether `is_so` holds of any counter.
    pub(super) fn is_any(&self, is_so: impl Fn(u64) -> bool) -> bool {
        is_so(self.packets)
            || is_so(self.octets)
            || is_so(self.reverse_packets)
            || is_so(self.reverse_octets)
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
const _: () = assert!(size_of::<Connection>() == 192);
