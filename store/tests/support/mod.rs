//! Records for tests, made through the table of fields so that every column is covered.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use flow::{Access, Field, FlowRecord, Name, Uid};
use store::{Reader, Row};

/// Later times than the year 9999 are stored as its end.
const TIMES: u64 = 253_402_300_800_000;

/// A record whose columns are made of `seeds`, one each.
pub(crate) fn record_of(seeds: &[u64]) -> FlowRecord {
    let mut record = FlowRecord::default();
    for (field, &seed) in Field::columns().zip(seeds) {
        let [low, high, ..] = seed.to_le_bytes();
        match field.access {
            Access::U8 { set, .. } => set(&mut record, low),
            Access::U16 { set, .. } => set(&mut record, u16::from_le_bytes([low, high])),
            Access::U32 { set, .. } => set(&mut record, u32::from_le_bytes([low, high, 0, low])),
            Access::U64 { set, .. } => set(&mut record, seed),
            Access::Milliseconds { set, .. } => set(&mut record, seed % TIMES),
            Access::Seconds { .. } => (),
            Access::Ip { set, .. } => set(&mut record, address(seed)),
            Access::Name { set, .. } | Access::Labels { set, .. } => set(&mut record, name(seed)),
            Access::Uuid { set, .. } => {
                let uid = Uid((u128::from(seed) << 60).to_be_bytes());
                set(&mut record, (seed % 3 > 0).then_some(uid));
            }
        }
    }
    record
}

fn address(seed: u64) -> Option<IpAddr> {
    let [a, b, c, d, ..] = seed.to_be_bytes();
    match seed % 3 {
        0 => None,
        1 => Some(Ipv4Addr::new(a, b, c, d).into()),
        _ => Some(Ipv6Addr::from(u128::from(seed) << 60).into()),
    }
}

/// One of a few names, often the empty one, sometimes one that is awkward.
fn name(seed: u64) -> Name {
    match seed % 7 {
        0..3 => Name::default(),
        3 => "naïve \u{0} \"pod\"\n".into(),
        _ => format!("name-{}", seed % 101).as_str().into(),
    }
}

/// Record `index` of a sequence in which flows have several records each.
pub(crate) fn record(index: u64) -> FlowRecord {
    let seeds: Vec<u64> = (0..Field::columns().count() as u64)
        .map(|column| (index * 131 + column).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24)
        .collect();
    FlowRecord { flow_id: 1 + index % 7, end_ms: 1_000 + index, ..record_of(&seeds) }
}

pub(crate) fn records(range: std::ops::Range<u64>) -> Vec<FlowRecord> {
    range.map(record).collect()
}

/// All rows of a store, the oldest file's first.
pub(crate) fn rows(dir: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    Reader::open(dir).unwrap().rows(|row| rows.push(row)).unwrap();
    rows
}

/// All finished files of a store.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.join("flows")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// What a script in Python prints, whose libraries share no code with ours.
pub(crate) fn python(script: &str, arguments: &[&Path]) -> String {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-venv");
    let venv = std::env::var_os("FYKE_TEST_VENV").map_or_else(default, PathBuf::from);
    // Python looks for its packages beside the path it was started by, which must be a plain one.
    let venv = venv.canonicalize().unwrap_or(venv);
    let python = venv.join("bin/python3");
    assert!(
        python.exists(),
        "this test needs pyarrow and duckdb in {}; `cargo xtask setup` installs them",
        venv.display()
    );
    let output = Command::new(python).args(["-c", script]).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Prints the number of rows, each number column's sum modulo 2^64, each text column's length.
pub(crate) const SUMS: &str = r#"
import sys
import pyarrow as pa, pyarrow.dataset as ds
table = ds.dataset(sys.argv[1], format="parquet").to_table()
print("rows", table.num_rows)
for field in table.schema:
    values = table[field.name].to_pylist()
    if pa.types.is_timestamp(field.type):
        assert str(field.type) == "timestamp[ms, tz=UTC]", field
        values = table[field.name].cast(pa.int64()).to_pylist()
    if pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type):
        print(field.name, sum(values) % 2**64)
    else:
        print(field.name, sum(len(v.encode()) for v in values if v is not None))
"#;

/// What [`SUMS`] prints of rows with these records and times of insertion.
pub(crate) fn sums(records: &[FlowRecord], inserted: impl Fn(usize) -> u64) -> String {
    let mut lines = format!("rows {}\n", records.len());
    let mut line = |name: &str, values: &mut dyn Iterator<Item = u64>| {
        writeln!(lines, "{name} {}", values.fold(0, u64::wrapping_add)).unwrap();
    };
    line(store::TIME_INSERTED, &mut (0..records.len()).map(inserted));
    for Field { name, access, .. } in Field::columns() {
        let value = |record: &FlowRecord| match access {
            Access::U8 { get, .. } => get(record).into(),
            Access::U16 { get, .. } => get(record).into(),
            Access::U32 { get, .. } => get(record).into(),
            Access::U64 { get, .. } | Access::Milliseconds { get, .. } => get(record),
            Access::Seconds { get, .. } => get(record).into(),
            Access::Ip { get, .. } => get(record).map_or(0, |ip| ip.to_string().len() as u64),
            Access::Uuid { get, .. } => get(record).map_or(0, |_| 36),
            Access::Name { get, .. } | Access::Labels { get, .. } => get(record).len() as u64,
        };
        line(name, &mut records.iter().map(value));
    }
    lines
}
