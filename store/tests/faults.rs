//! Processes that are killed, disks that are full, clocks that jump.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use flow::FlowRecord;
use store::{Maintenance, MaintenanceOptions, Mark, StoreError, Tier, Writer};
use support::{SUMS, files, python, record, rows, sums};
use tempfile::{TempDir, tempdir};

const NOW: u64 = 1_795_251_599_000;
/// Between two batches: a simulated hour has 36 of them.
const STEP_MS: u64 = 100_000;
const BATCH: u64 = 40;
static RUNNING: AtomicBool = AtomicBool::new(false);
/// Where the child of a test finds its store.
const CHILD: &str = "FYKE_TEST_CHILD_STORE";

/// Record `number` of the log that the child stores.
fn numbered(number: u64) -> FlowRecord {
    FlowRecord { flow_id: number, ..record(number) }
}

/// When it is inserted.
fn inserted(number: u64) -> u64 {
    NOW + number / BATCH * STEP_MS
}

fn eager() -> MaintenanceOptions {
    MaintenanceOptions { small_files: 3, raw: None, limit: None, ..MaintenanceOptions::default() }
}

/// Not a test: stores what the log has behind the mark, until it is killed, as the aggregator
/// does: files are looked after beside it.
#[test]
#[ignore = "the child of the tests below"]
fn child() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let mut writer = Writer::open(&dir).unwrap();
    let mut maintenance = writer.maintenance(eager()).unwrap();
    let mut next = writer.stored().map_or(0, |mark| mark.record);
    let now = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(inserted(next)));
    let clock = std::sync::Arc::clone(&now);
    thread::spawn(move || {
        loop {
            maintenance.pass(clock.load(Relaxed), &RUNNING).unwrap();
        }
    });
    let mut out = std::io::stdout();
    loop {
        let batch: Vec<_> = (next..next + BATCH).map(numbered).collect();
        writer.append(&batch, inserted(next)).unwrap();
        next += BATCH;
        writer.mark(Mark { log: 7, record: next });
        writer.flush().unwrap();
        now.store(inserted(next), Relaxed);
        writeln!(out, "stored {next}").unwrap();
    }
}

/// Lets a child run until it has stored `batches` batches more, and kills it; returns up to where
/// it has said that everything is stored.
fn run_and_kill(dir: &Path, batches: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stored = 0;
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    // The first line follows what the test harness prints before it.
    let said = lines.filter_map(|line| line.rsplit_once("stored ")?.1.parse::<u64>().ok());
    for (count, number) in said.enumerate() {
        stored = number;
        if count == batches {
            child.kill().unwrap(); // what it said until it died is read to its end
        }
    }
    child.wait().unwrap();
    stored
}

/// The numbers of the records that are stored; each is there once.
fn numbers(dir: &Path) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    for row in rows(dir) {
        assert!(numbers.insert(row.record.flow_id), "{} is there twice", row.record.flow_id);
        assert_eq!(row.record, numbered(row.record.flow_id), "a row is whole");
    }
    numbers
}

/// Kills a writer ten times, and asks after each what is there.
fn survives(mut seed: u64) {
    let dir = tempdir().unwrap();
    for kill in 0..10 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let stored = run_and_kill(dir.path(), 5 + (seed >> 33) as usize % 30);
        // What is there beyond was stored and could not be said any more.
        let there = numbers(dir.path());
        let whole = there.iter().copied().eq(0..there.len() as u64);
        assert!(whole && there.len() as u64 >= stored, "kill {kill}: {stored}, {}", there.len());
    }
    judge(dir.path());
}

/// Asks foreign programs what is there, once what was left has been done.
fn judge(dir: &Path) {
    let count = numbers(dir).len() as u64;
    let mut maintenance = Maintenance::open(dir, eager()).unwrap();
    let later = inserted(count) + 3_600_000;
    maintenance.pass(later, &RUNNING).unwrap();
    store::verify(dir, |file| assert_eq!(file.fault, None, "{}", file.path.display())).unwrap();
    let records: Vec<_> = (0..count).map(numbered).collect();
    let told = python(SUMS, &[&dir.join("flows")]);
    assert_eq!(told, sums(&records, |index| inserted(index as u64)));
    assert_eq!(python(include_str!("tiers.py"), &[dir]), "raw 1m 5m 1h agree\n");
    let merged = maintenance.counters().merges.load(Relaxed);
    assert!((files(dir).len() as u64) < count / BATCH / 8, "{merged}");
}

