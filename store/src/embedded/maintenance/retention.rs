//! What is dropped: whole partitions, the oldest first.
//!
//! The oldest is the one with the lowest numbers, whatever its name says of the time: what a
//! clock that was wrong has dated years ahead goes in its turn.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{MaintenanceCounters, MaintenanceOptions};
use crate::StoreError;
use crate::embedded::directory;
use crate::embedded::layout::{self, Scope, Tier};
use crate::embedded::listing::{Held, Listing, names};
use crate::embedded::mark;
use crate::embedded::names::{Label, StoredFile};
use crate::error::IoContext;

/// What is dropped at once: an hour of records, or a day of sums.
#[derive(Debug)]
struct Partition {
    scope: Scope,
    files: Vec<StoredFile>,
    bytes: u64,
    /// The highest number in it.
    last: u64,
    /// Whether the next coarser tier says all that it says, or did until that was dropped.
    is_summed_up: bool,
    /// It may still be written to, or the mark names a file of it.
    is_held: bool,
}

/// Drops what is too old, if the clock is `believed`, and what there is no room for.
pub(super) fn retire(
    dir: &Path,
    options: &MaintenanceOptions,
    counters: &MaintenanceCounters,
    now_ms: u64,
    believed: bool,
) -> Result<(), StoreError> {
    let listing = Listing::read(dir)?;
    let pinned = mark::file(dir);
    let elsewhere = size_of(&layout::replaced(dir))? + size_of(&layout::quarantine(dir))?;
    let mut left = options.limit.map(|limit| limit.saturating_sub(elsewhere));
    let mut outcome = Ok(());
    // Sums first: records get what these leave.
    for tier in [Tier::Hour, Tier::FiveMinutes, Tier::Minute, Tier::Raw] {
        let summed_up = next(tier).and_then(|next| floor(dir, next));
        let mut partitions = partitions(&listing, tier, pinned.as_deref(), summed_up, now_ms);
        let mut dropped = Ok(());
        if let (true, Some(keep)) = (believed, options.keep(tier)) {
            let old = too_old(&mut partitions, keep, now_ms);
            dropped = drop_all(dir, tier, old, counters, true);
        }
        let share = left.zip(options.limit).map(|(left, limit)| match tier {
            Tier::Raw => left,
            Tier::Minute => limit / 100 * 15,
            Tier::FiveMinutes => limit / 100 * 10,
            Tier::Hour => limit / 100 * 5,
        });
        if let Some(share) = share {
            let excess = too_much(&mut partitions, share);
            dropped = dropped.and(drop_all(dir, tier, excess, counters, false));
        }
        let bytes = partitions.iter().map(|partition| partition.bytes).sum();
        left = left.map(|left| left.saturating_sub(bytes));
        // To drop sums takes a small file, for which a full disk has no room; records make some.
        outcome = outcome.and(dropped);
    }
    outcome
}

/// The next coarser tier.
fn next(tier: Tier) -> Option<Tier> {
    Tier::SUMS.into_iter().find(|sums| *sums > tier)
}

/// The partitions of a tier, oldest first. What the next coarser tier said of numbers up to
/// `summed_up` is gone already.
fn partitions(
    listing: &Listing,
    tier: Tier,
    pinned: Option<&Path>,
    summed_up: Option<u64>,
    now_ms: u64,
) -> Vec<Partition> {
    let held = Held::of(&listing.files);
    let was_summed_up = |label: Label| summed_up.is_some_and(|floor| label.numbers.1 <= floor);
    let mut found: BTreeMap<Scope, Vec<StoredFile>> = BTreeMap::new();
    for file in listing.files.iter().chain(&listing.replaced).filter(|file| file.tier == tier) {
        let day = Scope::day_of(file.scope.start_ms);
        let scope = if tier == Tier::Raw { file.scope } else { day };
        found.entry(scope).or_default().push(file.clone());
    }
    let newest = listing.next_number().checked_sub(1);
    let mut partitions: Vec<Partition> = found
        .into_iter()
        .map(|(scope, files)| Partition {
            scope,
            bytes: files.iter().map(|file| size(&file.path)).sum(),
            last: files
                .iter()
                .filter_map(|file| file.label)
                .map(|it| it.numbers.1)
                .max()
                .unwrap_or(0),
            is_summed_up: next(tier).is_none_or(|next| {
                let is_in = |file: &StoredFile| held.holder(next, file).is_some();
                files
                    .iter()
                    .all(|file| file.label.is_none_or(|label| was_summed_up(label) || is_in(file)))
            }),
            is_held: scope.contains(Scope::hour_of(now_ms))
                || files.iter().any(|file| {
                    Some(file.path.as_path()) == pinned
                        || file.label.is_some_and(|label| Some(label.numbers.1) == newest)
                }),
            files,
        })
        .collect();
    partitions.sort_by_key(|partition| (partition.last, partition.scope));
    partitions
}

