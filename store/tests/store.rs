//! A store, seen through its public interface.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use std::fmt::Write;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use flow::{Field, FlowRecord};
use proptest::prelude::*;
use store::query::{Column, Comparison, Condition, Predicate, Query, Range, Value};
use store::{
    AskOptions, MaintenanceOptions, Reader, Row, StoreError, TIME_INSERTED, Writer, WriterOptions,
};
use support::{files, record_of, records, rows};
use tempfile::{TempDir, tempdir};

/// 2026-11-21T08:59:59.000Z: a second before the hour ends.
const NOW: u64 = 1_795_251_599_000;

fn store_with(records: &[FlowRecord]) -> TempDir {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(records, NOW).unwrap();
    writer.flush().unwrap();
    dir
}

#[test]
fn the_layout_of_a_file_is_a_promise() {
    let dir = store_with(&records(0..1));
    let file = fs::File::open(&files(dir.path())[0]).unwrap();
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut columns = String::new();
    for field in reader.schema().fields() {
        let null = if field.is_nullable() { " or null" } else { "" };
        writeln!(columns, "{} {}{null}", field.name(), field.data_type()).unwrap();
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/schema.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &columns).unwrap();
    }
    assert_eq!(columns, fs::read_to_string(golden).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_record_survives(
        seeds in prop::collection::vec(
            prop::collection::vec(any::<u64>(), Field::columns().count()), 1..20),
    ) {
        let records: Vec<_> = seeds.iter().map(|seeds| record_of(seeds)).collect();
        let dir = store_with(&records);
        let rows = rows(dir.path());
        let expected: Vec<_> =
            records.into_iter().map(|record| Row { inserted_ms: NOW, record }).collect();
        prop_assert_eq!(rows, expected);
    }
}

#[test]
fn rows_are_visible_after_a_flush_and_not_before() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let seen = || rows(dir.path()).len();
    for round in 1..4 {
        writer.append(&records(0..10), NOW + round as u64).unwrap();
        assert_eq!(seen(), (round - 1) * 10, "a reader beside the writer");
        let flushed = writer.flush().unwrap();
        assert_eq!((flushed.files, flushed.rows, writer.rows()), (1, 10, 0));
        assert_eq!(seen(), round * 10);
    }
    assert_eq!(writer.flush().unwrap().files, 0, "there is nothing left to write");
}

#[test]
fn a_flush_is_due_by_age_and_by_number() {
    let dir = tempdir().unwrap();
    let options = WriterOptions { flush_rows: 10, ..WriterOptions::default() };
    let mut writer = Writer::with_options(dir.path(), options).unwrap();
    assert!(!writer.due(NOW));
    writer.append(&records(0..9), NOW).unwrap();
    assert_eq!([NOW, NOW + 999, NOW + 1000].map(|now| writer.due(now)), [false, false, true]);
    assert!(writer.due(NOW - 1000), "a clock that was set back delays nothing");
    writer.append(&records(0..1), NOW).unwrap();
    assert!(writer.due(NOW));
    writer.flush().unwrap();
    assert!(!writer.due(NOW + 5000));
}

#[test]
fn a_partition_holds_the_rows_of_one_hour() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(&records(0..2), NOW).unwrap();
    writer.append(&records(2..5), NOW + 1000).unwrap();
    assert_eq!(writer.flush().unwrap().files, 2);
    let partitions: Vec<_> = files(dir.path())
        .iter()
        .map(|file| file.parent().unwrap().strip_prefix(dir.path()).unwrap().display().to_string())
        .collect();
    assert_eq!(partitions, ["flows/2026-11-21/08", "flows/2026-11-21/09"]);
}

#[test]
fn a_window_rules_out_files_and_rows() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    for (at, range) in [(0, 0..2), (500, 2..4), (1000, 4..6), (3_601_000, 6..8)] {
        writer.append(&records(range), NOW + at).unwrap();
        if at > 0 {
            writer.flush().unwrap();
        }
    }
    let reader = Reader::open(dir.path()).unwrap();
    for (since, until, rows, pruned) in [
        (None, None, 8, 0),
        (Some(0), None, 8, 0),
        (Some(500), None, 6, 0), // half of the first file
        (Some(501), None, 4, 1),
        (None, Some(1000), 4, 2),
        (Some(500), Some(1001), 4, 1),
        (Some(9_000_000), None, 0, 3),
    ] {
        let [since_ms, until_ms] = [since, until].map(|time| time.map(|time: u64| NOW + time));
        let inserted = Column::by_name(TIME_INSERTED).unwrap();
        let not_before = since_ms.map(|value| Condition::Number {
            column: inserted,
            comparison: Comparison::GreaterOrEqual,
            value,
        });
        let filter = not_before.map_or(Predicate::TRUE, Predicate::from);
        let as_of_ms = until_ms.map(|until| until - 1);
        let query = Query { as_of_ms, ..Query::rows(Range::ALL, filter) };
        let mut got = 0;
        let mut each = |rows: Vec<Vec<Value>>| {
            got += rows.len();
            ControlFlow::Continue(())
        };
        let scan = reader.stream(&query, &AskOptions::default(), &mut each).unwrap();
        assert_eq!((got, scan.pruned), (rows, pruned), "{since:?} {until:?}");
    }
}

#[test]
fn there_is_one_writer() {
    let dir = tempdir().unwrap();
    let first = Writer::open(dir.path()).unwrap();
    let error = Writer::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    drop(first);
    Writer::open(dir.path()).unwrap();
}

