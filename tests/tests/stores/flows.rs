//! `fyke flows` says the same of a directory and of a server with the same rows.

use std::process::{Command, Output};

use flow::Side;
use store::Row;
use tests::binary::built;
use tests::clickhouse::{PASSWORD, USER};

use crate::command::{migrated, says, stored};
use crate::dice::Dice;
use crate::rows::{self, SINCE_MS};

/// Some records each of 150 flows, which began before all of them.
fn some() -> Vec<Row> {
    let mut rows = rows::random(&mut Dice::new(21), 600);
    for (row, number) in rows.iter_mut().zip(0..) {
        let record = &mut row.record;
        (record.flow_id, record.start_ms) = (1 + number * 7 % 150, SINCE_MS);
        record.end_ms = SINCE_MS + number * 11_000;
        let joined = &mut *record.joined;
        for side in [&mut joined.from_source, &mut joined.from_destination] {
            if side.end_ms == 0 {
                *side = Side::default(); // this Node has said nothing
            } else {
                (side.domain, side.flow_id, side.start_ms) = (7, record.flow_id, SINCE_MS);
            }
        }
    }
    rows
}

/// What is shown, and what is remarked.
#[track_caller]
fn shown(place: &str, args: &[&str]) -> (String, String) {
    let mut command = Command::new(built("fyke"));
    command.args(["flows", "--data", place]).args(args);
    command.env("CH_USERNAME", USER).env("CH_PASSWORD", PASSWORD);
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let [out, errors] = [stdout, stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    assert!(status.success(), "{args:?}: {errors}");
    let remarks = errors.lines().filter(|line| line.contains("--limit")).collect();
    (out, remarks)
}

#[test]
fn the_same_flows_are_shown_of_any_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().to_str().expect("UTF-8");
    stored(folder.path(), &some(), 100);
    let engine = migrated();
    says(&["import", "--from", dir, "--to", &engine.url()], true);
    let mut answers = 0;
    for args in [
        &["--limit", "0"][..],
        &[],
        &["--limit", "7", "-o", "csv"],
        &["--limit", "0", "-o", "json", "--namespace", "shop"],
        &["-o", "json", "--pod", "shop/shop-0"],
        &["-o", "json", "--service", "shop"],
        &["-o", "json", "--ip", "10.0.0.0/8", "--port", "443"],
        &["-o", "json", "--type", "inter-node"],
        &["-o", "json", "--where", "sourcePodName=web*", "--limit", "3"],
        &["-o", "json", "--where", "sourcePodName=nobody"],
    ] {
        let (files, server) = (shown(dir, args), shown(&engine.url(), args));
        assert_eq!(files, server, "{args:?}");
        answers += files.0.lines().count();
    }
    assert!(answers > 400, "hardly anything is shown: {answers}");
    let expected = engine.number("SELECT uniqExact(flowId) FROM flows WHERE flowType = 2");
    let found = shown(dir, &["--limit", "0", "--type", "inter-node"]).0.lines().count() - 1;
    assert_eq!(found as u64, expected);
    let sum = "SELECT least(sum(toUInt128(octetDeltaCount)), 18446744073709551615) \
               FROM flows WHERE flowId = 3";
    let args = ["-o", "json", "--limit", "0", "--where", "flowId=3"];
    let flow: serde_json::Value = serde_json::from_str(&shown(dir, &args).0).expect("one flow");
    assert_eq!(flow["octetDeltaCount"].as_u64(), Some(engine.number(sum)));
}
