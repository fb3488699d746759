//! Stores with given rows in files of many kinds.

use std::path::Path;

use tempfile::TempDir;

use super::random::Random;
use crate::embedded::columns::{Columns, schema};
use crate::embedded::directory;
use crate::embedded::encode::{Draft, properties};
use crate::embedded::layout::{self, Scope, Tier};
use crate::embedded::names::Label;
use crate::{Row, Writer, WriterOptions};

/// Writes rows of one hour as a file, with row groups of these sizes.
pub(super) fn write_file(dir: &Path, rows: &[Row], number: u64, sizes: &mut dyn FnMut() -> usize) {
    let hull = |of: fn(&Row) -> u64| {
        let times = || rows.iter().map(of);
        (times().min().unwrap(), times().max().unwrap())
    };
    let label = Label {
        numbers: (number, number),
        rows: rows.len() as u64,
        inserted: hull(|row| row.inserted_ms),
        ends: hull(|row| row.record.end_ms),
    };
    let (day, hour) = Scope::hour_of(label.inserted.0).names();
    let partition = Tier::Raw.directory(dir).join(day).join(hour);
    std::fs::create_dir_all(&partition).unwrap();
    directory::ensure(&layout::temporary(dir)).unwrap();
    let aside = layout::temporary(dir).join("draft");
    let mut draft = Draft::create(aside, schema(), &properties().unwrap()).unwrap();
    let mut left = rows;
    while !left.is_empty() {
        let (group, rest) = left.split_at(sizes().clamp(1, left.len()));
        left = rest;
        let mut columns = Columns::new();
        for row in group {
            columns.append(std::slice::from_ref(&row.record), row.inserted_ms);
        }
        draft.write(&columns.take().unwrap()).unwrap();
    }
    draft.finish().unwrap();
    draft.publish(&partition, &label.name()).unwrap();
}

/// A store of these rows: some in large files, some in many small ones, some that still wait.
pub(super) fn store(rows: &[Row], random: &mut Random) -> (TempDir, Writer) {
    let dir = tempfile::tempdir().unwrap();
    let (merged, others) = rows.split_at(random.below(rows.len() + 1));
    let (flushed, waiting) = others.split_at(random.below(others.len() + 1));
    let mut number = 0;
    for hour in
        merged.chunk_by(|a, b| Scope::hour_of(a.inserted_ms) == Scope::hour_of(b.inserted_ms))
    {
        let rows = 1 + random.below(hour.len());
        for file in hour.chunks(rows) {
            write_file(dir.path(), file, number, &mut || 1 + random.below(40));
            number += 1;
        }
    }
    let options = WriterOptions { flush_rows: 1 + random.below(20), ..WriterOptions::default() };
    let mut writer = Writer::with_options(dir.path(), options).unwrap();
    append(&mut writer, flushed);
    writer.flush().unwrap();
    append(&mut writer, waiting);
    (dir, writer)
}

fn append(writer: &mut Writer, rows: &[Row]) {
    for row in rows {
        writer.append(std::slice::from_ref(&row.record), row.inserted_ms).unwrap();
    }
}
