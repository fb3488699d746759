//! A store that somebody looks after.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use store::{Tier, Writer};
use tests::binary::built;
use tests::clickhouse::{PASSWORD, USER};

use crate::command::{judged, migrated, python, says, stored};
use crate::dice::Dice;
use crate::rows;

/// Three days of hours, fifty small files.
fn store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let mut rows = rows::random(&mut Dice::new(11), 1_000);
    for (row, number) in rows.iter_mut().zip(0_u64..) {
        row.inserted_ms += number / 100 * 7 * 3_600_000;
    }
    stored(dir.path(), &rows, 20);
    dir
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.join("flows")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn inspected(dir: &str) -> serde_json::Value {
    serde_json::from_str(&says(&["inspect", "--data", dir, "-o", "json"], true)).expect("JSON")
}

/// As `head` does when it has its lines.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = store();
    let data = dir.path().to_str().expect("UTF-8");
    let damaged = store();
    let at_fault = damaged.path().to_str().expect("UTF-8");
    fs::write(&files(damaged.path())[7], "torn").expect("it is written");
    let to = dir.path().join("x.csv");
    let to = to.to_str().expect("UTF-8");
    let engine = migrated();
    for (arguments, is_good) in [
        // Nobody reads that something is wrong: it is nevertheless.
        (&["store", "verify", "--data", at_fault][..], false),
        (&["store", "export", "--from", at_fault, "--to", to], false),
        (&["clickhouse", "diff", "--url", &engine.url(), "--ttl", "7d"], false),
        (&["clickhouse", "watch", "--url", &engine.url(), "--max-bytes", "1"], false),
        (&["store", "inspect", "--data", data], true),
        (&["store", "verify", "--data", data], true),
        (&["flows", "--data", data], true),
        (&["flows", "--data", data, "-o", "json"], true),
        (&["flows", "--data", data, "-o", "csv"], true),
        (&["clickhouse", "status", "--url", &engine.url()], true),
        (&["clickhouse", "status", "--url", "http://127.0.0.1:1"], false),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(built("fyke"));
        command.args(arguments).env("CH_USERNAME", USER).env("CH_PASSWORD", PASSWORD);
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().expect("it runs");
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.success(), is_good, "{arguments:?}: {errors}");
        assert!(!is_good || !errors.contains("reads"), "{errors}");
    }
}

#[test]
fn a_store_is_inspected_and_made_smaller() {
    let dir = store();
    let data = dir.path().to_str().expect("UTF-8");
    let before = judged(dir.path());
    assert!(before.starts_with("1000 "), "{before}");

    let found = inspected(data);
    let raw = &found["tiers"][Tier::Raw as usize];
    assert_eq!((&raw["files"], &raw["rows"]), (&50.into(), &1000.into()));
    let bytes: u64 = files(dir.path()).iter().map(|it| fs::metadata(it).expect("it").len()).sum();
    assert_eq!(raw["bytes"], bytes);
    // By DuckDB, not by us.
    let ends = "import duckdb, sys; print(*duckdb.sql(f\"SELECT epoch_ms(min(flowEndMilliseconds)), \
                epoch_ms(max(flowEndMilliseconds)) FROM '{sys.argv[1]}/flows/*/*/*.parquet'\")\
                .fetchall()[0])";
    let told = format!("{} {}\n", raw["firstEnd"], raw["lastEnd"]);
    assert_eq!(told, python(ends, &[dir.path()]));
    assert_eq!(found["partitions"].as_array().expect("them").len(), 10);
    let table = says(&["inspect", "--data", data], true);
    assert_eq!(table.lines().count(), 1 + 10 + 4, "{table}");
    assert!(table.contains("2023-11-14T22:00  raw         5           100"), "{table}");

    let writer = Writer::open(dir.path()).expect("nobody else writes");
    for command in [&["compact", "--data", data][..], &["verify", "--fix", "--data", data]] {
        let refused = says(command, false);
        assert!(refused.contains("another process writes to the store"), "{refused}");
    }
    drop(writer);
    let told = says(&["compact", "--data", data], true);
    assert!(told.contains(" 0 damaged files set aside\nnow "), "{told}");
    assert_eq!(inspected(data)["tiers"][0]["files"], 10);
    assert!(inspected(data)["tiers"][1]["rows"].as_u64() > Some(0), "hours that are over");
    assert_eq!(judged(dir.path()), before, "nothing is lost");
    let nothing = says(&["compact", "--data", data], true);
    assert!(nothing.starts_with("0 files became 0; 0 files of sums made"), "{nothing}");
    let whole = says(&["verify", "--data", data], true);
    assert!(whole.contains(" rows, 0 of them at fault"), "{whole}");
}

#[test]
fn what_is_torn_is_named_and_set_aside() {
    let dir = store();
    let data = dir.path().to_str().expect("UTF-8");
    let files = files(dir.path());
    // Where a page begins tells pyarrow.
    let page = "import sys, pyarrow.parquet as p; c = p.ParquetFile(sys.argv[1]).metadata\
                .row_group(0).column(5); print(c.dictionary_page_offset or c.data_page_offset)";
    let page: usize = python(page, &[&files[3]]).trim().parse().expect("a number");
    let mut bytes = fs::read(&files[3]).expect("a file");
    bytes[page..page + 8].fill(0xff);
    fs::write(&files[3], &bytes).expect("a file");
    let bytes = fs::read(&files[30]).expect("a file");
    fs::write(&files[30], &bytes[..bytes.len() / 2]).expect("a file");
    let end = bytes.len() / 2 - 8;

    let told = says(&["verify", "--data", data], false);
    let lines: Vec<_> = told.lines().collect();
    let torn = |file: &Path, at: usize| format!("{}: torn at byte {at}: ", file.display());
    assert!(lines[0].starts_with(&torn(&files[3], page)), "{told}");
    assert!(lines[1].starts_with(&torn(&files[30], end)), "{told}");
    assert_eq!(lines[2], "50 files with 960 rows, 2 of them at fault");

    // What is missing is not passed over in silence.
    let file = dir.path().join("rest.jsonl");
    let to = file.to_str().expect("UTF-8");
    let partly = says(&["export", "--from", data, "--to", to], false);
    assert!(partly.contains("all but the rows of files that cannot be read"), "{partly}");
    assert!(judged(&file).starts_with("960 "));

    assert!(says(&["verify", "--fix", "--data", data], true).ends_with("\n2 set aside\n"));
    assert!(says(&["verify", "--data", data], true).starts_with("48 files with 960 rows, 0 "));
    assert_eq!(inspected(data)["quarantined"].as_array().expect("them").len(), 2);
    assert_eq!(judged(dir.path()), judged(&file));
}
