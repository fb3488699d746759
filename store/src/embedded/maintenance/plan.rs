//! Which files become one.
//!
//! The numbers of what is made span those of what it is made of. So that this says the truth,
//! only files that follow each other directly are taken: a *run*. And only files that the same
//! coarser sums cover, or none: else the result would be covered by neither.

use std::path::Path;

use crate::embedded::layout::{MINUTE_MS, Scope, Tier};
use crate::embedded::listing::{Held, Listing};
use crate::embedded::names::StoredFile;

/// A file of records with fewer rows is small, and gets no more than these by merging.
pub(super) const SMALL_ROWS: u64 = 262_144;
const MAX_ROWS: u64 = 1_048_576;
/// So long after an hour has ended, all that was inserted in it is stored. What comes later is
/// summed up for itself.
const CLOSED_AFTER_MS: u64 = 2 * MINUTE_MS;

/// Several files become one of `tier` and `scope`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub tier: Tier,
    pub scope: Scope,
    /// Of one tier, in the order of their numbers; at least one.
    pub inputs: Vec<StoredFile>,
}

impl Task {
    /// Whether the result replaces what it is made of.
    pub(super) fn is_merge(&self) -> bool {
        self.source() == self.tier
    }

    pub(super) fn source(&self) -> Tier {
        self.inputs.first().map_or(self.tier, |file| file.tier)
    }
}

/// What is to be summed up as `tier`: whatever is not yet, of closed hours, but for what has been
/// dropped from there (numbers up to `floor`).
pub(super) fn sums(listing: &Listing, tier: Tier, floor: Option<u64>, now_ms: u64) -> Vec<Task> {
    let Some(source) = tier.source() else { return Vec::new() };
    let held = Held::of(&listing.files);
    let mut tasks = Vec::new();
    for files in by_scope(listing, source) {
        let wanted = |file: &StoredFile| {
            let is_dropped = |numbers: (u64, u64)| floor.is_some_and(|floor| numbers.1 <= floor);
            file.label.is_some_and(|label| !is_dropped(label.numbers))
                && held.holder(tier, file).is_none()
                && is_closed(file.scope, now_ms)
        };
        let runs = runs(&files, &held, wanted);
        tasks.extend(runs.into_iter().filter_map(|run| task(tier, run.first()?.scope, &run)));
    }
    tasks
}

/// What of `tier` is to be merged: small files of records, and the sums of each closed day.
pub(super) fn merges(
    listing: &Listing,
    tier: Tier,
    pinned: Option<&Path>,
    now_ms: u64,
    small_files: usize,
) -> Vec<Task> {
    if tier == Tier::Raw {
        merges_of_records(listing, pinned, now_ms, small_files)
    } else {
        merges_of_sums(listing, tier, now_ms)
    }
}

fn merges_of_records(
    listing: &Listing,
    pinned: Option<&Path>,
    now_ms: u64,
    small_files: usize,
) -> Vec<Task> {
    let held = Held::of(&listing.files);
    let mut tasks = Vec::new();
    for files in by_scope(listing, Tier::Raw) {
        let Some(scope) = files.first().map(|file| file.scope) else { continue };
        let closed = is_closed(scope, now_ms);
        // In the present hour, what was merged once is not merged again.
        let is_small = |file: &StoredFile| {
            let few = |rows| if closed { rows < SMALL_ROWS } else { rows < SMALL_ROWS / 4 };
            file.label.is_some_and(|label| {
                few(label.rows) && (closed || label.numbers.0 == label.numbers.1)
            }) && pinned != Some(&file.path)
        };
        let least = if closed { 2 } else { small_files.max(2) };
        for run in runs(&files, &held, is_small) {
            let pieces = pieces(&run).into_iter().filter(|piece| piece.len() >= least);
            tasks.extend(pieces.filter_map(|piece| task(Tier::Raw, scope, &piece)));
        }
    }
    tasks
}