#[test]
fn nobody_else_may_read_a_store() {
    let parent = tempdir().unwrap();
    let dir = parent.path().join("data");
    let mut writer = Writer::open(&dir).unwrap();
    writer.append(&records(0..1), NOW).unwrap();
    writer.flush().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = &files(&dir)[0];
    assert_eq!([mode(file), mode(&dir.join("lock"))], [0o600; 2]);
    let partition = file.parent().unwrap();
    let dirs = [partition, partition.parent().unwrap(), &dir.join("flows"), &dir.join("tmp"), &dir];
    assert_eq!(dirs.map(mode), [0o700; 5]);
}

#[test]
fn what_a_crash_left_is_removed_and_counted() {
    let dir = store_with(&records(0..10));
    let (temporary, old) = (dir.path().join("tmp"), dir.path().join("old"));
    fs::create_dir(&old).unwrap();
    let name = "0000000012-0000000057_r5_i10-20_e7-9.parquet";
    for path in [temporary.join(name), temporary.join(format!("1m-{name}"))] {
        fs::write(path, b"PAR1 half a file").unwrap();
    }
    fs::write(old.join(format!("flows+2026-11-21+08+{name}")), b"PAR1").unwrap();
    // Somebody's own, in whose directory a store was made.
    let others = [temporary.join("thesis.tex"), old.join("photo.jpg"), old.join("data.parquet")];
    for path in &others {
        fs::write(path, b"precious").unwrap();
    }
    let writer = Writer::open(dir.path()).unwrap();
    assert_eq!(writer.leftovers(), 2);
    drop(writer.maintenance(MaintenanceOptions::default()).unwrap());
    let left = [fs::read_dir(temporary).unwrap().count(), fs::read_dir(old).unwrap().count()];
    assert_eq!(left, [1, 2]);
    assert!(others.iter().all(|path| fs::read(path).unwrap() == b"precious"));
    assert_eq!(rows(dir.path()).len(), 10);
}

#[test]
fn files_that_cannot_be_read_are_skipped_and_counted() {
    let dir = store_with(&records(0..10));
    let good = files(dir.path()).remove(0);
    let bytes = fs::read(&good).unwrap();
    fs::write(good.with_file_name("torn.parquet"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(good.with_file_name("empty.parquet"), b"").unwrap();
    fs::write(good.with_file_name("text.parquet"), b"this is not Parquet").unwrap();
    fs::write(good.with_file_name("README.txt"), b"not ours, not looked at").unwrap();
    fs::create_dir(dir.path().join("flows/lost+found")).unwrap();

    let reader = Reader::open(dir.path()).unwrap();
    let mut count = 0;
    let scan = reader.rows(|_| count += 1).unwrap();
    assert_eq!((count, scan.files, scan.skipped), (10, 4, 3));
    let skipped = scan.first_skipped.unwrap();
    assert!(!skipped.reason.is_empty() && skipped.path.ends_with("empty.parquet"), "{skipped:?}");
    assert_eq!(reader.flows().unwrap().1.skipped, 3);
    assert_eq!(reader.told(0, |_| {}).unwrap().skipped, 3);
}

#[test]
fn damage_anywhere_in_a_file_is_no_panic() {
    let dir = store_with(&records(0..50));
    let path = files(dir.path()).remove(0);
    let bytes = fs::read(&path).unwrap();
    let read = || rows(dir.path());
    for cut in (0..bytes.len()).step_by(997) {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert_eq!(read(), [], "cut at {cut}");
    }
    for (at, bit) in (0..bytes.len()).step_by(211).zip((0..8).cycle()) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << bit;
        fs::write(&path, bytes).unwrap();
        read();
    }
}

#[test]
fn a_failed_flush_keeps_the_rows_until_there_is_no_room() {
    let parent = tempdir().unwrap();
    let (dir, away) = (parent.path().join("data"), parent.path().join("away"));
    let options = WriterOptions { max_rows: 30, ..WriterOptions::default() };
    let mut writer = Writer::with_options(&dir, options).unwrap();
    fs::rename(&dir, &away).unwrap();
    for round in 0..3 {
        writer.append(&records(round * 10..round * 10 + 10), NOW).unwrap();
        let error = writer.flush().unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
    }
    let error = writer.append(&records(0..1), NOW).unwrap_err();
    assert!(matches!(error, StoreError::Full { waiting: 30, records: 1 }), "{error}");

    fs::rename(&away, &dir).unwrap();
    assert_eq!(writer.flush().unwrap().rows, 30);
    assert_eq!(rows(&dir).len(), 30);
    writer.append(&records(0..1), NOW).unwrap();
}

#[test]
fn a_file_is_never_written_over() {
    let dir = tempdir().unwrap();
    // The same process id, the same time, the same sequence number: a container that restarted.
    for _ in 0..3 {
        let mut writer = Writer::open(dir.path()).unwrap();
        writer.append(&records(0..2), NOW).unwrap();
        writer.flush().unwrap();
    }
    let inodes: std::collections::HashSet<_> =
        files(dir.path()).iter().map(|file| fs::metadata(file).unwrap().ino()).collect();
    assert_eq!(inodes.len(), 3);
}

#[test]
fn a_directory_without_a_store_is_an_error_that_says_so() {
    let dir = tempdir().unwrap();
    let error = Reader::open(&dir.path().join("x")).unwrap_err().to_string();
    assert!(error.starts_with("there is no store in"), "{error}");
}

#[test]
fn the_age_of_a_flush_is_configurable() {
    let dir = tempdir().unwrap();
    let options = WriterOptions { flush_age: Duration::from_mins(1), ..WriterOptions::default() };
    let mut writer = Writer::with_options(dir.path(), options).unwrap();
    writer.append(&records(0..1), NOW).unwrap();
    assert!(!writer.due(NOW + 59_999) && writer.due(NOW + 60_000));
}
