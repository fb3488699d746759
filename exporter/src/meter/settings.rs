//! How the meter is set up, and what it counts.

use std::time::Duration;

/// When a connection is due. Both are at least [`Timeouts::MINIMUM`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub(super) active: u64,
    pub(super) idle: u64,
}

impl Timeouts {
    /// Shorter timeouts are taken for this one.
    pub const MINIMUM: Duration = Duration::from_millis(100);

    /// A living connection is due every `active`, and once when it was quiet for `idle`.
    pub fn new(active: Duration, idle: Duration) -> Self {
        let nanoseconds = |timeout: Duration| {
            u64::try_from(timeout.max(Self::MINIMUM).as_nanos()).unwrap_or(u64::MAX)
        };
        Self { active: nanoseconds(active), idle: nanoseconds(idle) }
    }

    /// Each the shorter one of both.
    pub(super) fn shorter(self, other: Self) -> Self {
        Self { active: self.active.min(other.active), idle: self.idle.min(other.idle) }
    }

    pub(super) const fn distance(self, other: Self) -> u64 {
        self.active.abs_diff(other.active).saturating_add(self.idle.abs_diff(other.idle))
    }

    pub const fn idle(&self) -> Duration {
        Duration::from_nanos(self.idle)
    }
}

/// What the store may grow to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections remembered at once, closed ones that wait for export included. One takes about
    /// 220 bytes, and 20 for each different pair of timeouts.
    pub connections: usize,
}

impl Limits {
    /// How many closed connections may wait, so that a destination that is away leaves room for
    /// those that are alive.
    pub(super) const fn closed(self) -> u64 {
        (self.connections - self.connections / 4) as u64
    }
}

/// How far one destination is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Records that came to be its due. Each was handed out, or turned down when it could have
    /// been owed, or is counted below.
    pub due: u64,
    /// Records it is owed now, one per connection.
    pub owed: u64,
    /// Records that became part of another one while it could take neither.
    pub coalesced: u64,
    /// Ends of connections that it is never told, since too many waited for it.
    pub lost: u64,
}

/// How many connections there are, and how often what has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections alive now.
    pub live: u64,
    /// Of these, how many were denied.
    pub denied: u64,
    /// Entries of connections that were known, alive or not.
    pub known: u64,
    /// Entries of a dump about connections that were over already, and unknown.
    pub late: u64,
    /// Closed connections that wait to be handed out now.
    pub closed_waiting: u64,
    /// How many that have ended are held for somebody else's sake.
    pub held: u64,
    /// Connections that had ended and were to be held, but too many were.
    pub not_held: u64,
    /// Slots taken now: live, waiting, and tombstones.
    pub stored: u64,
    pub inserted: u64,
    /// Entries of unknown connections that found the store full. A connection can be refused
    /// several times, once per dump.
    pub refused: u64,
    /// Connections that ended without a `DESTROY` event.
    pub vanished: u64,
    /// Vanished connections that a later dump showed alive after all.
    pub reappeared: u64,
    /// Times somebody else had the kernel's counters zeroed.
    pub counter_resets: u64,
    /// Connections that ended without ever having been counted, and were never handed out.
    pub closed_without_counters: u64,
    /// Connections whose end was not handed out, since all their traffic had been before.
    pub closed_without_news: u64,
}
