//! Weeks of flows, merged, summed up and dropped; time is simulated.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;
#[path = "maintenance/first_layout.rs"]
mod first_layout; // files of the layout before this one

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use arrow::array::RecordBatch;
use flow::{Counters, FlowEndReason, FlowRecord};
use store::{Maintenance, MaintenanceOptions, Mark, Tier, Writer};
use support::{SUMS, files, python, record, rows, sums};
use tempfile::tempdir;

/// 2026-11-21T00:00:00Z.
const START: u64 = 1_795_219_200_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
static RUNNING: AtomicBool = AtomicBool::new(false);

/// The `index`-th record that is inserted at `now_ms`: mostly of the last minute, some of them
/// late by hours, some from Nodes whose clocks are ahead.
fn flow_at(now_ms: u64, index: u64) -> FlowRecord {
    let seed = (now_ms + index * 7).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let end_ms = match seed % 50 {
        0 => now_ms - 3 * HOUR - seed % HOUR,
        1 => now_ms + 2 * MINUTE,
        _ => now_ms - seed % MINUTE,
    };
    let delta = Counters {
        packets_delta: 1 + seed % 90,
        octets_delta: seed % 100_000,
        packets_total: 1 + seed % 90 + seed % 2,
        octets_total: seed % 100_000,
    };
    let mut record = FlowRecord {
        flow_id: now_ms * 1000 + index,
        start_ms: end_ms - seed % 5000,
        end_ms,
        forward: delta,
        reverse: Counters { octets_delta: seed % 777, octets_total: seed % 777, ..delta },
        ..FlowRecord::default()
    };
    record.key.protocol = 6;
    record.key.source_port = 30_000 + (seed % 20_000) as u16;
    record.key.destination_port = [80, 443, 5432, 53][seed as usize % 4];
    record.source.pod = format!("web-{}", seed % 40).as_str().into();
    record.source.namespace = format!("team-{}", seed % 3).as_str().into();
    record.destination.namespace = format!("db-{}", seed % 2).as_str().into();
    record.egress.action = (seed % 4) as u8;
    if seed.is_multiple_of(3) {
        record.end_reason = FlowEndReason::EndOfFlow;
        record.joined.from_source.forward = delta;
    }
    record
}

/// Records, packets and octets by the hour in which flows ended.
type Model = BTreeMap<u64, [u128; 3]>;

fn told(model: &Model) -> String {
    let mut lines = String::new();
    for (hour, [records, packets, octets]) in model {
        writeln!(lines, "{hour} {records} {packets} {octets}").unwrap();
    }
    lines
}

/// Prints the same of the coarsest sums, and of records that are not summed up yet.
const BY_HOUR: &str = r#"
import glob, os, re, sys
import duckdb
root = sys.argv[1]
sums = glob.glob(f"{root}/tiers/1h/*/*.parquet")
last = max(int(re.search(r"-(\d+)_r", os.path.basename(path))[1]) for path in sums)
raw = [path for path in glob.glob(f"{root}/flows/*/*/*.parquet")
       if int(os.path.basename(path)[:10]) > last] or [None]
rows = duckdb.execute("""
    SELECT hour, sum(n), sum(p), sum(o) FROM (
      SELECT epoch_ms(timeBucket) // 3600000 AS hour, records::HUGEINT AS n,
             packetDeltaCount::HUGEINT AS p, octetDeltaCount::HUGEINT AS o
      FROM read_parquet($1)
      UNION ALL
      SELECT epoch_ms(flowEndMilliseconds) // 3600000, 1, packetDeltaCount, octetDeltaCount
      FROM read_parquet($2)
    ) GROUP BY hour ORDER BY hour""", [sums, raw]).fetchall()
for row in rows:
    print(*(int(value) for value in row))
"#;

