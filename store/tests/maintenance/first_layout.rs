//! Files of the layout before this one, whose names do not tell their rows and numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use store::query::{
    Answer, Function, GroupOrder, Grouping, Limits, Predicate, Query, Range, Value, Wanted,
};
use store::{AskOptions, Reader, Tier};
use tempfile::tempdir;

use crate::support::{self, files, python};
use crate::{DAY, HOUR, RUNNING, START, keeping, three_hours};

/// Writes a file as the first layout had it, by pyarrow: with the time of insertion, a sequence
/// number and a process in its name, and without columns that came later.
const FIRST_LAYOUT: &str = r#"
import os, sys
import pyarrow as pa, pyarrow.parquet as pq
hour, path = 1_795_248_000_000, f"{sys.argv[1]}/flows/2026-11-21/08"
os.makedirs(path, exist_ok=True)
time = pa.timestamp("ms", "UTC")
pq.write_table(pa.table({
    "timeInserted": pa.array([hour + 1000] * 60, time),
    "flowId": pa.array(range(60), pa.uint64()),
    "flowEndMilliseconds": pa.array([hour + n * 10 for n in range(60)], time),
    "sourcePodName": [f"web-{n % 3}" for n in range(60)],
    "octetDeltaCount": pa.array([100] * 60, pa.uint64()),
}), f"{path}/{hour + 1000}-000001-7.parquet", compression="zstd")
"#;

#[test]
fn files_of_the_first_layout_are_read_and_go_by_age() {
    let dir = tempdir().unwrap();
    let (writer, all) = three_hours(dir.path());
    python(FIRST_LAYOUT, &[dir.path()]);
    let is_first = |path: &PathBuf| path.to_string_lossy().ends_with("-000001-7.parquet");
    let first = files(dir.path()).into_iter().find(is_first).unwrap();
    let bytes = fs::read(&first).unwrap();
    let rows = || {
        let rows = support::rows(dir.path()).into_iter();
        let pods = rows.map(|row| row.record.source.pod.to_string());
        let mut found = BTreeMap::new();
        pods.for_each(|pod| *found.entry(pod).or_insert(0) += 1);
        let there = ["web-0", "web-1", "web-2"].map(|pod| found[pod]);
        (found.values().sum::<usize>(), there)
    };
    let ours = |name| all.iter().filter(|it| it.source.pod.as_str() == name).count();
    let expected = (all.len() + 60, ["web-0", "web-1", "web-2"].map(|name| ours(name) + 20));
    assert_eq!(rows(), expected);
    // It stays as it is: nothing tells of how many and which rows it is the whole.
    let mut maintenance = writer.maintenance(keeping(2, 9, 9)).unwrap();
    for hour in [4, 26, 27] {
        maintenance.pass(START + hour * HOUR, &RUNNING).unwrap();
        assert_eq!((rows(), fs::read(&first).unwrap()), (expected, bytes.clone()));
    }
    assert_eq!(files(dir.path()).len(), 4, "the others are merged, hour by hour");
    let whole = store::verify(dir.path(), |file| assert_eq!(file.fault, None));
    whole.unwrap();
    assert_eq!(sums_and_rest(dir.path()), [660; 4], "sums of the others, and its records");
    for hour in 27..60 {
        maintenance.pass(START + hour * HOUR, &RUNNING).unwrap();
    }
    assert!(!first.exists() && !first.parent().unwrap().exists());
}

/// How many rows the plainest question counts, by the sums of each tier.
fn sums_and_rest(dir: &Path) -> [u64; 4] {
    Tier::ALL.map(|tier| {
        let options = AskOptions { tier: Some(tier), ..AskOptions::default() };
        let range = Range { since_ms: 0, until_ms: START + 100 * DAY };
        let grouping = Grouping {
            keys: Vec::new(),
            aggregates: vec![Function::Count.into()],
            order: GroupOrder::Keys,
            limit: 1,
            others: false,
        };
        let query = Query {
            range,
            as_of_ms: None,
            filter: Predicate::TRUE,
            wanted: Wanted::Groups(grouping),
            limits: Limits::default(),
        };
        let Answer::Groups(groups) =
            Reader::open(dir).unwrap().ask(&query, &options).unwrap().answer
        else {
            unreachable!("groups were asked for")
        };
        let Value::Number(count) = groups.groups[0].values[0] else { unreachable!("a count") };
        count
    })
}
