//! First deadlines of what is found at the same moment, spread over an interval.
//!
//! A dump shows everything there is at once, the first one above all. Had everything the same
//! deadline, all of it would be told in one burst, in each interval from then on, by all Nodes that
//! began together. So part of it is told earlier. Nothing is told later.

/// So many are no burst: what is handed out in a fraction of a turn.
const TOGETHER: u64 = 1_024;
/// Into how many parts an interval is divided.
const PARTS: u64 = 64;

/// How many were found so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spread {
    found: u64,
}

/// How much earlier than an interval later something is due the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Earlier(u64);

impl Spread {
    /// For the next one that is found.
    pub(super) fn find(&mut self) -> Earlier {
        let part = self.found / TOGETHER % PARTS;
        self.found += 1;
        Earlier(part)
    }
}

impl Earlier {
    /// In an interval of that many nanoseconds; `None` if it is not.
    pub(super) fn by(self, interval: u64) -> Option<u64> {
        (self.0 > 0).then(|| interval / PARTS * self.0)
    }
}
