//! What the kernel knows about connections: its conntrack table and the events about it.
//!
//! A [`ConnectionSource`] hands out [`Entry`]s, one at a time and without allocating. The live one
//! is [`NetlinkSource`]; [`Recorded`] replays entries where there is no kernel to ask. Neither
//! remembers a connection: that is the meter's work.
//!
//! Events and dumps complete each other. An event tells of the start and the end of a connection
//! at once, and only the `DESTROY` event proves that a connection shorter than the interval
//! between two dumps ever existed. No event tells the counters of a living connection; a dump does.

mod entry; // one connection, as one message tells it
pub(crate) mod attributes; // netlink's type-length-value format
mod parse; // bytes become an entry
pub(crate) mod message; // netlink's framing
pub(crate) mod sys; // what the socket library does not offer
mod netlink; // the kernel, live
mod recorded; // no kernel at all
mod sysctl; // is the kernel set up to tell enough?

use std::{io, time::Duration};

pub use entry::{Counters, Entry, Icmp, Kind, Tuple, status, tcp_state};
pub use netlink::{NetlinkOptions, NetlinkSource};
pub(crate) use parse::entry;
pub use parse::{ParseError, parse};
pub use recorded::{Player, Recorded, Step};
pub use sysctl::{SysctlProblem, check_sysctls};

/// Receives entries while a source still holds the bytes they came from.
pub type Visit<'a> = dyn FnMut(&Entry) + 'a;

/// Where connections are learned from.
///
/// The caller interleaves the parts as it likes: a dump is pulled chunk by chunk, so events can be
/// taken in between and are never left waiting for a whole dump.
pub trait ConnectionSource {
    /// Waits until there are events to take, but no longer than `timeout`.
    ///
    /// May return early. A source without events sleeps.
    fn wait(&mut self, timeout: Duration) -> Result<(), SourceError>;

    /// Takes events that are there, without waiting for more.
    ///
    /// The number taken per call is bounded. What every dump that ended before this call had no
    /// more of has been visited once [`Events::drained`] is true, unless events were lost.
    fn events(&mut self, visit: &mut Visit<'_>) -> Result<Events, SourceError>;

    /// Begins a dump of one zone. A dump still under way is given up.
    fn start_dump(&mut self, zone: u16) -> Result<(), SourceError>;

    /// Visits the next entries of the dump under way.
    fn next_chunk(&mut self, visit: &mut Visit<'_>) -> Result<DumpProgress, SourceError>;

    /// What has happened so far that should not be lost from sight.
    fn tally(&self) -> SourceTally;
}

/// What one call of [`ConnectionSource::events`] took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    pub count: usize,
    /// Events were lost before or among these: dump every zone to learn what was missed.
    pub overrun: bool,
    /// Nothing was left when the call returned.
    pub drained: bool,
}

/// How far a dump has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpProgress {
    /// Ask for the next chunk.
    More,
    /// Every connection of the zone has been visited.
    Done,
    /// The dump has ended, but the table changed shape under it and connections may be missing.
    Interrupted,
}

/// How often what has happened; every number only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceTally {
    pub events: u64,
    pub dump_entries: u64,
    pub dumps: u64,
    pub dumps_interrupted: u64,
    /// Times the kernel had to drop events because we were too slow.
    pub overruns: u64,
    /// Entries of zones nobody asked for, passed over.
    pub foreign_zone: u64,
    /// Messages cut short, or with a length that lies.
    pub malformed: u64,
    /// Messages without an attribute that every entry must have.
    pub incomplete: u64,
}

impl SourceTally {
    fn unreadable(&mut self, error: ParseError) {
        match error {
            ParseError::Malformed => self.malformed += 1,
            ParseError::Missing(_) => self.incomplete += 1,
        }
    }
}

/// Why a source cannot go on. None of these is worth repeating on the same source unchanged.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot open a conntrack socket")]
    Open(#[source] io::Error),
    #[error("cannot receive conntrack events")]
    Events(#[source] io::Error),
    /// The dump is over; another may be started.
    #[error("dump of conntrack zone {zone} failed")]
    Dump {
        zone: u16,
        #[source]
        source: io::Error,
    },
    #[error("no dump is under way")]
    NoDump,
}
