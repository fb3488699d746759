//! Connections that have ended and wait for names which are only a matter of time.
//!
//! Who had an address is certain some seconds after the fact. A connection that goes on gets its
//! names with a later record; one that has ended has no later record, so it waits, though never
//! for longer than a living one would wait for its next record.

use std::sync::Arc;
use std::time::Duration;

use crate::meter::{Due, EndReason, Stats};

use super::counts::Counts;

/// Which connections wait. They do so in the meter.
#[derive(Debug)]
pub struct Waiting {
    /// How long one waits, in nanoseconds. 0: none does.
    patience_ns: u64,
    counts: Arc<Counts>,
}

impl Waiting {
    pub fn new(counts: Arc<Counts>) -> Self {
        Self { patience_ns: 0, counts }
    }

    /// From now on one waits for `patience` at most.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience_ns = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
    }

    /// Whether a connection waits for its names at `now_ns`. It does not if it goes on, or has
    /// waited for long enough, or `is_settled`.
    pub fn holds(
        &self,
        due: &Due<'_>,
        now_ns: u64,
        is_settled: impl FnOnce(&Due<'_>) -> bool,
    ) -> bool {
        if due.reason != EndReason::EndOfFlow || self.patience_ns == 0 || is_settled(due) {
            return false;
        }
        let waits = now_ns < due.end_ns.saturating_add(self.patience_ns);
        self.counts.waited_in_vain.inc_by(u64::from(!waits));
        waits
    }

    /// Makes visible how many wait.
    pub fn count(&self, stats: &Stats) {
        self.counts.book_waiting(stats.held, stats.not_held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::{Counters, Tuple};

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn what_has_ended_waits_until_it_is_settled_or_its_time_is_over() {
        let at = |text: &str| (text.parse().unwrap(), 1);
        let tuple = Tuple::new(at("10.0.0.1"), at("10.0.0.2"), 6);
        let totals = Counters::default();
        let mut waiting = Waiting::new(Arc::default());
        let holds = |waiting: &Waiting, reason, now_ns, is_settled| {
            let due = Due {
                original: &tuple,
                reply: &tuple,
                zone: 0,
                id: 1,
                mark: 0,
                labels: None,
                status: 0,
                tcp_state: None,
                denied: None,
                start_ns: SECOND,
                end_ns: 2 * SECOND,
                totals,
                deltas: totals,
                reason,
            };
            waiting.holds(&due, now_ns, |_| is_settled)
        };
        assert!(!holds(&waiting, EndReason::EndOfFlow, 2 * SECOND, false), "nobody waits yet");
        waiting.set_patience(Duration::from_secs(5));
        assert!(!holds(&waiting, EndReason::ActiveTimeout, 2 * SECOND, false));
        assert!(!holds(&waiting, EndReason::EndOfFlow, 2 * SECOND, true));
        assert!(holds(&waiting, EndReason::EndOfFlow, 7 * SECOND - 1, false));
        assert_eq!(waiting.counts.waited_in_vain.get(), 0);
        assert!(!holds(&waiting, EndReason::EndOfFlow, 7 * SECOND, false));
        assert_eq!(waiting.counts.waited_in_vain.get(), 1);
    }
}
