//! The files of a store at one moment.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use hashbrown::HashMap;

use super::layout::{self, Scope, Tier, Window};
use super::names::{self, Label, StoredFile};
use crate::StoreError;
use crate::error::IoContext;

/// A directory that changes all the time is listed so often, and then taken as it is.
const ATTEMPTS: usize = 16;

/// Every file that counts, and those that were replaced and are still there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// By tier, scope and number.
    pub files: Vec<StoredFile>,
    pub replaced: Vec<StoredFile>,
}

/// The files that an answer needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// By scope and number, so oldest first.
    pub files: Vec<StoredFile>,
    /// Files whose name says that they hold nothing of what is wanted.
    pub pruned: u64,
    /// Files of coarser sums than wanted that tell of rows which nothing finer tells of any more.
    pub coarser: u64,
}

impl Listing {
    /// Lists the files of the store in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self, StoreError> {
        if !layout::flows(dir).is_dir() {
            return Err(StoreError::Missing { dir: dir.to_owned() });
        }
        let mut all = Vec::new();
        for tier in Tier::ALL {
            let root = tier.directory(dir);
            for day in names(&root)? {
                let Some(scope) = Scope::of_day(&day) else { continue };
                add_day(&mut all, tier, scope, &root.join(day))?;
            }
        }
        Ok(Self::of(all))
    }

    pub(crate) fn of(mut all: Vec<StoredFile>) -> Self {
        // A replacement comes before what it replaces.
        all.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.path.cmp(&b.path)));
        let (mut listing, mut held) = (Self::default(), Held::default());
        for file in all {
            if held.holder(file.tier, &file).is_some() {
                listing.replaced.push(file);
            } else {
                held.add(&file);
                listing.files.push(file);
            }
        }
        listing
    }

    /// The files that together tell of every stored row exactly once, in sums as coarse as `tier`
    /// where there are such and finer ones elsewhere; of these, what may hold rows that were
    /// inserted and ended at the times asked for.
    ///
    /// For [`Tier::Raw`], records alone: what is kept only as sums any more is not in there.
    pub(crate) fn serving(&self, tier: Tier, inserted: Window, ends: Window) -> Selection {
        let held = Held::of(&self.files);
        let is_covered = |file: &StoredFile| {
            let mut coarser = Tier::SUMS.into_iter().filter(|sums| file.tier < *sums);
            coarser.any(|sums| sums <= tier && held.holder(sums, file).is_some())
        };
        let mut selection = Selection::default();
        for file in self.files.iter().filter(|file| file.tier <= tier) {
            if is_covered(file) {
                continue;
            }
            if inserted.overlaps(file.inserted()) && ends.overlaps(file.ends()) {
                selection.files.push(file.clone());
            } else {
                selection.pruned += 1;
            }
        }
        let coarser = self.files.iter().filter(|file| file.tier > tier);
        selection.coarser = coarser
            .filter(|file| inserted.overlaps(file.inserted()) && ends.overlaps(file.ends()))
            .filter(|file| !self.has_oldest_of(file, tier))
            .count() as u64;
        let number = |file: &StoredFile| file.label.map_or(0, |label| label.numbers.0);
        selection.files.sort_by_key(|file| (file.scope.start_ms, number(file)));
        selection
    }

    /// Whether the oldest rows that a file sums up are still there in `tier`, or finer. The oldest
    /// are dropped first.
    fn has_oldest_of(&self, sums: &StoredFile, tier: Tier) -> bool {
        let Some((first, _)) = sums.label.map(|label| label.numbers) else { return true };
        self.files.iter().any(|file| {
            let holds = |(from, to): (u64, u64)| (from..=to).contains(&first);
            file.tier <= tier
                && sums.scope.contains(file.scope)
                && file.label.is_some_and(|label| holds(label.numbers))
        })
    }

    /// The first number that no file has or had.
    pub(crate) fn next_number(&self) -> u64 {
        let all = self.files.iter().chain(&self.replaced);
        all.filter_map(|file| file.label).map(|label| label.numbers.1 + 1).max().unwrap_or(0)
    }
}

/// Sorts what replaces before what is replaced.
fn order(file: &StoredFile) -> impl Ord + use<> {
    let Scope { start_ms, end_ms } = file.scope;
    let (first, last) = file.label.map_or((u64::MAX, u64::MAX), |label| label.numbers);
    (file.tier, start_ms, u64::MAX - end_ms, first, u64::MAX - last)
}

/// The numbers that files hold, by tier and scope.
///
/// Of one tier and scope they never overlap, for a file is made only of whole ones.
#[derive(Debug, Default)]
pub(crate) struct Held(HashMap<(Tier, Scope), Vec<(u64, u64)>>);

impl Held {
    /// Of files in the order of a listing.
    pub(crate) fn of(files: &[StoredFile]) -> Self {
        let mut held = Self::default();
        for file in files {
            held.add(file);
        }
        held
    }

    fn add(&mut self, file: &StoredFile) {
        if let Some(label) = file.label {
            self.0.entry((file.tier, file.scope)).or_default().push(label.numbers);
        }
    }

    /// The numbers of the file of `tier` that holds all of `file`, if there is one.
    pub(crate) fn holder(&self, tier: Tier, file: &StoredFile) -> Option<(u64, u64)> {
        let (first, last) = file.label?.numbers;
        let day = Scope::day_of(file.scope.start_ms);
        [file.scope, day].into_iter().find_map(|scope| {
            let held = self.0.get(&(tier, scope))?;
            let before = held.partition_point(|numbers| numbers.0 <= first).checked_sub(1)?;
            held.get(before).copied().filter(|held| last <= held.1)
        })
    }
}

