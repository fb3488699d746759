//! Somebody else's reader must see what ours sees: a store is worth its disk only if `DuckDB`,
//! Spark or pandas can read it. Here `pyarrow` and `DuckDB` do, which share no code with ours.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use store::Writer;
use support::{SUMS, python, records, sums};
use tempfile::tempdir;

const NOW: u64 = 1_795_251_599_000;

#[test]
fn pyarrow_reads_the_same_sums() {
    let dir = tempdir().unwrap();
    let records = records(0..3000);
    let mut writer = Writer::open(dir.path()).unwrap();
    for batch in records.chunks(1000) {
        writer.append(batch, NOW).unwrap();
        writer.flush().unwrap();
    }
    let told = python(SUMS, &[&dir.path().join("flows")]);
    assert_eq!(told, sums(&records, |_| NOW));
}
