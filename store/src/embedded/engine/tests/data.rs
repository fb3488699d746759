//! Stores with given rows in files of many kinds.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tempfile::TempDir;

use super::random::Random;
use crate::embedded::columns::{Columns, schema};
use crate::embedded::directory;
use crate::embedded::encode::Draft;
use crate::embedded::layout::{self, Scope, Tier};
use crate::embedded::names::Label;
use crate::embedded::sums::{Sums, sums_schema};
use crate::{Row, Writer, WriterOptions};

fn label(rows: &[Row], number: u64) -> Label {
    let hull = |of: fn(&Row) -> u64| {
        let times = || rows.iter().map(of);
        (times().min().unwrap(), times().max().unwrap())
    };
    Label {
        numbers: (number, number),
        rows: rows.len() as u64,
        inserted: hull(|row| row.inserted_ms),
        ends: hull(|row| row.record.end_ms),
    }
}

/// Where [`write_file`] puts these rows.
pub(super) fn path_of(dir: &Path, rows: &[Row], number: u64) -> PathBuf {
    let label = label(rows, number);
    let (day, hour) = Scope::hour_of(label.inserted.0).names();
    Tier::Raw.directory(dir).join(day).join(hour).join(label.name())
}

/// A file under the name of these rows that does not have them.
pub(super) fn write_garbage(dir: &Path, rows: &[Row], number: u64) {
    let path = path_of(dir, rows, number);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "not Parquet").unwrap();
}

fn batch(rows: &[Row]) -> RecordBatch {
    let mut columns = Columns::new();
    for row in rows {
        columns.append(std::slice::from_ref(&row.record), row.inserted_ms);
    }
    columns.take().unwrap()
}

fn write(path: &Path, dir: &Path, schema: &SchemaRef, batches: &[RecordBatch]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    directory::ensure(&layout::temporary(dir)).unwrap();
    let aside = layout::temporary(dir).join("draft");
    let mut draft = Draft::create(aside, schema).unwrap();
    for batch in batches {
        draft.write(batch).unwrap();
    }
    draft.finish().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    draft.publish(path.parent().unwrap(), name).unwrap();
}

/// Writes rows of one hour as a file, with row groups of these sizes.
pub(super) fn write_file(dir: &Path, rows: &[Row], number: u64, sizes: &mut dyn FnMut() -> usize) {
    let mut left = rows;
    let mut batches = Vec::new();
    while !left.is_empty() {
        let (group, rest) = left.split_at(sizes().clamp(1, left.len()));
        left = rest;
        batches.push(batch(group));
    }
    write(&path_of(dir, rows, number), dir, &schema(), &batches);
}

/// Writes the sums per minute and per five minutes of rows of one hour.
pub(super) fn write_sums(dir: &Path, rows: &[Row], number: u64) {
    let mut batch = batch(rows);
    for (from, tier) in [(Tier::Raw, Tier::Minute), (Tier::Minute, Tier::FiveMinutes)] {
        let mut sums = Sums::new(tier.step_ms().unwrap());
        sums.add(from, &batch).unwrap();
        batch = sums.take().unwrap();
        let mut label = label(rows, number);
        label.rows = batch.num_rows() as u64;
        label.ends.0 -= label.ends.0 % tier.step_ms().unwrap();
        let (day, hour) = Scope::hour_of(label.inserted.0).names();
        let path = tier.directory(dir).join(day).join(format!("{hour}_{}", label.name()));
        write(&path, dir, &sums_schema(), std::slice::from_ref(&batch));
    }
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