fn add_day(
    all: &mut Vec<StoredFile>,
    tier: Tier,
    day: Scope,
    path: &Path,
) -> Result<(), StoreError> {
    for name in names(path)? {
        let path = path.join(&name);
        if tier == Tier::Raw {
            if let Some(scope) = day.hour(&name) {
                add_hour(all, scope, &path)?;
            }
            continue;
        }
        let (scope, rest) = match name.split_once('_') {
            Some((hour, rest)) if hour.len() == 2 => (day.hour(hour), rest),
            _ => (Some(day), name.as_str()),
        };
        // Sums whose name does not say of what cannot be told from what they sum up.
        if let (Some(scope), label @ Some(_)) = (scope, Label::parse(rest)) {
            all.push(StoredFile { path, tier, scope, label });
        }
    }
    Ok(())
}

fn add_hour(all: &mut Vec<StoredFile>, scope: Scope, path: &Path) -> Result<(), StoreError> {
    for name in names(path)? {
        if !names::is_parquet(&name) {
            continue;
        }
        // A file that somebody else put here is given the whole hour, and any end.
        let label = Label::parse(&name);
        all.push(StoredFile { path: path.join(name), tier: Tier::Raw, scope, label });
    }
    Ok(())
}

/// The names in a directory, sorted; none if it is not a directory or has just been removed.
///
/// A file that is renamed while a directory is listed may be missing from the list under either
/// name. So it is listed until two lists agree.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let mut last = names_once(dir)?;
    for _ in 0..ATTEMPTS {
        let names = names_once(dir)?;
        if names == last {
            break;
        }
        last = names;
    }
    Ok(last)
}

fn names_once(dir: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).during("list", dir),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.during("list", dir)?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens a listed file, even if it was replaced since.
pub(crate) fn open(dir: &Path, file: &StoredFile) -> io::Result<File> {
    match File::open(&file.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            File::open(layout::replaced(dir).join(flat_name(dir, file))).map_err(|_| error)
        }
        opened => opened,
    }
}

/// Its name where files of all partitions lie side by side.
pub(crate) fn flat_name(dir: &Path, file: &StoredFile) -> String {
    let path = file.path.strip_prefix(dir).unwrap_or(&file.path);
    path.to_string_lossy().replace('/', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tier: Tier, scope: Scope, first: u64, last: u64) -> StoredFile {
        let label =
            Label { numbers: (first, last), rows: 1, inserted: (1, 2), ends: (first, last) };
        let path = format!("{}/{scope:?}/{}", tier.name(), label.name()).into();
        StoredFile { path, tier, scope, label: Some(label) }
    }

    fn numbers(files: &[StoredFile]) -> Vec<(Tier, u64, u64)> {
        let label = |file: &StoredFile| file.label.unwrap().numbers;
        files.iter().map(|file| (file.tier, label(file).0, label(file).1)).collect()
    }

    #[test]
    fn what_was_replaced_does_not_count() {
        let (hour, next) = (Scope::hour_of(0), Scope::hour_of(layout::HOUR_MS));
        let file = |scope, first, last| file(Tier::Raw, scope, first, last);
        let listing = Listing::of(vec![
            file(hour, 1, 1),
            file(next, 4, 4),
            file(hour, 3, 3),
            file(hour, 1, 3),
            file(hour, 5, 5),
            file(hour, 2, 3),
        ]);
        let raw = Tier::Raw;
        assert_eq!(numbers(&listing.files), [(raw, 1, 3), (raw, 5, 5), (raw, 4, 4)]);
        assert_eq!(numbers(&listing.replaced), [(raw, 1, 1), (raw, 2, 3), (raw, 3, 3)]);
        assert_eq!(listing.next_number(), 6);
    }

    #[test]
    fn every_row_is_told_once_whatever_the_tier() {
        let [hour, next, third] = [0, 1, 2].map(|n| Scope::hour_of(n * layout::HOUR_MS));
        let day = Scope::day_of(0);
        let listing = Listing::of(vec![
            file(Tier::Raw, hour, 1, 3),
            file(Tier::Raw, hour, 8, 8), // late: the clock was set back
            file(Tier::Raw, next, 4, 6),
            file(Tier::Raw, third, 7, 7),
            file(Tier::Minute, hour, 1, 3),
            file(Tier::Minute, next, 4, 6),
            file(Tier::FiveMinutes, day, 1, 6),
        ]);
        let all = Window::default();
        let serving = |tier| numbers(&listing.serving(tier, all, all).files);
        let (raw, minute, five) = (Tier::Raw, Tier::Minute, Tier::FiveMinutes);
        assert_eq!(serving(raw), [(raw, 1, 3), (raw, 8, 8), (raw, 4, 6), (raw, 7, 7)]);
        assert_eq!(serving(minute), [(minute, 1, 3), (raw, 8, 8), (minute, 4, 6), (raw, 7, 7)]);
        assert_eq!(serving(Tier::Hour), [(five, 1, 6), (raw, 8, 8), (raw, 7, 7)]);
        assert_eq!(listing.serving(raw, all, all).coarser, 0);
        let ends = Window { since_ms: Some(7), until_ms: None };
        let selection = listing.serving(raw, all, ends);
        assert_eq!((numbers(&selection.files).len(), selection.pruned), (2, 2));
        // The first hour is left as sums alone, and then as coarse ones.
        let is_left = |file: &&StoredFile| file.tier == five || file.scope != hour;
        let left = Listing::of(listing.files.iter().filter(is_left).cloned().collect());
        let coarser = |tier, ends| left.serving(tier, all, ends).coarser;
        assert_eq!([raw, minute, five].map(|tier| coarser(tier, all)), [1, 1, 0]);
        assert_eq!(coarser(raw, ends), 0, "of another time");
    }
}
