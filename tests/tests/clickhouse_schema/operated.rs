//! A database that somebody looks after, by the command line.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tests::binary::{built, eventually, signal};
use tests::clickhouse::{Engine, Fault, PASSWORD, USER};

use crate::Database;

fn fyke(engine: &Engine, arguments: &str) -> Output {
    asked(engine, arguments).output().unwrap()
}

fn asked(engine: &Engine, arguments: &str) -> Command {
    command(&format!("{arguments} --database operated --url {}", engine.url()))
}

fn plain(arguments: &str) -> Output {
    command(arguments).output().unwrap()
}

fn command(arguments: &str) -> Command {
    let mut command = Command::new(built("fyke"));
    command.args(["clickhouse"]).args(arguments.split(' '));
    command.env("CH_USERNAME", USER).env("CH_PASSWORD", PASSWORD);
    command
}

/// What it says, if it ends as it should.
fn says(output: Output, is_good: bool) -> String {
    let (out, errors) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    assert_eq!(output.status.success(), is_good, "{out:?} {errors:?}");
    out.unwrap()
}

/// Also by somebody else than us: the statements alone make what we find complete.
#[test]
fn what_is_printed_is_what_a_new_database_wants() {
    let engine = Engine::shared();
    let printed = says(plain("migrate --print --database printed --ttl 12h"), true);
    let statements: Vec<_> = printed.split_terminator(";\n\n").collect();
    assert!(statements.len() > 25, "{printed}");
    for statement in statements {
        engine.ask(statement);
    }
    let url = engine.url();
    let diff = format!("diff --database printed --ttl 12h --url {url}");
    assert_eq!(says(plain(&diff), true), "");
}

/// What an aggregator is told is enough, and what is said beside it goes before it.
#[test]
fn a_configuration_says_which_database() {
    let engine = Engine::shared();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow-aggregator.conf");
    let url = engine.url();
    let text =
        format!("clickHouse: {{enable: true, database: configured, databaseURL: '{url}'}}\n");
    std::fs::write(&path, text).unwrap();
    let config = path.to_str().unwrap();
    assert!(says(plain(&format!("migrate --config {config}")), true).contains("made: flows,"));
    assert_eq!(says(plain(&format!("diff --config {config}")), true), "");
    let other = format!("migrate --config {config} --database other --print");
    assert!(says(plain(&other), true).starts_with("CREATE DATABASE IF NOT EXISTS `other`;\n"));
    let tables = "SELECT DISTINCT database FROM system.tables WHERE name = 'flows' \
                  AND database IN ('configured', 'other')";
    assert_eq!(engine.ask(tables), "configured\n");
    std::fs::write(&path, "clickHouse: {enable: true, databaseURL: nowhere}\n").unwrap();
    let refused = plain(&format!("migrate --config {config}"));
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && errors.contains("databaseURL"), "{errors}");
}

