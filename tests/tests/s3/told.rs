//! Rows, files and names.

use std::collections::HashSet;
use std::fs;

use flow::{Batch, S3Columns};
use sinks::s3::{Format, Naming, Options};
use sinks::{S3Sink, Sink};
use tests::records::{aggregated, record as plain};
use tests::s3::golden;

use super::{NOW_MS, batch, csv, moto, numbers, options};

/// Both families, a record that lacks most, and one with what would break a row.
fn mixed() -> Batch {
    let mut hostile = aggregated("10.10.0.2", "10.10.1.2", "10.96.0.10");
    hostile.source.labels = "{\"app\":\"it's\",\r\n\"b\":\"c\"}".into();
    hostile.ingress.rule = "'a,b\n\nc'd".into();
    [
        aggregated("10.10.0.2", "10.10.1.2", "10.96.0.10"),
        aggregated("fd00:10::2", "fd00:10:1::2", "fd00:96::a"),
        plain("10.10.0.2", "10.10.1.2"),
        hostile,
    ]
    .into()
}

async fn store(options: Options, batches: &[Batch]) -> S3Sink {
    let mut sink = S3Sink::new(options);
    for batch in batches {
        sink.write(batch, NOW_MS).await.expect("there is room");
    }
    sink.flush().await.expect("it is stored");
    sink
}

#[tokio::test]
async fn rows_are_antreas_octet_by_octet_in_each_releases_columns() {
    let judge = moto().judge();
    judge.make("rows");
    for columns in S3Columns::ALL {
        for compress in [false, true] {
            let prefix = format!("{}/{compress}", columns.release());
            let format = csv(columns, compress);
            let options = Options { format, prefix, ..options(&moto().endpoint(), "rows") };
            store(options, &[mixed()]).await;
        }
    }
    let texts = judge.texts("rows");
    assert_eq!(texts.len(), 12);
    for (key, text) in texts {
        let (release, _) = key.split_once('/').expect("a prefix");
        let expected = fs::read_to_string(golden(&format!("v{release}.csv"))).expect("a file");
        assert_eq!(text, expected, "{key}");
    }
    // As Snowflake and Python read them, with single quotes around.
    for object in judge.objects("rows").iter().filter(|object| object.key.starts_with("2.7/")) {
        let lengths: Vec<_> = object.rows.iter().map(Vec::len).collect();
        assert_eq!(lengths, [53; 4]);
        let labels: serde_json::Value = serde_json::from_str(&object.rows[3][40]).expect("JSON");
        assert_eq!(labels["app"], "it's");
    }
}

fn is_name(key: &str, extension: &str) -> bool {
    let name = key.strip_prefix("records-").and_then(|key| key.strip_suffix(extension));
    let is_character = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.is_some_and(|name| name.len() == 12 && name.bytes().all(is_character))
}

#[tokio::test]
async fn objects_are_cut_where_they_are_told_to_and_lack_nothing() {
    let judge = moto().judge();
    judge.make("cut");
    let batches: Vec<_> = (0..9).map(|at| batch(at * 300..(at + 1) * 300)).collect();
    let options = Options { max_records: 1000, ..options(&moto().endpoint(), "cut") };
    let sink = store(options, &batches).await;
    let objects = judge.objects("cut");
    let mut lengths: Vec<_> = objects.iter().map(|object| object.rows.len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [700, 1000, 1000]);
    assert_eq!(numbers(&objects), (0..2700).collect::<HashSet<_>>());
    assert!(objects.iter().all(|object| is_name(&object.key, ".csv.gz")), "{objects:?}");
    let counters = sink.counters();
    assert_eq!(counters.objects.load(std::sync::atomic::Ordering::Relaxed), 3);

    judge.make("long");
    let options = Options {
        max_bytes: 100_000,
        format: csv(S3Columns::V2_7, false),
        naming: Naming::Hive,
        prefix: "a/b".to_owned(),
        ..super::options(&moto().endpoint(), "long")
    };
    store(options, &batches).await;
    let objects = judge.objects("long");
    assert_eq!(numbers(&objects), (0..2700).collect::<HashSet<_>>());
    assert!(objects.len() > 2, "{}", objects.len());
    for object in &objects {
        let name = object.key.strip_prefix("a/b/date=2023-11-14/hour=22/");
        assert!(name.is_some_and(|name| is_name(name, ".csv")), "{}", object.key);
    }
}

#[tokio::test]
async fn an_object_is_due_when_its_first_record_is_old_enough() {
    let mut sink = S3Sink::new(options(&moto().endpoint(), "due"));
    moto().judge().make("due");
    assert!(!sink.due(NOW_MS));
    sink.write(&batch(0..1), NOW_MS).await.expect("there is room");
    sink.write(&batch(1..2), NOW_MS + 59_999).await.expect("there is room");
    assert!(!sink.due(NOW_MS + 59_999));
    assert!(sink.due(NOW_MS + 60_000));
    assert!(sink.due(NOW_MS - 60_000), "a clock that is set back delays nothing");
    sink.flush().await.expect("it is stored");
    assert!(!sink.due(NOW_MS + 600_000));
}

#[tokio::test]
async fn pyarrow_reads_parquet_as_it_reads_the_embedded_stores_files() {
    let judge = moto().judge();
    judge.make("columns");
    let format = Format::Parquet;
    let settings = options(&moto().endpoint(), "columns");
    let options = Options { format: format.clone(), max_records: 20_000, ..settings };
    let mut batches = vec![mixed()];
    batches.extend((0..30).map(|at| batch(at * 1000..(at + 1) * 1000)));
    store(options, &batches).await;
    let objects = judge.objects("columns");
    let mut lengths: Vec<_> = objects.iter().map(|object| object.rows.len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [10_004, 20_000]);
    let columns = &objects[0].columns;
    let at = |name: &str| columns.iter().position(|(column, _)| column == name).expect(name);
    let (source, port) = (at("sourceIP"), at("sourceTransportPort"));
    let all = objects.iter().flat_map(|object| &object.rows);
    let ends: HashSet<_> = all.map(|row| (&row[source], &row[port])).collect();
    // Three of the four mixed records have one source.
    assert_eq!(ends.len(), 30_002);
    let name = at("sourcePodLabels");
    let odd = objects.iter().flat_map(|object| &object.rows).find(|row| row[name].contains("it's"));
    assert_eq!(odd.expect("it is as it was")[name], "{\"app\":\"it's\",\r\n\"b\":\"c\"}");

    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = store::Writer::open(folder.path()).expect("a store");
    writer.append(&mixed(), NOW_MS).expect("there is room");
    writer.flush().expect("it is written");
    let script = "import pathlib, sys, pyarrow.parquet as p\n\
                  file = next(pathlib.Path(sys.argv[1]).rglob('*.parquet'))\n\
                  for field in p.read_table(file).schema: print(field.name, field.type, sep='|')";
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-venv/bin/python");
    let mut command = std::process::Command::new(python);
    let printed = command.args(["-c", script]).arg(folder.path()).output().expect("it runs").stdout;
    let printed = String::from_utf8(printed).expect("UTF-8");
    let embedded: Vec<_> = printed.lines().filter_map(|line| line.split_once('|')).collect();
    let stored: Vec<_> =
        columns.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    assert_eq!(stored, embedded);
}
