//! What the name of a file says about it.
//!
//! ```text
//! 0000000012-0000000057_r1000_i1795251599000-1795251601200_e1795251598000-1795251599000.parquet
//! ```
//!
//! - What a writer stores at once has a number. Numbers never come twice in a store and only grow:
//!   a new writer goes on behind the highest one that any name has. The file above was made of
//!   those with the numbers 12 to 57, both included.
//! - `r`: its number of rows.
//! - `i`: when the oldest and the newest of them were inserted, in milliseconds since 1970.
//! - `e`: when the first and the last of their flows ended; of sums, when the first bucket begins.
//!
//! From this follows which files count. A file of the same tier whose scope and numbers lie within
//! those of another one was replaced by it. A file of sums *covers* finer ones in the same way:
//! it says what they say. So neither a compaction nor a roll-up needs more than one rename to
//! come true, and a crash at any point leaves each row counted once.

use std::path::PathBuf;

use super::layout::{Scope, Tier};

/// What the names of finished files end with.
const EXTENSION: &str = ".parquet";

/// The highest number of a file, or of rows in it, that is believed.
const MOST: u64 = 1 << 62;

/// What a file's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Label {
    /// The numbers of what it was made of, both included.
    pub numbers: (u64, u64),
    pub rows: u64,
    /// Both included, as is `ends`.
    pub inserted: (u64, u64),
    pub ends: (u64, u64),
}

impl Label {
    pub(crate) fn name(&self) -> String {
        let Self { numbers: (first, last), rows, inserted: (oldest, newest), ends } = self;
        let (from, to) = ends;
        // Padded, so that names sort by number.
        format!("{first:010}-{last:010}_r{rows}_i{oldest}-{newest}_e{from}-{to}{EXTENSION}")
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(EXTENSION)?.split('_');
        let label = Self {
            numbers: pair(parts.next()?)?,
            rows: parts.next()?.strip_prefix('r')?.parse().ok()?,
            inserted: pair(parts.next()?.strip_prefix('i')?)?,
            ends: pair(parts.next()?.strip_prefix('e')?)?,
        };
        // No store comes that far: somebody else made the name, and sums must not overflow.
        let is_sane = label.numbers.1 <= MOST && label.rows <= MOST;
        (parts.next().is_none() && is_sane && label.name() == name).then_some(label)
    }

    /// What a file has that is made of both.
    pub(crate) fn and(self, other: Self) -> Self {
        let hull = |a: (u64, u64), b: (u64, u64)| (a.0.min(b.0), a.1.max(b.1));
        Self {
            numbers: hull(self.numbers, other.numbers),
            rows: self.rows.saturating_add(other.rows),
            inserted: hull(self.inserted, other.inserted),
            ends: hull(self.ends, other.ends),
        }
    }
}

/// `a-b` with `a` no larger than `b`.
fn pair(text: &str) -> Option<(u64, u64)> {
    let (from, to) = text.split_once('-')?;
    let pair = (from.parse().ok()?, to.parse().ok()?);
    (pair.0 <= pair.1).then_some(pair)
}

/// Whether a file with this name may be one of ours.
pub(crate) fn is_parquet(name: &str) -> bool {
    name.ends_with(EXTENSION)
}

/// Whether only a store gives files such a name: it ends with what a label says.
pub(crate) fn is_ours(name: &str) -> bool {
    let mut ends = name.char_indices().filter_map(|(at, _)| name.get(at..));
    ends.any(|end| Label::parse(end).is_some())
}

/// A finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredFile {
    pub path: PathBuf,
    pub tier: Tier,
    pub scope: Scope,
    /// `None` for a file that somebody else put here: it is read like all others, and neither
    /// replaced nor rolled up.
    pub label: Option<Label>,
}

impl StoredFile {
    /// The times of insertion it may hold, both included.
    pub(crate) fn inserted(&self) -> (u64, u64) {
        self.label.map_or((self.scope.start_ms, self.scope.end_ms - 1), |label| label.inserted)
    }

    /// The times of flow ends it may hold, both included.
    pub(crate) fn ends(&self) -> (u64, u64) {
        self.label.map_or((0, u64::MAX), |label| label.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(first: u64, last: u64) -> Label {
        Label { numbers: (first, last), rows: 5, inserted: (10, 20), ends: (7, u64::MAX >> 1) }
    }

    #[test]
    fn a_name_says_what_a_label_says() {
        let label = label(12, 57);
        assert_eq!(label.name(), "0000000012-0000000057_r5_i10-20_e7-9223372036854775807.parquet");
        assert_eq!(Label::parse(&label.name()), Some(label));
    }

    #[test]
    fn other_names_have_no_label() {
        for name in [
            "",
            ".parquet",
            "1795251599000-000001-7.parquet",
            "0000000012-0000000057_r5_i10-20_e7-9",
            "0000000012-0000000057_r5_i10-20_e7-9.parquet.tmp",
            "0000000012-0000000057_r5_i10-20_e7-9_x.parquet",
            "0000000057-0000000012_r5_i10-20_e7-9.parquet",
            "12-57_r5_i10-20_e7-9.parquet",
            "0000000012-0000000057_r+5_i10-20_e7-9.parquet",
            "0000000012-18446744073709551615_r5_i10-20_e7-9.parquet",
            "0000000012-0000000057_r18446744073709551615_i10-20_e7-9.parquet",
        ] {
            assert_eq!(Label::parse(name), None, "{name}");
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn files_of_a_store_are_known_wherever_they_lie() {
        let name = label(12, 57).name();
        let lying = ["raw-", "5m-", "08_", "flows+2026-11-21+08+", "tiers+1m+2026-11-21+08_", ""];
        assert!(lying.iter().all(|before| is_ours(&format!("{before}{name}"))));
    }
}