#[test]
fn a_writer_that_is_killed_loses_nothing_and_doubles_nothing() {
    survives(0x9e37_79b9);
}

#[test]
#[ignore = "soak: a hundred kills take minutes"]
fn survives_long_a_hundred_kills() {
    // Of ten stores: one that grew all the while would be read again and again.
    (0..10).for_each(survives);
}

/// A file system of so many bytes. Mounting needs root.
struct Disk(TempDir);

impl Disk {
    fn of(size: &str) -> Self {
        let dir = tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"];
        assert!(Command::new("mount").args(mount).arg(dir.path()).status().unwrap().success());
        Self(dir)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.unwrap().success());
    }
}

#[test]
fn a_full_disk_costs_nothing_but_time() {
    let disk = Disk::of("3m");
    let dir = disk.0.path().join("data");
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let mut writer = Writer::open(&dir).unwrap();
    let mut maintenance = writer.maintenance(eager()).unwrap();
    let mut next = 0;
    let full = loop {
        let batch: Vec<_> = (next..next + BATCH).map(numbered).collect();
        writer.append(&batch, inserted(next)).unwrap();
        next += BATCH;
        if let Err(error) = writer.flush() {
            break error;
        }
    };
    assert!(matches!(full, StoreError::Io { .. } | StoreError::Encode { .. }), "{full}");
    let error = maintenance.pass(inserted(next), &RUNNING);
    assert_eq!(error.is_err(), maintenance.counters().failures.load(Relaxed) == 1);
    assert_eq!(numbers(&dir).len() as u64, next - writer.rows() as u64, "before there is room");
    fs::remove_file(ballast).unwrap();
    writer.flush().unwrap();
    maintenance.pass(inserted(next), &RUNNING).unwrap();
    assert!(numbers(&dir).into_iter().eq(0..next));
    let temporary = fs::read_dir(dir.join("tmp")).unwrap().count();
    assert_eq!(temporary, 0, "what could not be finished is gone");
}

#[test]
fn a_limit_keeps_a_small_disk_from_filling_up() {
    let disk = Disk::of("4m");
    let dir = disk.0.path().join("data");
    let mut writer = Writer::open(&dir).unwrap();
    // More than the present hour and the sums of the present day take, which stay.
    let limit = 1 << 21;
    let options = MaintenanceOptions { limit: Some(limit), ..eager() };
    let mut maintenance = writer.maintenance(options).unwrap();
    let mut written = 0;
    for batch in 0..36 * 6 {
        let records: Vec<_> = (batch * BATCH..(batch + 1) * BATCH).map(numbered).collect();
        let now = inserted(batch * BATCH);
        writer.append(&records, now).unwrap();
        written += writer.flush().unwrap().bytes;
        if batch % 12 == 0 {
            maintenance.pass(now, &RUNNING).unwrap();
        }
    }
    assert!(written > 2 * limit, "twice as much was written: {written}");
    let counters = maintenance.counters();
    let bytes: u64 = counters.usage().iter().map(|tier| tier.bytes).sum();
    assert!(bytes <= limit, "{bytes}: {:?}", counters.usage());
    let dropped = counters.dropped(Tier::Raw).by_size.load(Relaxed);
    let left = numbers(&dir);
    assert_eq!(left.len() as u64 + dropped, 36 * 6 * BATCH, "what is gone is counted");
    assert!(left.into_iter().eq(dropped..36 * 6 * BATCH), "the oldest went first");
}

const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: u64 = 365 * 24 * HOUR_MS;

