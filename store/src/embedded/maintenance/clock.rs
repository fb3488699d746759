//! Whether the time can be believed.

use crate::embedded::layout::HOUR_MS;
use crate::embedded::listing::Listing;

/// Time that jumps must have gone on for so long before anything is dropped by it.
const HELD_MS: u64 = HOUR_MS;

/// Notices that time jumps. A clock that is wrong by years for a moment would otherwise cost all
/// that is stored.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last_ms: Option<u64>,
    /// To when it jumped last.
    jumped_ms: Option<u64>,
}

impl Clock {
    pub(super) fn tick(&mut self, now_ms: u64, listing: &Listing) {
        // What was stored last tells what time it was before this process began.
        let last = self.last_ms.replace(now_ms).or_else(|| newest(listing));
        if last.is_some_and(|last| now_ms < last || now_ms - last > HELD_MS) {
            self.jumped_ms = Some(now_ms);
        }
    }

    pub(super) fn is_believed(&self, now_ms: u64) -> bool {
        // The end of time has no hour behind it: that is never believed.
        self.jumped_ms.is_none_or(|jumped| now_ms.saturating_sub(jumped) >= HELD_MS)
    }
}

/// When the newest rows were stored, by a clock that has gone on for an hour since it last jumped;
/// else what it said before.
fn newest(listing: &Listing) -> Option<u64> {
    let labels = listing.files.iter().filter_map(|file| file.label);
    let mut times: Vec<_> = labels.map(|label| (label.numbers.1, label.inserted)).collect();
    times.sort_unstable();
    let (mut before, mut run) = (None, None::<(u64, u64)>);
    for (_, (oldest, newest)) in times {
        let goes_on = |(begin, end): (u64, u64)| {
            oldest <= end.saturating_add(HELD_MS) && begin <= newest.saturating_add(HELD_MS)
        };
        run = match run {
            Some((begin, end)) if goes_on((begin, end)) => {
                Some((begin.min(oldest), end.max(newest)))
            }
            jumped => {
                before = jumped.map(|(_, end)| end);
                Some((oldest, newest))
            }
        };
    }
    let (begin, end) = run?;
    if end - begin >= HELD_MS { Some(end) } else { before.or(Some(end)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::layout::{Scope, Tier};
    use crate::embedded::names::{Label, StoredFile};

    fn stored(times: &[(u64, u64)]) -> Listing {
        let file = |(number, &inserted): (u64, &(u64, u64))| {
            let label = Label { numbers: (number, number), rows: 1, inserted, ends: (0, 0) };
            let scope = Scope::hour_of(inserted.0);
            StoredFile { path: label.name().into(), tier: Tier::Raw, scope, label: Some(label) }
        };
        Listing::of((0..).zip(times).map(file).collect())
    }

    #[test]
    fn a_process_that_starts_anew_does_not_believe_what_the_one_before_did_not() {
        let (year, minute) = (365 * 24 * HOUR_MS, 60_000);
        let right = (year, year + 5 * HOUR_MS);
        let wrong = (2 * year, 2 * year + minute);
        let believes = |times: &[(u64, u64)], now_ms| {
            let mut clock = Clock::default();
            clock.tick(now_ms, &stored(times));
            clock.is_believed(now_ms)
        };
        assert!(believes(&[], year));
        assert!(believes(&[right], right.1 + minute));
        assert!(!believes(&[right], wrong.0));
        assert!(!believes(&[right, wrong], wrong.1 + minute));
        let hour = (wrong.1, wrong.0 + HOUR_MS);
        assert!(believes(&[right, wrong, hour], hour.1 + minute), "it has gone on for an hour");
        // Set right again.
        assert!(!believes(&[right, wrong, hour, (right.1 + minute, right.1 + minute)], right.1));
    }

    #[test]
    fn a_jump_is_believed_after_an_hour() {
        let (listing, mut clock) = (Listing::default(), Clock::default());
        let year = 365 * 24 * HOUR_MS;
        for (now, believed) in [
            (year, true),
            (year + HOUR_MS, true),
            (2 * year, false),
            (2 * year + HOUR_MS - 1, false),
            (year + HOUR_MS + 1, false), // back again
            (year + 2 * HOUR_MS, false),
            (year + 2 * HOUR_MS + 1, true),
            (u64::MAX, false),
        ] {
            clock.tick(now, &listing);
            assert_eq!(clock.is_believed(now), believed, "{now}");
        }
    }
}