fn simulate(days: u64, options: &MaintenanceOptions, per_flush: u64) {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let mut maintenance = writer.maintenance(options.clone()).unwrap();
    let (mut model, mut rows) = (Model::new(), 0);
    let mut bytes = Vec::new();
    for half_hour in 0..days * 48 {
        let now = START + half_hour * HOUR / 2;
        let batch: Vec<_> = (0..per_flush).map(|index| flow_at(now, index)).collect();
        for record in &batch {
            let sums = model.entry(record.end_ms / HOUR).or_default();
            let of = [1, record.forward.packets_delta, record.forward.octets_delta];
            sums.iter_mut().zip(of).for_each(|(sum, more)| *sum += u128::from(more));
        }
        rows += per_flush;
        writer.append(&batch, now).unwrap();
        writer.flush().unwrap();
        maintenance.pass(now + 3 * MINUTE, &RUNNING).unwrap();
        if half_hour % 48 == 47 {
            bytes.push(maintenance.counters().usage().map(|tier| tier.bytes));
        }
    }
    let counters = maintenance.counters();
    let usage = counters.usage();
    let dropped = counters.dropped(Tier::Raw).by_age.load(Relaxed);
    assert_eq!(usage[0].rows + dropped, rows, "each record is there or was dropped, and counted");
    let keep = |keep: Option<Duration>| keep.unwrap().as_secs() * 1000;
    let hours = keep(options.raw) / HOUR;
    assert!(usage[0].files <= hours + 4, "an hour is one file: {} of {hours}", usage[0].files);
    assert!(usage[0].rows <= (hours + 2) * 2 * per_flush, "{}", usage[0].rows);
    for (tier, keep) in [(1, options.minute), (2, options.five_minutes)].map(|(i, k)| (i, keep(k)))
    {
        // A day is one file, but for the last two.
        assert!(usage[tier].files <= keep / DAY + 2 + 48, "{tier}: {}", usage[tier].files);
    }
    let raw: Vec<_> = bytes.iter().map(|tiers| tiers[0]).collect();
    let settled = raw[(hours / 24) as usize + 1];
    assert!(*raw.last().unwrap() < settled + settled / 5, "it does not grow for ever: {raw:?}");
    assert_eq!(python(BY_HOUR, &[dir.path()]), told(&model), "nothing is lost or doubled by it");
    assert_eq!(python(include_str!("tiers.py"), &[dir.path()]), "raw 1m 5m 1h agree\n");
    store::verify(dir.path(), |file| assert_eq!(file.fault, None, "{}", file.path.display()))
        .unwrap();
}

fn keeping(raw: u64, minute: u64, five_minutes: u64) -> MaintenanceOptions {
    let days = |days| Some(Duration::from_hours(24 * days));
    MaintenanceOptions {
        raw: days(raw),
        minute: days(minute),
        five_minutes: days(five_minutes),
        ..MaintenanceOptions::default()
    }
}

#[test]
fn days_of_flows_are_kept_as_sums_that_say_the_same() {
    simulate(5, &keeping(1, 2, 3), 10);
}

#[test]
#[ignore = "soak: thirty days take minutes"]
fn survives_long_thirty_days() {
    simulate(30, &keeping(5, 10, 20), 100);
}

/// A store of three hours that are over, of 30 files.
fn three_hours(dir: &Path) -> (Writer, Vec<FlowRecord>) {
    let mut writer = Writer::open(dir).unwrap();
    let mut all = Vec::new();
    for step in 0..30 {
        let now = START + step * 6 * MINUTE;
        let batch: Vec<_> = (0..20).map(|index| flow_at(now, index)).collect();
        writer.append(&batch, now).unwrap();
        writer.flush().unwrap();
        all.extend(batch);
    }
    (writer, all)
}