/// Records go by their age, if the clock is believed.
fn thirty_days() -> MaintenanceOptions {
    MaintenanceOptions { raw: Some(Duration::from_hours(30 * 24)), ..eager() }
}

#[test]
fn whatever_the_clock_says_every_row_is_kept_and_found() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let mut maintenance = writer.maintenance(thirty_days()).unwrap();
    let (hour, year) = (HOUR_MS, YEAR_MS);
    let clocks = [
        NOW,
        NOW - 40 * 24 * hour,
        NOW + 1000,
        0,
        NOW + 10 * year,
        NOW + 2000,
        u64::MAX,
        i64::MAX as u64,
        NOW + hour,
        NOW,
    ];
    let ends = [NOW, 0, NOW + 500 * year, i64::MAX as u64, u64::MAX, 1];
    let mut count = 0;
    for (clock, now) in clocks.into_iter().enumerate() {
        let batch: Vec<_> = (count..count + 6)
            .zip(ends)
            .map(|(number, end_ms)| FlowRecord { flow_id: number, end_ms, ..record(number) })
            .collect();
        count += 6;
        writer.append(&batch, now).unwrap();
        writer.flush().unwrap();
        maintenance.pass(now, &RUNNING).unwrap_or_else(|error| panic!("{clock}: {error}"));
    }
    maintenance.pass(NOW + 3 * hour, &RUNNING).unwrap();
    let rows = rows(dir.path());
    let ids: BTreeSet<u64> = rows.iter().map(|row| row.record.flow_id).collect();
    assert!(ids.into_iter().eq(0..count), "nothing was dropped by such a clock");
    let inserted = NOW..=NOW + hour;
    let claimed = rows.iter().filter(|row| inserted.contains(&row.inserted_ms)).count();
    assert_eq!(claimed, 5 * 6, "by the times they claim");
    let days: Vec<_> = fs::read_dir(dir.path().join("flows")).unwrap().collect();
    assert_eq!(days.len(), 5, "1970, 40 days ago, now, in ten years, 9999");
    assert_eq!(python(include_str!("tiers.py"), &[dir.path()]), "raw 1m 5m 1h agree\n");
    assert_eq!(store::inspect(dir.path()).unwrap().tiers[0].rows, count);
}

/// Ten years ahead for a moment costs nothing; an hour on, it is the time.
#[test]
fn a_clock_that_jumps_is_believed_once_it_has_gone_on_for_an_hour() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let mut maintenance = writer.maintenance(thirty_days()).unwrap();
    let mut store = |numbers: std::ops::Range<u64>, now: u64| {
        writer.append(&numbers.map(numbered).collect::<Vec<_>>(), now).unwrap();
        writer.flush().unwrap();
    };
    let counters = maintenance.counters();
    let dropped = || counters.dropped(Tier::Raw).by_age.load(Relaxed);
    let mut pass = |now| maintenance.pass(now, &RUNNING).unwrap();
    for hour in 0..3 {
        store(hour * BATCH..(hour + 1) * BATCH, NOW + hour * HOUR_MS);
        pass(NOW + hour * HOUR_MS);
    }
    let later = NOW + 10 * YEAR_MS;
    store(3 * BATCH..4 * BATCH, later);
    // Ahead, back, and ahead again.
    for now in [later, later + HOUR_MS - 1, NOW + 2 * HOUR_MS, NOW + 3 * HOUR_MS, later] {
        pass(now);
        assert!(numbers(dir.path()).into_iter().eq(0..4 * BATCH), "{now}");
    }
    pass(later + HOUR_MS - 1);
    assert_eq!((numbers(dir.path()).len() as u64, dropped()), (4 * BATCH, 0));
    pass(later + HOUR_MS);
    assert_eq!(dropped(), 3 * BATCH, "they are ten years old");
    let left = || assert!(numbers(dir.path()).into_iter().eq(3 * BATCH..4 * BATCH));
    left();
    // What lies ahead then is not old.
    for now in [NOW, NOW + HOUR_MS, NOW + 2 * HOUR_MS] {
        pass(now);
        left();
    }
}