/// Takes out what ended `keep` ago, and what was stored before something that did. What cannot be
/// summed up, as it cannot be read, is kept for twice as long.
fn too_old(partitions: &mut Vec<Partition>, keep: Duration, now_ms: u64) -> Vec<Partition> {
    let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let is_old = |it: &Partition| it.scope.end_ms.saturating_add(keep_ms) <= now_ms;
    let count = partitions.iter().rposition(is_old).map_or(0, |last| last + 1);
    let lies_ahead = |it: &Partition| it.scope.start_ms > now_ms;
    let is_due = |it: &Partition| is_old(it) || lies_ahead(it);
    let is_hopeless =
        |it: &Partition| it.scope.end_ms.saturating_add(keep_ms.saturating_mul(2)) <= now_ms;
    let mut index = 0;
    partitions
        .extract_if(.., |partition| {
            index += 1;
            let is_done = partition.is_summed_up || is_hopeless(partition);
            index <= count && is_due(partition) && is_done && !partition.is_held
        })
        .collect()
}

/// Takes out the oldest until the rest fits.
fn too_much(partitions: &mut Vec<Partition>, share: u64) -> Vec<Partition> {
    let mut bytes: u64 = partitions.iter().map(|partition| partition.bytes).sum();
    let excess = partitions.extract_if(.., |partition| {
        let is_one = bytes > share && !partition.is_held;
        bytes -= if is_one { partition.bytes } else { 0 };
        is_one
    });
    excess.collect()
}

fn drop_all(
    dir: &Path,
    tier: Tier,
    partitions: Vec<Partition>,
    counters: &MaintenanceCounters,
    by_age: bool,
) -> Result<(), StoreError> {
    let Some(last) = partitions.iter().map(|partition| partition.last).max() else {
        return Ok(());
    };
    if tier != Tier::Raw {
        // Before anything goes, so that it is not made again of what is finer.
        raise_floor(dir, tier, last)?;
    }
    for partition in partitions {
        let rows = partition.files.iter().filter_map(|file| file.label).map(|it| it.rows).sum();
        for file in &partition.files {
            fs::remove_file(&file.path).during("drop the old file", &file.path)?;
        }
        let emptied = partition.files.first().and_then(|file| file.path.parent());
        remove_empty(emptied, &tier.directory(dir));
        counters.drop_rows(tier, rows, by_age);
        let (day, hour) = partition.scope.names();
        let reason = if by_age { "age" } else { "size" };
        tracing::info!(tier = tier.name(), day, hour, rows, reason, "old flows were dropped");
    }
    Ok(())
}

/// Removes directories, from `path` up to but without `root`, that nothing is in any more.
fn remove_empty(path: Option<&Path>, root: &Path) {
    let mut path = path;
    while let Some(dir) = path.filter(|dir| *dir != root) {
        if fs::remove_dir(dir).is_err() {
            return; // something else is in there
        }
        path = dir.parent();
    }
}

fn floor_file(dir: &Path, tier: Tier) -> PathBuf {
    tier.directory(dir).join("dropped")
}

/// Up to which number the sums of a tier were dropped, if any were.
pub(super) fn floor(dir: &Path, tier: Tier) -> Option<u64> {
    fs::read_to_string(floor_file(dir, tier)).ok()?.trim_end().parse().ok()
}

fn raise_floor(dir: &Path, tier: Tier, last: u64) -> Result<(), StoreError> {
    let floor = floor(dir, tier).map_or(last, |floor| floor.max(last));
    let root = tier.directory(dir);
    directory::write(&layout::temporary(dir), &root, "dropped", &format!("{floor}\n"))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

fn size_of(dir: &Path) -> Result<u64, StoreError> {
    Ok(names(dir)?.iter().map(|name| size(&dir.join(name))).sum())
}
