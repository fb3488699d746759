//! How long to wait before connecting again.

use std::time::Duration;

/// Delays that grow with each failure and differ between exporters.
///
/// A collector that restarts loses all its exporters at the same moment. Were their delays alike,
/// they would all come back at the same moment too; so each delay is drawn from a range that
/// doubles with every failure (exponential backoff with full jitter). Half of the initial delay is
/// a floor: without one, the luckiest of many exporters would not wait at all.
#[derive(Debug, Clone)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    /// The longest the next delay may be.
    ceiling: Duration,
}

impl Backoff {
    /// Begins with delays of up to `initial`, and never exceeds `max`.
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, ceiling: initial.min(max) }
    }

    /// Returns the delay before the next attempt.
    ///
    /// `random` is a number from 0 up to but not including 1, drawn by the caller. Anything else
    /// counts as 1.
    pub fn next_delay(&mut self, random: f64) -> Duration {
        let random = if (0.0..1.0).contains(&random) { random } else { 1.0 };
        let floor = self.ceiling.min(self.initial / 2);
        let range = self.ceiling.saturating_sub(floor);
        let share = Duration::try_from_secs_f64(range.as_secs_f64() * random).unwrap_or(range);
        self.ceiling = self.ceiling.saturating_mul(2).min(self.max);
        floor.saturating_add(share)
    }

    /// Begins again with the shortest delays, once a connection has proved good.
    pub fn reset(&mut self) {
        self.ceiling = self.initial.min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[track_caller]
    fn check(random: f64, expected: &[u64]) {
        let mut backoff = Backoff::new(seconds(2), seconds(12));
        let got: Vec<u64> = expected.iter().map(|_| backoff.next_delay(random).as_secs()).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn the_range_doubles_up_to_its_maximum() {
        check(1.0, &[2, 4, 8, 12, 12]);
        check(0.5, &[1, 2, 4, 6, 6]);
    }

    #[test]
    fn nobody_retries_at_once() {
        check(0.0, &[1, 1, 1, 1, 1]);
    }

    #[test]
    fn what_is_not_a_fraction_waits_longest() {
        check(f64::NAN, &[2, 4]);
        check(-3.0, &[2, 4]);
        check(f64::INFINITY, &[2, 4]);
    }

    #[test]
    fn a_good_connection_is_forgiven() {
        let mut backoff = Backoff::new(seconds(2), seconds(12));
        backoff.next_delay(1.0);
        backoff.next_delay(1.0);
        backoff.reset();
        assert_eq!(backoff.next_delay(1.0), seconds(2));
    }

    #[test]
    fn odd_configurations_do_no_harm() {
        assert_eq!(Backoff::new(seconds(9), seconds(3)).next_delay(1.0), seconds(3));
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO).next_delay(0.5), Duration::ZERO);
        let mut endless = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!(endless.next_delay(1.0), Duration::MAX);
        assert_eq!(endless.next_delay(1.0), Duration::MAX);
    }
}
