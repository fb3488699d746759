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
    held_until_ms: u64,
}

impl Clock {
    pub(super) fn tick(&mut self, now_ms: u64, listing: &Listing) {
        // What was stored last tells what time it was before this process began.
        let last = self.last_ms.replace(now_ms).or_else(|| newest(listing));
        if last.is_some_and(|last| now_ms < last || now_ms - last > HELD_MS) {
            self.held_until_ms = now_ms.saturating_add(HELD_MS);
        }
    }

    pub(super) fn is_believed(&self, now_ms: u64) -> bool {
        now_ms >= self.held_until_ms
    }
}

fn newest(listing: &Listing) -> Option<u64> {
    let labels = listing.files.iter().filter_map(|file| file.label);
    labels.max_by_key(|label| label.numbers.1).map(|label| label.inserted.1)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            clock.tick(now, &listing);
            assert_eq!(clock.is_believed(now), believed, "{now}");
        }
    }
}
