//! Deadlines in four bytes.

/// A moment in hundredths of a second, of which the lower 32 bits are kept: those of 497 days.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment(u32);

/// Nanoseconds in each.
const TICK: u64 = 10_000_000;
/// Nothing is later than this, in nanoseconds from now: 200 days.
const FAR: u64 = 200 * 24 * 3600 * 1_000_000_000;

impl Moment {
    /// The last one not after `time`.
    pub(super) fn at(time: u64, now: u64) -> Self {
        Self::of(time.min(now.saturating_add(FAR)))
    }

    /// One that does not come.
    pub(super) fn never(now: u64) -> Self {
        Self::at(u64::MAX, now)
    }

    /// When that is, in nanoseconds since 1970. It must be within 248 days of `now`.
    pub(super) fn time(self, now: u64) -> u64 {
        let ahead = self.0.wrapping_sub(Self::of(now).0).cast_signed();
        (now / TICK).saturating_add_signed(ahead.into()).saturating_mul(TICK)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the rest is as it is now, or next to it")]
    const fn of(time: u64) -> Self {
        Self((time / TICK) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600 * 1_000_000_000;

    #[test]
    fn it_is_known_for_months_whatever_the_date() {
        // 32 bits are over somewhere in between.
        for today in (0..1000).map(|day| (20_000 + day) * DAY + 10_000_000) {
            for (time, known) in [
                (today - 200 * DAY, today - 200 * DAY),
                (today + 9_999_999, today),
                (today + 199 * DAY, today + 199 * DAY),
                (today + 900 * DAY, today + 200 * DAY),
            ] {
                assert_eq!(Moment::at(time, today).time(today + 9_999_999), known);
            }
        }
    }
}
