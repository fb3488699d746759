//! What has to be read for an answer.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use hashbrown::HashMap;

use super::tier::Part;
use crate::embedded::layout::Window;
use crate::embedded::names::StoredFile;
use crate::embedded::{Hot, Reader, Scan as Report};
use crate::query::{
    AskError, Comparison, Condition, Listing, Predicate, Query, Range, RowOrder, Wanted,
};
use crate::{StoreError, TIME_INSERTED};

/// How often rows and files are looked at anew because they were merged in between.
const ATTEMPTS: usize = 16;

/// What one thread works on at a time.
pub(super) enum Unit {
    /// Of it, what ended in that range.
    File(StoredFile, Range),
    Rows(RecordBatch),
}

/// Files, and of each what ended in a range.
#[derive(Default)]
struct Files {
    all: Vec<(StoredFile, Range)>,
    /// Where in them the newest range of a file is.
    places: HashMap<PathBuf, usize>,
}

impl Files {
    /// Ranges come oldest first. A file that serves one and the next, as records do that nothing
    /// sums up yet, is read once for both.
    fn add(&mut self, file: StoredFile, range: Range) {
        let known = self.places.get(&file.path).and_then(|place| self.all.get_mut(*place));
        match known {
            Some((_, known)) if known.until_ms == range.since_ms => known.until_ms = range.until_ms,
            _ => {
                self.places.insert(file.path.clone(), self.all.len());
                self.all.push((file, range));
            }
        }
    }
}

/// What has to be read, in the order in which it should be.
pub(super) fn units(
    reader: &Reader,
    query: &Query,
    parts: &[Part],
    hot: Option<&Hot>,
) -> Result<(Vec<Unit>, Report), AskError> {
    let inserted = Window {
        since_ms: inserted_since(&query.filter),
        until_ms: query.as_of_ms.and_then(|it| it.checked_add(1)),
    };
    let select = || -> Result<(Vec<(StoredFile, Range)>, Report), StoreError> {
        let listing = reader.listing()?;
        let (mut files, mut report) = (Files::default(), Report::default());
        for Part { range, tier } in parts {
            let ends = Window { since_ms: Some(range.since_ms), until_ms: Some(range.until_ms) };
            let selection = listing.serving(*tier, inserted, ends);
            selection.files.into_iter().for_each(|file| files.add(file, *range));
            report.pruned += selection.pruned;
            report.coarser += selection.coarser;
        }
        Ok((files.all, report))
    };
    let (mut batches, mut selected) = (Vec::new(), None);
    if let Some(hot) = hot {
        for _ in 0..ATTEMPTS {
            let snapshot = hot.snapshot()?;
            let (mut files, report) = select()?;
            let numbers = |file: &StoredFile| file.label.map(|label| label.numbers);
            // A file that has rows from before the snapshot and from after it was merged just now.
            let is_both = |(first, last)| first < snapshot.from && snapshot.from <= last;
            if files.iter().filter_map(|(file, _)| numbers(file)).any(is_both) {
                continue;
            }
            files.retain(|(file, _)| numbers(file).is_none_or(|(first, _)| first < snapshot.from));
            (batches, selected) = (snapshot.batches, Some((files, report)));
            break;
        }
    }
    // While files are merged faster than they are listed, rows are seen once they are in a file.
    let (mut files, report) = match selected {
        Some(selected) => selected,
        None => select()?,
    };
    if let Wanted::Rows(Listing { order: RowOrder::NewestFirst, .. }) = &query.wanted {
        files.sort_by_key(|(file, _)| std::cmp::Reverse(file.ends().1));
    }
    let rows = batches.into_iter().map(Unit::Rows);
    let files = files.into_iter().map(|(file, range)| Unit::File(file, range));
    Ok((rows.chain(files).collect(), report))
}

/// From when on rows were inserted of which the filter holds.
fn inserted_since(filter: &Predicate) -> Option<u64> {
    match filter {
        Predicate::Is(Condition::Number {
            column,
            comparison: Comparison::GreaterOrEqual,
            value,
        }) if column.name() == TIME_INSERTED => Some(*value),
        Predicate::And(parts) => parts.iter().filter_map(inserted_since).max(),
        _ => None,
    }
}
