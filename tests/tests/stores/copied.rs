//! Rows in other stores, and in files.

use std::process::Output;

use store::Row;
use tests::clickhouse::{Engine, PASSWORD, antrea_table};

use crate::command::{fyke, judged, judged_by, migrated, python, says, stored};
use crate::dice::Dice;
use crate::rows;

/// Random ones, over some hours, of which some are alike in everything.
pub(crate) fn some(count: u64) -> Vec<Row> {
    let mut rows = rows::random(&mut Dice::new(12), count);
    for (row, number) in rows.iter_mut().zip(0_u64..) {
        row.inserted_ms += number % 5 * 3_600_000;
    }
    rows.extend(vec![rows[7].clone(); 2]);
    rows[9].record.end_ms = 0; // it is not told
    rows
}

/// `N rows copied, M were there already`, of a copy in slices of 300 rows.
#[track_caller]
fn copied(from: &str, to: &str, new: u64, same: u64) {
    let told = says(&["import", "--from", from, "--to", to, "--slice", "300"], true);
    assert_eq!(told, format!("{new} rows copied, {same} were there already\n"), "{from} {to}");
}

#[test]
fn rows_go_from_any_store_to_any_other_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    let rows = some(600);
    let all = rows.len() as u64;
    stored(&path("first"), &rows, 400);
    let expected = judged(&path("first"));
    assert!(expected.starts_with("602 "), "{expected}");

    let engine = migrated();
    copied(&text("first"), &engine.url(), all, 0);
    assert_eq!(judged_by(&engine, folder.path()), expected, "as the engine says");
    copied(&text("first"), &engine.url(), 0, all);
    copied(&engine.url(), &text("second"), all, 0);
    assert_eq!(judged(&path("second")), expected, "as pyarrow reads it");
    copied(&engine.url(), &text("second"), 0, all);
    // Whichever way they are sorted and merged.
    says(&["compact", "--data", &text("second")], true);
    copied(&text("first"), &text("second"), 0, all);

    for (name, from) in [
        ("rows.parquet", text("first")),
        ("rows.csv", engine.url()),
        ("rows.jsonl", text("second")),
    ] {
        for _ in 0..2 {
            let told = says(&["export", "--from", &from, "--to", &text(name)], true);
            assert_eq!(told, format!("602 rows in {}\n", text(name)));
        }
        assert_eq!(judged(&path(name)), expected, "{name}");
        copied(&text(name), &format!("{}.store", text(name)), all, 0);
        assert_eq!(judged(&path(&format!("{name}.store"))), expected, "back from {name}");
        copied(&text(name), &engine.url(), 0, all);
    }
    // A directory of Parquet files, as S3 has them.
    copied(&folder.path().to_string_lossy(), &text("second"), 0, all);
    assert_eq!(engine.number("SELECT count() FROM flows"), all);

    only_some_are_copied(&engine, &text("first"), &text("some"));
    what_cannot_be_is_refused(&engine, &text("first"), folder.path());
}

fn only_some_are_copied(engine: &Engine, from: &str, to: &str) {
    let asked = ["--namespace", "shop", "--where", "sourcePodName=web*", "--since"];
    let times = ["2023-11-14T22:20:00Z", "--until", "2023-11-14T23:00:00Z"];
    let place = ["import", "--from", from, "--to", to];
    let told = says(&[&place[..], &asked, &times].concat(), true);
    let expected = engine.number(
        "SELECT count() FROM flows WHERE sourcePodName LIKE 'web%' \
         AND 'shop' IN (sourcePodNamespace, destinationPodNamespace) \
         AND flowEndMilliseconds >= toDateTime64('2023-11-14 22:20:00', 3, 'UTC') \
         AND flowEndMilliseconds < toDateTime64('2023-11-14 23:00:00', 3, 'UTC')",
    );
    assert!(expected > 0, "{expected}");
    assert_eq!(told, format!("{expected} rows copied, 0 were there already\n"));
    let count = "import duckdb, sys; print(duckdb.sql(f\"SELECT count(*) FROM \
                 '{sys.argv[1]}/flows/*/*/*.parquet'\").fetchall()[0][0])";
    assert_eq!(python(count, &[to.as_ref()]), format!("{expected}\n"));
}

fn what_cannot_be_is_refused(engine: &Engine, from: &str, folder: &std::path::Path) {
    engine.ask("CREATE DATABASE antrea");
    engine.ask(&antrea_table("antrea.flows"));
    let place = ["import", "--from", from, "--to", &engine.url()];
    let refused = says(&[&place[..], &["--database", "antrea"]].concat(), false);
    assert!(refused.contains("fyke clickhouse migrate"), "{refused}");
    assert_eq!(engine.number("SELECT count() FROM antrea.flows"), 0);

    let file = folder.join("wrong.csv");
    let to = folder.join("third").to_string_lossy().into_owned();
    let path = file.to_str().expect("UTF-8");
    for (content, why) in [
        ("mood\ngood\n", "there is no column \"mood\""),
        ("sourceIP,flowId\n10.0.0.1,1\n10.0.0,2\n", "row 2: sourceIP cannot be \"10.0.0\""),
        ("flowType\n300\n", "row 1: flowType cannot have its value"),
    ] {
        std::fs::write(&file, content).expect("a file");
        let refused = says(&["import", "--from", path, "--to", &to], false);
        assert!(refused.contains(why), "{refused}");
    }
    std::fs::write(&file, format!("tcpState\n\"{}\"\n", "x".repeat(17 << 20))).expect("a file");
    let refused = says(&["import", "--from", path, "--to", &to], false);
    assert!(refused.contains("more than 16 MiB"), "{refused}");
    for wrong in ["mood=good", "flowId=x", "sourcePodLabels=x"] {
        says(&["export", "--from", from, "--to", path, "--where", wrong], false);
    }

    let mut command = fyke(&place);
    let Output { status, stderr, .. } =
        command.env("CH_PASSWORD", "a wrong one").output().expect("it runs");
    let errors = String::from_utf8_lossy(&stderr);
    assert!(!status.success() && !errors.contains("a wrong one"), "{errors}");
    assert!(errors.contains("CH_USERNAME and CH_PASSWORD"), "{errors}");
    assert!(!errors.contains(PASSWORD), "{errors}");
}
