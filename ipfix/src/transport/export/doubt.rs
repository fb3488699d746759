//! What nobody knows about a session that was lost.
//!
//! TCP takes messages and says later whether they arrived, and never whether they were read. So
//! when a session breaks, what was last written to it is in doubt: sent again it might be told
//! twice, so it is not, and may be missing instead. How much that is can be said.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Who takes messages for this long after records were written has read those records.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// Records written within this time are counted together.
const STEP: Duration = Duration::from_secs(1);

/// The records last written to a session.
#[derive(Debug, Default)]
pub struct Doubt {
    /// Beginning of a step, and how many records were written within it.
    steps: VecDeque<(Instant, u64)>,
}

impl Doubt {
    /// Adds records that have been written whole. Those that were long before them have been read.
    pub fn written(&mut self, records: u64, now: Instant) {
        let age = |begin: Instant| now.saturating_duration_since(begin);
        while self.steps.front().is_some_and(|(begin, _)| age(*begin) >= READ_WITHIN + STEP) {
            self.steps.pop_front();
        }
        match self.steps.back_mut() {
            Some((begin, sum)) if age(*begin) < STEP => *sum += records,
            _ => self.steps.push_back((now, records)),
        }
    }

    /// Returns how many records may have been read or not.
    pub fn records(&self) -> u64 {
        self.steps.iter().map(|(_, records)| records).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_long_before_the_last_message_is_not_in_doubt() {
        let start = Instant::now();
        let mut doubt = Doubt::default();
        let mut after = |milliseconds, records| {
            doubt.written(records, start + Duration::from_millis(milliseconds));
            (doubt.records(), doubt.steps.len())
        };
        assert_eq!(after(0, 1), (1, 1));
        assert_eq!(after(999, 10), (11, 1));
        assert_eq!(after(1_000, 100), (111, 2));
        assert_eq!(after(10_999, 1_000), (1_111, 3), "the first is not old enough");
        assert_eq!(after(11_000, 10_000), (11_100, 2));
        // However long ago the last one was: who stalls has not read it.
        assert_eq!(after(1_000_000, 0), (0, 1));
    }
}
