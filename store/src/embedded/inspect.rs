//! What there is in a store, and whether it is whole.

use std::fs;
use std::path::{Path, PathBuf};

use super::batches::{Batches, FileError};
use super::decode::Decoder;
use super::layout::{self, Tier};
use super::listing::{Listing, names};
use super::maintenance::{Usage, usage};
use super::names::StoredFile;
use super::sums::{RECORDS, source_batch, source_columns, summed_columns, totals_of};
use super::torn;
use crate::StoreError;

/// So many rows are checked at a time.
const BATCH_ROWS: usize = 8192;

/// What a store has, by the names of its files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    /// In the order of [`Tier::ALL`].
    pub tiers: [Usage; 4],
    /// By tier and time.
    pub partitions: Vec<PartitionInfo>,
    /// Files that were replaced and have not been moved away yet.
    pub replaced: u64,
    /// Damaged files that were set aside: their paths, and bytes.
    pub quarantined: Vec<(PathBuf, u64)>,
}

/// The files of one hour or day of insertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    pub tier: Tier,
    /// From `start_ms` up to but without `end_ms`, in milliseconds since 1970.
    pub start_ms: u64,
    pub end_ms: u64,
    pub usage: Usage,
    /// When the first and the last of its flows ended, both included; `None` if a file's name
    /// does not tell.
    pub ends: Option<(u64, u64)>,
}

/// What was found in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub path: PathBuf,
    pub tier: Tier,
    pub rows: u64,
    pub bytes: u64,
    /// Why the file is not what it should be.
    pub fault: Option<String>,
    /// The first byte of the first page that cannot be read, if that is why.
    pub torn_at: Option<u64>,
    /// Whether the file is at fault, and not the disk or who reads it.
    pub is_damaged: bool,
}

/// Lists what the store in `dir` has.
pub fn inspect(dir: &Path) -> Result<Inspection, StoreError> {
    let listing = Listing::read(dir)?;
    let same = |a: &StoredFile, b: &StoredFile| a.tier == b.tier && a.scope == b.scope;
    let partitions = listing.files.chunk_by(same).map(partition).collect();
    let replaced = listing.replaced.len() as u64;
    let aside = layout::quarantine(dir);
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |file| file.len());
    let quarantined = names(&aside)?.into_iter().map(|name| aside.join(name));
    let quarantined = quarantined.map(|path| (path.clone(), size(&path))).collect();
    Ok(Inspection { tiers: usage(&listing.files), partitions, replaced, quarantined })
}

fn partition(files: &[StoredFile]) -> PartitionInfo {
    let (tier, scope) = (files[0].tier, files[0].scope);
    let ends = files.iter().map(|file| file.label.map(|label| label.ends));
    let hull = |a: Option<(u64, u64)>, b: Option<(u64, u64)>| {
        a.zip(b).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)))
    };
    PartitionInfo {
        tier,
        start_ms: scope.start_ms,
        end_ms: scope.end_ms,
        usage: usage(files)[tier as usize],
        ends: ends.reduce(hull).flatten(),
    }
}

/// Reads everything that counts in the store in `dir`, and calls `each` with what it found in
/// each file, oldest first.
///
/// Every column of every row is decoded; names are compared with what is in the files, and sums
/// with what they sum up as far as that is still there.
pub fn verify(dir: &Path, mut each: impl FnMut(Checked)) -> Result<(), StoreError> {
    let listing = Listing::read(dir)?;
    for file in &listing.files {
        each(checked(dir, &listing, file));
    }
    Ok(())
}

/// What [`verify`] finds in one file of a listing.
pub(crate) fn checked(dir: &Path, listing: &Listing, file: &StoredFile) -> Checked {
    let (rows, error) = match check(dir, file) {
        Ok(rows) => (rows, None),
        Err(error) => (0, Some(error)),
    };
    let differs = if error.is_none() { mismatch(dir, listing, file) } else { None };
    Checked {
        path: file.path.clone(),
        tier: file.tier,
        rows,
        bytes: fs::metadata(&file.path).map_or(0, |file| file.len()),
        torn_at: error.as_ref().and_then(|_| torn::offset(dir, file)),
        is_damaged: differs.is_some() || error.as_ref().is_some_and(FileError::is_damage),
        fault: error.map(|error| error.to_string()).or(differs),
    }
}

fn check(dir: &Path, file: &StoredFile) -> Result<u64, FileError> {
    let mut batches = Batches::open(dir, file, None, BATCH_ROWS)?;
    let (mut decoder, mut rows) = (Decoder::new(), 0);
    let (inserted, ends) = (file.inserted(), file.ends());
    let within = |(from, to): (u64, u64), time: u64| (from..=to).contains(&time);
    while let Some(batch) = batches.next()? {
        rows += batch.num_rows() as u64;
        if file.tier != Tier::Raw {
            source_batch(file.tier, &batch)?;
            continue;
        }
        for row in decoder.rows(&batch)? {
            if !within(inserted, row.inserted_ms) || !within(ends, row.record.end_ms) {
                return Err(FileError::Times);
            }
        }
    }
    Ok(rows)
}

/// What sums say otherwise than what they were made of, if all of that is still there.
fn mismatch(dir: &Path, listing: &Listing, sums: &StoredFile) -> Option<String> {
    let source = sums.tier.source()?;
    let label = sums.label?;
    let of_source = |file: &&StoredFile| {
        file.tier == source
            && sums.scope.contains(file.scope)
            && file.label.is_some_and(|it| {
                label.numbers.0 <= it.numbers.0 && it.numbers.1 <= label.numbers.1
            })
    };
    let parts: Vec<&StoredFile> = listing.files.iter().filter(of_source).collect();
    let numbers = |part: &&StoredFile| part.label.map(|label| label.numbers);
    let spanned = (
        parts.iter().filter_map(numbers).map(|it| it.0).min()?,
        parts.iter().filter_map(numbers).map(|it| it.1).max()?,
    );
    if spanned != label.numbers {
        return None;
    }
    let total = |files: &[&StoredFile]| {
        files.iter().try_fold(Vec::new(), |total, file| Some(add(total, &totals(dir, file)?)))
    };
    let (own, theirs): (Vec<u64>, Vec<u64>) = (total(&[sums])?, total(&parts)?);
    let names = summed_columns().into_iter().chain([RECORDS]);
    let differs = names.zip(own.iter().zip(&theirs)).find(|(_, (own, theirs))| own != theirs);
    differs.map(|(name, (own, theirs))| {
        format!("its sum of {name} is {own}, and {theirs} of the {} files it sums up", parts.len())
    })
}

/// The sums of all deltas of a file, and of its records; nothing if it cannot be read.
fn totals(dir: &Path, file: &StoredFile) -> Option<Vec<u64>> {
    let mut batches =
        Batches::open(dir, file, source_columns(file.tier).as_deref(), BATCH_ROWS).ok()?;
    let mut total = Vec::new();
    while let Some(batch) = batches.next().ok()? {
        total = add(total, &totals_of(file.tier, &batch).ok()?);
    }
    Some(total)
}

fn add(mut total: Vec<u64>, more: &[u64]) -> Vec<u64> {
    total.resize(more.len().max(total.len()), 0);
    total.iter_mut().zip(more).for_each(|(total, more)| *total = total.wrapping_add(*more));
    total
}
