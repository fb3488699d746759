//! A token bucket, so that a storm of denied packets costs no more than a lot of them.

const SECOND: u64 = 1_000_000_000;

/// Allows so many per second, and as many at once after a second of silence.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: u64,
    /// In nanoseconds, of which one packet takes `SECOND / per_second`.
    saved: u64,
    last_ns: u64,
}

impl Rate {
    pub(super) fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), saved: SECOND, last_ns: 0 }
    }

    /// Whether one more is allowed at `now`, in nanoseconds.
    pub(super) fn allows(&mut self, now: u64) -> bool {
        let earned = now.saturating_sub(self.last_ns);
        self.last_ns = self.last_ns.max(now);
        self.saved = self.saved.saturating_add(earned).min(SECOND);
        let cost = SECOND / self.per_second;
        let is_allowed = self.saved >= cost;
        if is_allowed {
            self.saved -= cost;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_allows_so_many() {
        let mut rate = Rate::new(100);
        let mut count = |from: u64, until: u64, step: usize| {
            (from..until).step_by(step).filter(|&now| rate.allows(now)).count()
        };
        let start = 1000 * SECOND;
        // At once, and what comes back while they arrive.
        assert_eq!(count(start, start + 500, 1), 100);
        assert_eq!(count(start + SECOND, start + 11 * SECOND, 1_000_000), 100 + 999);
    }
}