fn merges_of_sums(listing: &Listing, tier: Tier, now_ms: u64) -> Vec<Task> {
    let held = Held::of(&listing.files);
    let of_tier = listing.files.iter().filter(|file| file.tier == tier);
    let mut days: Vec<Scope> = of_tier.map(|file| Scope::day_of(file.scope.start_ms)).collect();
    days.dedup();
    let mut tasks = Vec::new();
    for day in days.into_iter().filter(|day| is_closed(*day, now_ms)) {
        let files = numbered(listing, |file| file.tier == tier && day.contains(file.scope));
        // What is not summed up yet must not get between the numbers.
        let is_missing = |file: &&StoredFile| {
            file.tier < tier && day.contains(file.scope) && held.holder(tier, file).is_none()
        };
        let has_all =
            !listing.files.iter().filter(|file| file.label.is_some()).any(|file| is_missing(&file));
        if has_all {
            let runs = runs(&files, &held, |_| true).into_iter().filter(|run| run.len() > 1);
            tasks.extend(runs.filter_map(|run| task(tier, day, &run)));
        }
    }
    tasks
}

fn task(tier: Tier, scope: Scope, run: &[&StoredFile]) -> Option<Task> {
    let inputs: Vec<_> = run.iter().copied().cloned().collect();
    (!inputs.is_empty()).then_some(Task { tier, scope, inputs })
}

fn is_closed(scope: Scope, now_ms: u64) -> bool {
    // The hour before may still be written to; one that lies ahead is a clock's mistake, and over.
    let open = [now_ms, now_ms.saturating_sub(CLOSED_AFTER_MS)];
    !open.into_iter().any(|time| scope.contains(Scope::hour_of(time)))
}

/// The files of a tier, scope by scope, in the order of their numbers.
fn by_scope(listing: &Listing, tier: Tier) -> Vec<Vec<&StoredFile>> {
    let files = listing.files.iter().filter(|file| file.tier == tier && file.label.is_some());
    let files: Vec<_> = files.collect();
    files.chunk_by(|a, b| a.scope == b.scope).map(<[_]>::to_vec).collect()
}

fn numbered(listing: &Listing, wanted: impl Fn(&StoredFile) -> bool) -> Vec<&StoredFile> {
    let mut files: Vec<_> = listing.files.iter().filter(|file| wanted(file)).collect();
    files.sort_by_key(|file| file.label.map(|label| label.numbers));
    files
}

/// Files that follow each other directly, are all wanted, and are covered by the same sums.
fn runs<'a>(
    files: &[&'a StoredFile],
    held: &Held,
    wanted: impl Fn(&StoredFile) -> bool,
) -> Vec<Vec<&'a StoredFile>> {
    let covering = |file: &StoredFile| {
        let coarser = |sums: Tier| (sums > file.tier).then(|| held.holder(sums, file)).flatten();
        Tier::SUMS.map(coarser)
    };
    files
        .chunk_by(|a, b| wanted(a) && wanted(b) && covering(a) == covering(b))
        .filter(|run| run.first().is_some_and(|file| wanted(file)))
        .map(<[_]>::to_vec)
        .collect()
}

