//! What the meter hands out.

use crate::conntrack::{Counters, Tuple};
use crate::verdict::Verdict;

/// Why a record is sent: the values of `flowEndReason` (IANA element 136) that conntrack can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EndReason {
    /// No packets for the idle timeout.
    IdleTimeout = 1,
    /// It lives on; this is what has happened since the last report.
    ActiveTimeout = 2,
    /// The kernel has forgotten the connection, or TCP has ended it.
    EndOfFlow = 3,
    /// The exporter stops.
    Forced = 4,
}

/// A connection with traffic to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due<'a> {
    pub original: &'a Tuple,
    pub reply: &'a Tuple,
    pub zone: u16,
    pub id: u32,
    pub mark: u32,
    /// Most significant byte first; `None` if the kernel never told any.
    pub labels: Option<[u8; 16]>,
    pub status: u32,
    pub tcp_state: Option<u8>,
    /// That it was denied; nobody ends such a one, it only falls silent.
    pub denied: Option<Verdict>,
    /// When it began, by the kernel's timestamp if there was one, else when it was first seen.
    pub start_ns: u64,
    /// When it ended, or when its counters were last seen to change. Not before `start_ns`.
    pub end_ns: u64,
    pub totals: Counters,
    /// What of `totals` had not been handed out before.
    pub deltas: Counters,
    pub reason: EndReason,
}
