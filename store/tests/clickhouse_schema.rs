//! What a database is made of, statement by statement.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

use std::fs;
use std::path::Path;

use store::clickhouse::schema::{Place, Retention, Schema};

fn check(name: &str, schema: &Schema) {
    let now = schema.statements().join(";\n\n") + ";\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/clickhouse").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let golden = fs::read_to_string(path).unwrap();
    assert_eq!(now, golden, "the schema changed; if on purpose, run with UPDATE_GOLDEN=1");
}

fn place(cluster: Option<&str>) -> Place {
    Place { database: "default".parse().unwrap(), cluster: cluster.map(|it| it.parse().unwrap()) }
}

#[test]
fn one_server() {
    check("one_server.sql", &Schema::new(place(None), Retention::default()));
}

#[test]
fn many_servers() {
    check("many_servers.sql", &Schema::new(place(Some("clickhouse")), Retention::default()));
}

#[test]
fn short_and_endless_times() {
    let retention = Retention {
        flows: "12h".parse().unwrap(),
        minutes: "90m".parse().unwrap(),
        five_minutes: "3601s".parse().unwrap(),
        hours: "forever".parse().unwrap(),
    };
    let schema = Schema::new(place(None), retention);
    let ends = |statement: &String| statement.split_once("TTL").map(|(_, end)| end.to_owned());
    let ends: Vec<_> = schema.statements().iter().filter_map(ends).take(3).collect();
    assert_eq!(
        ends,
        [
            " timeInserted + toIntervalHour(12)\nSETTINGS merge_with_ttl_timeout = 14400, \
             ttl_only_drop_parts = 0, materialize_ttl_recalculate_only = 1, \
             non_replicated_deduplication_window = 1000\nCOMMENT 'Fyke'",
            " timeInserted + toIntervalSecond(5400)\nSETTINGS merge_with_ttl_timeout = 5400, \
             ttl_only_drop_parts = 0, materialize_ttl_recalculate_only = 1, \
             non_replicated_deduplication_window = 1000\nCOMMENT 'Fyke'",
            " timeInserted + toIntervalSecond(3601)\nSETTINGS merge_with_ttl_timeout = 3601, \
             ttl_only_drop_parts = 0, materialize_ttl_recalculate_only = 1, \
             non_replicated_deduplication_window = 1000\nCOMMENT 'Fyke'",
        ]
    );
    assert!(!schema.roll_ups().last().unwrap().create().contains("TTL"));
}
