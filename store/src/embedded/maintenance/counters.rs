//! What was done, and what there is.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::embedded::layout::Tier;
use crate::embedded::listing::Listing;
use crate::embedded::names::StoredFile;

/// What passes have done since the process began.
#[derive(Debug, Default)]
pub struct MaintenanceCounters {
    /// Times that small files became one, and how many these were.
    pub merges: AtomicU64,
    pub files_merged: AtomicU64,
    /// Files of sums that were made.
    pub roll_ups: AtomicU64,
    /// Damaged files that were set aside, and the rows they had by their names.
    pub files_quarantined: AtomicU64,
    pub rows_quarantined: AtomicU64,
    /// Times that a file was neither merged nor summed up, since the disk did not give it or a
    /// newer version has written it.
    pub files_left: AtomicU64,
    /// Passes that ended early, such as for a full disk.
    pub failures: AtomicU64,
    dropped: [Dropped; 4],
    usage: Mutex<[Usage; 4]>,
}

/// What retention has dropped of one tier.
#[derive(Debug, Default)]
pub struct Dropped {
    /// Rows that were too old, and rows for which there was no room.
    pub by_age: AtomicU64,
    pub by_size: AtomicU64,
}

/// What there is of one tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

impl MaintenanceCounters {
    pub fn dropped(&self, tier: Tier) -> &Dropped {
        &self.dropped[tier as usize]
    }

    /// What there was at the end of the last pass, in the order of [`Tier::ALL`].
    pub fn usage(&self) -> [Usage; 4] {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn measure(&self, listing: &Listing) {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner) = usage(&listing.files);
    }

    pub(super) fn drop_rows(&self, tier: Tier, rows: u64, by_age: bool) {
        let dropped = self.dropped(tier);
        let counter = if by_age { &dropped.by_age } else { &dropped.by_size };
        counter.fetch_add(rows, Ordering::Relaxed);
    }
}

/// What files there are of each tier. One that was removed meanwhile has no size.
pub(crate) fn usage(files: &[StoredFile]) -> [Usage; 4] {
    let mut usage = [Usage::default(); 4];
    for file in files {
        let tier = &mut usage[file.tier as usize];
        tier.files += 1;
        tier.rows += file.label.map_or(0, |label| label.rows);
        tier.bytes += fs::metadata(&file.path).map_or(0, |file| file.len());
    }
    usage
}
