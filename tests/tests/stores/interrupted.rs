//! What is left of a copy that was killed.

use std::time::Duration;

use tests::binary::eventually;
use tests::clickhouse::Fault;

use crate::command::{judged, judged_by, migrated, says, started, stored};
use crate::copied::some;

const PATIENCE: Duration = Duration::from_mins(1);
/// A slice, so that a copy has many.
const SLICE: &str = "200";

#[test]
fn a_copy_that_is_killed_and_started_again_has_no_row_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    stored(&path("first"), &some(600), 400);
    let expected = judged(&path("first"));
    let engine = migrated();
    let held = |text: &str, before: u32| {
        let text = text.to_owned();
        engine.fault(&Fault { text: text.clone(), times: before, ..Fault::default() });
        engine.fault(&Fault { text, times: 1, hold: true, ..Fault::default() });
    };

    // The server has all of a block and begins with it only later, when it is there already.
    held("INSERT INTO", 2);
    let arguments = ["import", "--from", &text("first"), "--to", &engine.url(), "--slice", SLICE];
    let mut killed = started(&arguments);
    assert!(eventually(PATIENCE, || engine.stats().held == 1));
    killed.kill().expect("it runs");
    killed.wait().expect("its end");
    let there = engine.number("SELECT count() FROM flows");
    assert!((1..602).contains(&there), "{there}");
    let told = says(&arguments, true);
    let new = 602 - there;
    assert_eq!(told, format!("{new} rows copied, {there} were there already\n"));
    let inserts = engine.stats().inserts.len();
    engine.release();
    assert!(eventually(PATIENCE, || engine.stats().inserts.len() > inserts), "it is done now");
    assert_eq!(judged_by(&engine, folder.path()), expected);

    engine.heal();
    // Into files, killed while rows come.
    held(" AS e, ", 3);
    let arguments = ["import", "--from", &engine.url(), "--to", &text("second"), "--slice", SLICE];
    let mut killed = started(&arguments);
    assert!(eventually(PATIENCE, || engine.stats().held == 1));
    killed.kill().expect("it runs");
    killed.wait().expect("its end");
    engine.release();
    let there = judged(&path("second"));
    let (there, _) = there.split_once(' ').expect("a number");
    let there: u64 = there.parse().expect("a number");
    assert!((1..602).contains(&there), "{there}");
    let told = says(&arguments, true);
    assert_eq!(told, format!("{} rows copied, {there} were there already\n", 602 - there));
    assert_eq!(judged(&path("second")), expected);
}