fn ids(dir: &Path) -> Vec<u64> {
    let mut ids: Vec<_> = rows(dir).iter().map(|row| row.record.flow_id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn an_hour_becomes_one_file() {
    let dir = tempdir().unwrap();
    let (writer, all) = three_hours(dir.path());
    let mut maintenance = writer.maintenance(MaintenanceOptions::default()).unwrap();
    maintenance.pass(START + 4 * HOUR, &RUNNING).unwrap();
    assert_eq!(files(dir.path()).len(), 3);
    let rows = rows(dir.path());
    let flows = rows.iter().map(|row| (row.inserted_ms / HOUR, row.record.flow_id));
    assert!(flows.is_sorted(), "by hour of insertion, and, on the only page, by flow");
    let mut expected: Vec<_> = all.iter().map(|record| record.flow_id).collect();
    expected.sort_unstable();
    assert_eq!(ids(dir.path()), expected);
    let inspection = store::inspect(dir.path()).unwrap();
    assert_eq!(inspection.tiers.map(|tier| tier.files), [3; 4]);
    assert_eq!((inspection.tiers[0].rows, inspection.replaced), (600, 0));
    let first = &inspection.partitions[0];
    assert_eq!((first.tier, first.start_ms, first.end_ms), (Tier::Raw, START, START + HOUR));
    let ended = all.iter().filter(|record| record.flow_id / 1000 < START + HOUR);
    let ended: Vec<_> = ended.map(|record| record.end_ms).collect();
    let span = (*ended.iter().min().unwrap(), *ended.iter().max().unwrap());
    assert_eq!(first.ends, Some(span));
}

/// The `index`-th record of flows that are told again and again.
fn told_again(index: u64) -> FlowRecord {
    let seed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let mut record = FlowRecord { flow_id: 1 + seed % 9000, ..flow_at(START + MINUTE, index) };
    record.end_ms = START + index / 3;
    record.key.source = [10, 1, 0, (record.flow_id % 41) as u8].into();
    record.key.destination = [10, 2, 0, (record.flow_id % 37) as u8].into();
    record
}

/// Prints, of each row group, its rows, whether all bytes of its columns are those of the file
/// before, whether statistics are right, and whether rows lie as they should.
const GROUPS: &str = r#"
import glob, sys
import pyarrow.compute as pc, pyarrow.parquet as pq
root, before = sys.argv[1:]
after, = glob.glob(f"{root}/flows/*/*/*.parquet")

def chunks(path, group):
    file = open(path, "rb").read()
    columns = map(pq.ParquetFile(path).metadata.row_group(group).column, range(96))
    for column in columns:
        begin = column.dictionary_page_offset or column.data_page_offset
        yield file[begin:begin + column.total_compressed_size]

def statistics(group, table):
    for index, name in enumerate(table.column_names):
        bounds = group.column(index).statistics
        if bounds and bounds.has_min_max:
            found = pc.min_max(table[name]).as_py()
            yield (bounds.min, bounds.max) == (found["min"], found["max"])

def is_by_flow(rows):
    begins = [i for i in range(len(rows)) if i == 0 or rows[i][:3] != rows[i - 1][:3]]
    in_time = all(a[:3] != b[:3] or a[3] <= b[3] for a, b in zip(rows, rows[1:]))
    return in_time and len(begins) == len({row[:3] for row in rows})

def is_ordered(table):
    names = ["destinationIP", "sourceIP", "flowId", "flowEndMilliseconds"]
    rows = list(zip(*(table[name].to_pylist() for name in names)))
    pages = [rows[i:i + 16384] for i in range(0, len(rows), 16384)]
    ends = [[row[3] for row in page] for page in pages]
    in_time = all(max(a) <= min(b) for a, b in zip(ends, ends[1:]))
    return in_time and all(map(is_by_flow, pages))

file = pq.ParquetFile(after)
for index in range(file.num_row_groups):
    group, table = file.metadata.row_group(index), file.read_row_group(index)
    checks = list(statistics(group, table))
    same = list(chunks(after, index)) == list(chunks(before, 0))
    print(table.num_rows, same, len(checks) > 40 and all(checks), is_ordered(table))
"#;

#[test]
fn large_row_groups_are_copied_and_small_ones_put_together() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let all: Vec<_> = (0..70_500).map(told_again).collect();
    for records in [&all[..300], &all[300..70_300], &all[70_300..]] {
        writer.append(records, START + MINUTE).unwrap();
        writer.flush().unwrap();
    }
    let large = dir.path().join("before");
    fs::copy(&files(dir.path())[1], &large).unwrap();
    let mut maintenance = writer.maintenance(MaintenanceOptions::default()).unwrap();
    maintenance.pass(START + 2 * HOUR, &RUNNING).unwrap();
    let groups = python(GROUPS, &[dir.path(), &large]);
    assert_eq!(groups, "70000 True True True\n500 False True True\n");
    let expected = sums(&all, |_| START + MINUTE);
    assert_eq!(python(SUMS, &[&dir.path().join("flows")]), expected);
}

#[test]
fn who_reads_meanwhile_sees_every_row_once() {
    let dir = tempdir().unwrap();
    let (mut writer, all) = three_hours(dir.path());
    let options = MaintenanceOptions { small_files: 2, ..MaintenanceOptions::default() };
    let mut maintenance = writer.maintenance(options).unwrap();
    let over = AtomicBool::new(false);
    let beginning = all.len();
    thread::scope(|scope| {
        let reads = scope.spawn(|| {
            let mut reads = 0;
            while !over.load(Relaxed) {
                let ids = ids(dir.path());
                let distinct: BTreeSet<_> = ids.iter().collect();
                assert_eq!(distinct.len(), ids.len(), "a row was seen twice");
                assert!(ids.len() >= beginning, "a row was not seen: {}", ids.len());
                reads += 1;
            }
            reads
        });
        for step in 0..60 {
            // Replaced files stay for who has them listed, for five minutes.
            let now = START + 3 * HOUR + step * 4000;
            let batch: Vec<_> = (0..20).map(|index| flow_at(now, index)).collect();
            writer.append(&batch, now).unwrap();
            writer.flush().unwrap();
            maintenance.pass(now, &RUNNING).unwrap();
        }
        over.store(true, Relaxed);
        assert!(reads.join().unwrap() > 1);
    });
    assert_eq!(ids(dir.path()).len(), beginning + 60 * 20);
}

#[test]
fn rows_that_wait_are_seen_in_the_same_process() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let hot = writer.hot();
    let count = |hot: &store::Hot| {
        let snapshot = hot.snapshot().unwrap();
        (snapshot.batches.iter().map(RecordBatch::num_rows).sum::<usize>(), snapshot.from)
    };
    assert_eq!(count(&hot), (0, 0));
    writer.append(&[record(0), record(1)], START).unwrap();
    assert_eq!(count(&hot), (2, 0));
    writer.append(&[record(2)], START + HOUR).unwrap();
    assert_eq!(count(&hot), (3, 0), "a batch that is complete, and one that is not");
    writer.flush().unwrap();
    assert_eq!(count(&hot), (0, 2), "files 0 and 1 have them");
    drop(writer);
    assert_eq!(count(&Writer::open(dir.path()).unwrap().hot()), (0, 2));
}