#[test]
fn a_database_is_looked_after() {
    let engine = Engine::shared();
    let database = Database::new(&engine, "operated");
    assert!(says(fyke(&engine, "diff"), false).contains("flows: missing; should be a table\n"));
    assert!(says(fyke(&engine, "migrate --ttl 400d --ttl-1m 400d"), true).contains("made: flows,"));
    assert_eq!(says(fyke(&engine, "diff --ttl 400d"), true), "");
    assert_eq!(says(fyke(&engine, "migrate"), true), "nothing to do\n");
    let other = says(fyke(&engine, "diff --ttl 12h --json"), false);
    assert!(other.contains(r#""expected":"timeInserted + toIntervalHour(12)""#), "{other}");
    for days in [0, 1, 2] {
        database.ask(&format!(
            "INSERT INTO DB.flows (timeInserted, flowEndSeconds, octetDeltaCount) SELECT \
             now() - {days} * 86400, now() - {days} * 86400, rand() FROM numbers(240)"
        ));
    }
    let status = says(fyke(&engine, "status --json"), true);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let tables = status["tableInfo"].as_array().unwrap();
    let flows = tables.iter().find(|it| it["TableName"] == "flows").unwrap();
    let columns =
        "SELECT count() FROM system.columns WHERE database = 'operated' AND table = 'flows'";
    assert_eq!(flows["TotalRows"], "720");
    assert_eq!(flows["TotalCols"], database.number(columns).to_string());
    assert_eq!(flows["Parts"], "3");
    assert_eq!(status["insertRate"][0]["RowsPerSecond"], "2");
    assert_eq!(status["diskInfo"].as_array().unwrap().len(), 1);
    assert!(status.get("stackTraces").is_none());
    let shown = says(fyke(&engine, "status --tableInfo --insertRate"), true);
    assert!(shown.starts_with("Shard  DatabaseName  TableName") && shown.contains("RowsPerSecond"));
    assert!(
        says(fyke(&engine, "status --stackTrace"), true).starts_with("Row 1:\nShard: 1\nThreads: ")
    );
    too_large(&engine, &database);
}

/// The oldest of flows goes first, then the finest sums, and today stays.
fn too_large(engine: &Engine, database: &Database<'_>) {
    let size = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'operated'";
    assert_eq!(says(fyke(engine, "watch --once --keep-free 0 --max-bytes 1GiB"), true), "");
    let most = database.number(size) - 1;
    let day = |days: u32| {
        database.ask(&format!("SELECT toYYYYMMDD(now() - {days} * 86400, 'UTC')")).trim().to_owned()
    };
    let (oldest, today) = (day(2), day(0));
    // As a server that guards what is larger than 50 GB says it.
    let guarded =
        Fault { text: "DROP PARTITION".into(), times: 1, code: Some(359), ..Fault::default() };
    engine.fault(&guarded);
    let told = says(fyke(engine, &format!("watch --once --keep-free 0 --max-bytes {most}")), true);
    assert!(told.starts_with(&format!("dropped {oldest} of flows: ")), "{told}");
    assert_eq!(told.lines().count(), 1);
    assert_eq!(database.number("SELECT count() FROM DB.flows"), 480);
    assert_eq!(database.number("SELECT sum(records) FROM DB.flows_node_1h"), 720);
    // What is gone is told, though the next cannot be dropped.
    let passing = Fault { text: "DROP PARTITION".into(), times: 1, ..Fault::default() };
    engine.fault(&passing);
    engine.fault(&Fault { code: Some(81), ..passing });
    let told = says(fyke(engine, "watch --once --keep-free 0 --max-bytes 1"), false);
    assert!(told.starts_with(&format!("dropped {} of flows: ", day(1))), "{told}");
    assert_eq!(told.lines().count(), 1);
    let told = says(fyke(engine, "watch --once --keep-free 0 --max-bytes 1"), true);
    assert!(told.lines().last().unwrap().contains("bytes more than 1 are left"), "{told}");
    let order: Vec<_> = told.lines().filter_map(|line| line.split(' ').nth(3)).collect();
    assert!(order[0] == "flows_pod_1m:" && order.len() > 9, "{order:?}");
    let left = "SELECT DISTINCT partition_id FROM system.parts WHERE active AND \
                database = 'operated' AND table LIKE 'flows%'";
    assert_eq!(database.ask(left), format!("{today}\n"));
    let last = "SELECT count() FROM DB.flows";
    assert_eq!(database.number(last), 240);
    again_and_again(engine, database, &day(1));
}

/// What comes between two rounds goes with the second.
fn again_and_again(engine: &Engine, database: &Database<'_>, yesterday: &str) {
    let flows = format!(
        "SELECT count() FROM system.parts WHERE active AND database = 'operated' \
         AND table = 'flows' AND partition_id = '{yesterday}'"
    );
    let arguments = "watch --keep-free 0 --max-bytes 1 --interval 1s";
    let watch = asked(engine, arguments).stdout(Stdio::piped()).spawn().unwrap();
    for _ in 0..2 {
        database.ask("INSERT INTO DB.flows (timeInserted) VALUES (now() - 86400)");
        let is_gone = || database.number(&flows) == 0;
        assert!(eventually(Duration::from_mins(1), is_gone), "{yesterday} is still there");
    }
    signal(watch.id(), "TERM");
    let told = says(watch.wait_with_output().unwrap(), true);
    let dropped = format!("dropped {yesterday} of flows: ");
    assert_eq!(told.lines().filter(|line| line.starts_with(&dropped)).count(), 2, "{told}");
}
