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

    pub const fn idle(&self) -> Duration {
        Duration::from_nanos(self.idle)
    }
}

/// What the store may grow to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections remembered at once, closed ones that wait for export included. One takes less
    /// than 300 bytes.
    pub connections: usize,
}

/// How many connections there are, and how often what has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections alive now.
    pub live: u64,
    /// Closed connections that wait to be handed out now.
    pub closed_waiting: u64,
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