#[test]
fn a_damaged_file_is_set_aside_and_counted() {
    let dir = tempdir().unwrap();
    let (writer, all) = three_hours(dir.path());
    // One from before, which is more than a twentieth of the limit.
    let quarantine = dir.path().join("quarantine");
    fs::create_dir(&quarantine).unwrap();
    fs::File::create(quarantine.join("large")).unwrap().set_len(4 << 20).unwrap();
    let damaged = files(dir.path()).remove(4);
    let bytes = fs::read(&damaged).unwrap();
    fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let mut faults = Vec::new();
    store::verify(dir.path(), |file| faults.extend(file.fault.map(|_| file.path))).unwrap();
    assert_eq!(faults, std::slice::from_ref(&damaged));

    let options = MaintenanceOptions { limit: Some(64 << 20), ..MaintenanceOptions::default() };
    let mut maintenance = writer.maintenance(options).unwrap();
    for _ in 0..2 {
        maintenance.pass(START + 4 * HOUR, &RUNNING).unwrap();
    }
    let counters = maintenance.counters();
    assert_eq!(counters.files_quarantined.load(Relaxed), 1);
    assert_eq!(counters.rows_quarantined.load(Relaxed), 20);
    assert_eq!(ids(dir.path()).len(), all.len() - 20, "the others are there");
    let aside: Vec<_> = fs::read_dir(quarantine).unwrap().collect();
    assert_eq!(aside.len(), 1, "the newest alone");
    let name = aside[0].as_ref().unwrap().file_name().into_string().unwrap();
    assert!(name.ends_with(damaged.file_name().unwrap().to_str().unwrap()), "{name}");
    store::verify(dir.path(), |file| assert_eq!(file.fault, None)).unwrap();
    assert_eq!(python(include_str!("tiers.py"), &[dir.path()]), "raw 1m 5m 1h agree\n");
}

