//! How often the log is told of what anybody can bring about as often as they like.

use std::sync::{Mutex, PoisonError};

/// Milliseconds between two lines. What is not told is counted all the same.
const PAUSE_MS: u64 = 1_000;

/// One line a second.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<u64>>);

impl Pace {
    /// Whether a line is due, which it is not again for a while.
    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now_ms >= last.saturating_add(PAUSE_MS));
        if is_due {
            *last = Some(now_ms);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second() {
        let pace = Pace::default();
        let due = [5_000, 5_000, 5_999, 6_000, 6_001].map(|now| pace.is_due(now));
        assert_eq!(due, [true, false, false, true, false]);
    }
}
