//! Somebody else's reader must see what ours sees: a store is worth its disk only if `DuckDB`,
//! Spark or pandas can read it. Here `pyarrow` does, whose decoder shares no code with ours.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flow::{Access, Field, FlowRecord};
use store::Writer;
use support::records;
use tempfile::tempdir;

const NOW: u64 = 1_795_251_599_000;

/// Prints the number of rows, each number column's sum modulo 2^64, each text column's length.
const SCRIPT: &str = r#"
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

fn python() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-venv");
    let venv = std::env::var_os("FYKE_TEST_VENV").map_or_else(default, PathBuf::from);
    // Python looks for its packages beside the path it was started by, which must be a plain one.
    let venv = venv.canonicalize().unwrap_or(venv);
    let python = venv.join("bin/python3");
    assert!(
        python.exists(),
        "this test needs pyarrow in {}; install it with\n  python3 -m venv {0} && {0}/bin/pip install pyarrow",
        venv.display()
    );
    python
}

fn expected(records: &[FlowRecord]) -> String {
    let mut lines = format!("rows {}\n", records.len());
    let mut line = |name: &str, values: &mut dyn Iterator<Item = u64>| {
        writeln!(lines, "{name} {}", values.fold(0, u64::wrapping_add)).unwrap();
    };
    line(store::TIME_INSERTED, &mut records.iter().map(|_| NOW));
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

#[test]
fn pyarrow_reads_the_same_sums() {
    let dir = tempdir().unwrap();
    let records = records(0..3000);
    let mut writer = Writer::open(dir.path()).unwrap();
    for batch in records.chunks(1000) {
        writer.append(batch, NOW).unwrap();
        writer.flush().unwrap();
    }
    let output =
        Command::new(python()).args(["-c", SCRIPT]).arg(dir.path().join("flows")).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "is pyarrow installed in the venv?\n{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected(&records));
}
