//! Names as long as whoever makes them up likes: what they cost while files are looked after.
//!
//! A binary of its own, as it is the process that is measured, by the kernel.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use flow::FlowRecord;
use store::{MaintenanceOptions, Tier, Writer};
use support::{files, python};
use tempfile::tempdir;

const HOUR: u64 = 3_600_000;
/// 2026-11-21T08:00:00Z.
const START: u64 = 1_795_248_000_000;
const MIB: usize = 1 << 20;
/// Rows of one file, and files of the hour: half a gibibyte of names.
const ROWS: u64 = 32;
const FILES: u64 = 16;
/// What they are given at once, which is less by far.
const MOST: usize = 700 * MIB;
static RUNNING: AtomicBool = AtomicBool::new(false);

/// A record with a mebibyte of name, which sums are told apart by.
fn wide(number: u64) -> FlowRecord {
    let name = format!("{number:016}").repeat(MIB / 16);
    let mut record =
        FlowRecord { flow_id: number, end_ms: START + number, ..FlowRecord::default() };
    record.source.namespace = name.as_str().into();
    record.forward.octets_delta = number;
    record
}

/// How much of its memory was in use at once since [`forget`], in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
}

fn forget() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// How many rows there are, what they sum up to and how many names they have, in files of `glob`.
const TOLD: &str = r#"
import sys, duckdb
sums = sys.argv[1].find("tiers") >= 0
duckdb.sql("SET threads = 1; SET TimeZone = 'UTC'")
count = "sum(records)::BIGINT" if sums else "count(*)"
print(*duckdb.execute(f"""SELECT {count}, sum(octetDeltaCount)::BIGINT,
  count(DISTINCT left(sourcePodNamespace, 16)), min(length(sourcePodNamespace))
  FROM read_parquet($1)""", [sys.argv[1]]).fetchone())
"#;

#[test]
#[ignore = "soak: so much text takes a minute"]
fn very_long_names_are_merged_and_summed_up_a_part_at_a_time() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let write = |writer: &mut Writer, numbers: std::ops::Range<u64>| {
        let rows: Vec<_> = numbers.map(wide).collect();
        writer.append(&rows, START + 1).unwrap();
        writer.flush().unwrap();
    };
    (0..FILES).for_each(|file| write(&mut writer, file * ROWS..(file + 1) * ROWS));
    let options = MaintenanceOptions { raw: None, limit: None, ..MaintenanceOptions::default() };
    let mut maintenance = writer.maintenance(options).unwrap();
    // Small files; and when the day is over what was made of them, with one that came late.
    for hours in [2, 26] {
        forget();
        let before = peak();
        maintenance.pass(START + hours * HOUR, &RUNNING).unwrap();
        let more = peak() - before;
        eprintln!("after {hours} h: {} MiB at once", more / MIB);
        assert!(more < MOST, "{} MiB", more / MIB);
        assert_eq!(files(dir.path()).len(), 1);
        if hours == 2 {
            write(&mut writer, FILES * ROWS..(FILES + 1) * ROWS);
        }
    }
    let all = (FILES + 1) * ROWS;
    let counters = maintenance.counters();
    assert_eq!(counters.files_quarantined.load(Relaxed) + counters.files_left.load(Relaxed), 0);
    let told = format!("{all} {} {all} {MIB}\n", all * (all - 1) / 2);
    for glob in ["flows/*/*/*.parquet"]
        .map(String::from)
        .into_iter()
        .chain(Tier::SUMS.map(|tier| format!("tiers/{}/*/*.parquet", tier.name())))
    {
        assert_eq!(python(TOLD, &[Path::new(&dir.path().join(&glob))]), told, "{glob}");
    }
}
