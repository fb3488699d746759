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
mod mark; // what Antrea writes on a connection
pub(crate) mod attributes; // netlink's type-length-value format
mod parse; // bytes become an entry
pub(crate) mod message; // netlink's framing
pub(crate) mod sys; // what the socket library does not offer
mod netlink; // the kernel, live
mod recorded; // no kernel at all
mod sysctl; // is the kernel set up to tell enough?
mod table; // how full is it?

use std::{io, time::Duration};

pub use entry::{Counters, Entry, Icmp, Kind, Tuple, status, tcp_state};
pub use mark::{CtMark, Labels, MarkedSource};
pub use netlink::{NetlinkOptions, NetlinkSource};
pub(crate) use parse::entry;
pub use parse::{ParseError, parse};
pub use recorded::{Player, Recorded, Step};
pub use sysctl::{SysctlProblem, check_sysctls, turn_on_sysctls};
pub use table::{Fullness, TableFill};

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

    /// Whether a dump of one zone costs less than one of all. It does until proven otherwise.
    fn dumps_apart(&self) -> bool;

    /// Begins a dump of these zones; of any other nothing is visited. A dump still under way is
    /// given up.
    fn start_dump(&mut self, zones: &[u16]) -> Result<(), SourceError>;

    /// Visits the next entries of the dump under way.
    fn next_chunk(&mut self, visit: &mut Visit<'_>) -> Result<DumpProgress, SourceError>;

    /// Visits the one connection with this original tuple, with its counters of now, as
    /// [`Kind::Update`]. Returns whether there is one.
    fn look_up(
        &mut self,
        zone: u16,
        original: &Tuple,
        visit: &mut Visit<'_>,
    ) -> Result<bool, SourceError>;

    /// How the kernel's table is doing; `None` if there is no kernel.
    fn health(&self) -> Option<Health>;

    /// What has happened so far that should not be lost from sight.
    fn tally(&self) -> SourceTally;
}

/// What can keep the kernel from telling everything.
#[derive(Debug)]
pub struct Health {
    pub problems: Vec<SysctlProblem>,
    pub table: Option<TableFill>,
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
    /// Times the kernel had to keep ends of connections back until we had room for them.
    pub held_back: u64,
    /// Connections asked for one by one, and those of them that were gone already.
    pub look_ups: u64,
    pub look_ups_missed: u64,
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
    #[error("dump of conntrack zones {zones:?} failed")]
    Dump {
        zones: Vec<u16>,
        #[source]
        source: io::Error,
    },
    #[error("a conntrack entry cannot be looked up")]
    LookUp(#[source] io::Error),
    #[error("no dump is under way")]
    NoDump,
}