/// Parts of a run that are not too large.
fn pieces<'a>(run: &[&'a StoredFile]) -> Vec<Vec<&'a StoredFile>> {
    let mut pieces: Vec<Vec<&StoredFile>> = vec![Vec::new()];
    let mut rows = 0;
    for file in run {
        let more = file.label.map_or(0, |label| label.rows);
        if rows + more > MAX_ROWS {
            pieces.push(Vec::new());
            rows = 0;
        }
        rows += more;
        pieces.last_mut().into_iter().for_each(|piece| piece.push(file));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::layout::HOUR_MS;
    use crate::embedded::names::Label;

    /// When an hour is over.
    fn closed_at(hour: u64) -> u64 {
        (hour + 1) * HOUR_MS + CLOSED_AFTER_MS
    }

    fn file(tier: Tier, hour: u64, first: u64, last: u64) -> StoredFile {
        let label = Label { numbers: (first, last), rows: 10, inserted: (1, 2), ends: (1, 2) };
        let scope = Scope::hour_of(hour * HOUR_MS);
        let path = format!("{}-{hour}-{}", tier.name(), label.name()).into();
        StoredFile { path, tier, scope, label: Some(label) }
    }

    fn raw(hour: u64, numbers: impl IntoIterator<Item = u64>) -> Vec<StoredFile> {
        numbers.into_iter().map(|number| file(Tier::Raw, hour, number, number)).collect()
    }

    fn told(tasks: &[Task]) -> Vec<Vec<(u64, u64)>> {
        let numbers = |file: &StoredFile| file.label.unwrap().numbers;
        tasks.iter().map(|task| task.inputs.iter().map(numbers).collect()).collect()
    }

    #[test]
    fn an_hour_is_summed_up_once_it_is_over() {
        let listing = Listing::of([raw(0, 1..3), raw(1, 3..4), raw(9, 4..5)].concat());
        let tasks = |now| told(&sums(&listing, Tier::Minute, None, now));
        assert_eq!(tasks(closed_at(0) - 1), [[(4, 4)]], "an hour that lies ahead is over");
        assert_eq!(tasks(closed_at(0)), [vec![(1, 1), (2, 2)], vec![(4, 4)]]);
        assert_eq!(tasks(closed_at(1)), [vec![(1, 1), (2, 2)], vec![(3, 3)], vec![(4, 4)]]);
    }

    #[test]
    fn what_is_summed_up_or_was_dropped_is_not_summed_up_again() {
        let files = [raw(0, 1..7), vec![file(Tier::Minute, 0, 3, 4)]].concat();
        let listing = Listing::of(files);
        let tasks = |floor| told(&sums(&listing, Tier::Minute, floor, closed_at(1)));
        assert_eq!(tasks(None), [[(1, 1), (2, 2)], [(5, 5), (6, 6)]], "not across what is");
        assert_eq!(tasks(Some(2)), [[(5, 5), (6, 6)]]);
    }

    #[test]
    fn small_files_are_merged_where_the_same_sums_cover_them() {
        let files = [raw(0, 1..7), vec![file(Tier::Minute, 0, 3, 4)]].concat();
        let listing = Listing::of(files);
        let tasks = |now, few| told(&merges(&listing, Tier::Raw, None, now, few));
        let all = [[(1, 1), (2, 2)], [(3, 3), (4, 4)], [(5, 5), (6, 6)]];
        assert_eq!(tasks(closed_at(0), 64), all);
        assert_eq!(tasks(0, 3), [[(0, 0); 0]; 0], "the present hour has too few");
        assert_eq!(tasks(0, 2), all);
        let pinned = listing.files[1].path.clone();
        let tasks = merges(&listing, Tier::Raw, Some(&pinned), closed_at(0), 64);
        assert_eq!(told(&tasks), all[1..], "the mark names it");
    }

    #[test]
    fn the_sums_of_a_day_become_one_file_if_nothing_of_it_is_missing() {
        let sums = [0, 1, 2].map(|hour| file(Tier::Hour, hour, 10 * hour, 10 * hour + 5));
        let day = 25 * HOUR_MS;
        let tasks = |listing: &Listing, now| told(&merges(listing, Tier::Hour, None, now, 64));
        let listing = Listing::of(sums.to_vec());
        assert_eq!(tasks(&listing, 23 * HOUR_MS), [[(0, 0); 0]; 0]);
        assert_eq!(tasks(&listing, day), [[(0, 5), (10, 15), (20, 25)]]);
        let late = Listing::of([sums.to_vec(), raw(1, 16..17)].concat());
        assert_eq!(tasks(&late, day), [[(0, 0); 0]; 0], "17 lies between 15 and 20");
        let finer = [0, 1].map(|hour| file(Tier::Minute, hour, 10 * hour, 10 * hour + 5));
        let coarser = [file(Tier::Hour, 0, 0, 5), file(Tier::Hour, 1, 10, 15)];
        let apart = Listing::of([finer, coarser].concat());
        let none = merges(&apart, Tier::Minute, None, day, 64);
        assert_eq!(none, [], "no file of the coarser tier would cover the result");
    }

    #[test]
    fn large_files_stay_as_they_are() {
        let mut files = raw(0, 1..5);
        for (file, rows) in files.iter_mut().zip([10, SMALL_ROWS, 10, 10]) {
            file.label.as_mut().unwrap().rows = rows;
        }
        let listing = Listing::of(files);
        let tasks = merges(&listing, Tier::Raw, None, closed_at(0), 64);
        assert_eq!(told(&tasks), [[(3, 3), (4, 4)]]);
    }
}
