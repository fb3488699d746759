use std::cell::Cell;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970. A clock set before 1970 reads as 0, one beyond the year 2554 as the
/// maximum.
pub fn now_ns() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// The wall clock, except that it never goes back: when the machine's clock is set back, this one
/// goes on at its pace. Timeouts must not wait for the hour that was taken away.
#[derive(Debug, Clone)]
pub struct SteadyClock(Cell<(u64, Instant)>);

impl SteadyClock {
    #[must_use]
    pub fn new() -> Self {
        Self(Cell::new((now_ns(), Instant::now())))
    }

    /// Nanoseconds since 1970.
    pub fn now_ns(&self) -> u64 {
        let (last, at) = self.0.get();
        let now = next(last, at.elapsed().as_nanos(), now_ns());
        self.0.set((now, Instant::now()));
        now
    }
}

impl Default for SteadyClock {
    fn default() -> Self {
        Self::new()
    }
}

fn next(last: u64, elapsed: u128, wall: u64) -> u64 {
    wall.max(last.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_goes_on_from_where_it_was() {
        assert_eq!(next(1000, 10, 1012), 1012);
        assert_eq!(next(1000, 10, 5000), 5000, "set forward");
        assert_eq!(next(1000, 10, 200), 1010, "set back");
    }
}