#[test]
fn sums_that_are_wrong_are_told() {
    let dir = tempdir().unwrap();
    let (writer, _) = three_hours(dir.path());
    let mut maintenance = writer.maintenance(MaintenanceOptions::default()).unwrap();
    maintenance.pass(START + 4 * HOUR, &RUNNING).unwrap();
    let day = dir.path().join("tiers/1m/2026-11-21");
    let mut names: Vec<_> = fs::read_dir(&day).unwrap().map(|it| it.unwrap().path()).collect();
    names.sort();
    // The second hour's sums in the first hour's place; both have as many rows or not.
    let other = fs::read(&names[1]).unwrap();
    let rows = |path: &Path| path.to_str().unwrap().split("_r").nth(1).unwrap().to_owned();
    let lie = rows(&names[1]);
    let name = names[0].to_str().unwrap().replace(&rows(&names[0]), &lie);
    fs::remove_file(&names[0]).unwrap();
    fs::write(name, other).unwrap();
    let mut faults = Vec::new();
    store::verify(dir.path(), |file| faults.extend(file.fault)).unwrap();
    assert!(faults.iter().any(|fault| fault.contains("its sum of")), "{faults:?}");
}

#[test]
fn the_file_that_the_mark_names_stays() {
    let dir = tempdir().unwrap();
    let (mut writer, _) = three_hours(dir.path());
    writer.append(&[flow_at(START + 3 * HOUR - 1, 0)], START + 3 * HOUR - 1).unwrap();
    writer.mark(Mark { log: 1, record: 601 });
    writer.flush().unwrap();
    drop(writer);
    let mut maintenance = Maintenance::open(dir.path(), keeping(1, 2, 3)).unwrap();
    for hour in 4..200 {
        maintenance.pass(START + hour * HOUR, &RUNNING).unwrap();
    }
    drop(maintenance);
    assert_eq!(Writer::open(dir.path()).unwrap().stored(), Some(Mark { log: 1, record: 601 }));
    assert_eq!(files(dir.path()).len(), 2, "the last hour, the named file not merged");
}

/// A store with three hours of a day, and something of the next one.
fn two_days(dir: &Path) {
    let (mut writer, _) = three_hours(dir);
    let now = START + 26 * HOUR;
    writer.append(&[flow_at(now, 0)], now).unwrap();
    writer.flush().unwrap();
}

/// How many hours there are records of.
fn hours(dir: &Path) -> usize {
    let days = fs::read_dir(dir.join("flows")).unwrap().flatten();
    days.map(|day| day.path().read_dir().unwrap().count()).sum()
}

#[test]
fn records_go_by_age_though_their_sums_are_gone_before() {
    let dir = tempdir().unwrap();
    two_days(dir.path());
    let mut maintenance = Maintenance::open(dir.path(), keeping(3, 1, 4)).unwrap();
    let mut until = |last| {
        for hour in 27..last {
            maintenance.pass(START + hour * HOUR, &RUNNING).unwrap();
        }
        maintenance.counters().dropped(Tier::Minute).by_age.load(Relaxed)
    };
    assert!(until(60) > 0, "sums of minutes are dropped");
    assert_eq!(hours(dir.path()), 4);
    until(90);
    assert_eq!(hours(dir.path()), 1, "that of the highest number");
}

#[test]
fn what_keeps_sums_from_being_dropped_does_not_keep_records() {
    let dir = tempdir().unwrap();
    two_days(dir.path());
    let mut maintenance = Maintenance::open(dir.path(), keeping(9, 9, 9)).unwrap();
    maintenance.pass(START + 27 * HOUR, &RUNNING).unwrap();
    drop(maintenance);
    // In the place of a file without which no sums are dropped.
    for tier in ["1m", "5m", "1h"] {
        fs::create_dir_all(dir.path().join("tiers").join(tier).join("dropped/x")).unwrap();
    }
    let options = MaintenanceOptions { limit: Some(1000), ..keeping(9, 9, 9) };
    let mut maintenance = Maintenance::open(dir.path(), options).unwrap();
    assert_eq!(hours(dir.path()), 4);
    maintenance.pass(START + 28 * HOUR, &RUNNING).unwrap_err();
    assert_eq!(hours(dir.path()), 1, "that of the highest number");
}
