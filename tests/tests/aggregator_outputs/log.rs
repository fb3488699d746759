//! The flow log, as Python reads it and logrotate puts it aside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flow::{Batch, FlowRecord, LogColumns};
use sinks::Sink;
use sinks::log::{Csv, Filter, Format, LogSink, Options, Rotation};

use super::{NOW_MS, V4, V6, aggregated, batch, python};

fn csv(path: PathBuf, columns: LogColumns, pretty: bool) -> Options {
    let format = Format::Csv(Csv { columns, pretty, quote: false });
    Options { path, rotation: None, format, filters: Vec::new() }
}

async fn log(sink: &mut LogSink, batch: &Batch) {
    sink.write(batch, NOW_MS).await.expect("there is room");
    sink.flush().await.expect("it is written");
}

/// The files were written by hand, column by column.
#[tokio::test]
async fn each_releases_log_has_its_columns() {
    for columns in LogColumns::ALL {
        for (pretty, form) in [(true, "pretty"), (false, "plain")] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("flows.log");
            let mut sink = LogSink::new(csv(path.clone(), columns, pretty));
            log(&mut sink, &batch()).await;
            let golden = format!("tests/aggregator_outputs/log-{}-{form}.csv", columns.release());
            let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
            let written = fs::read_to_string(path).expect("a file");
            assert_eq!(written, fs::read_to_string(&golden).expect("a file"), "{golden:?}");
        }
    }
}

/// Rows that a program which knows CSV reads as they were meant.
#[tokio::test]
async fn python_reads_values_that_are_quoted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("flows.log");
    let format = Format::Csv(Csv { columns: LogColumns::default(), pretty: true, quote: true });
    let mut sink =
        LogSink::new(Options { format, ..csv(path.clone(), LogColumns::default(), true) });
    let mut record = aggregated(V4[0], V4[1], V4[2]);
    record.exit.name = "a \"way\", out\nor so".into();
    log(&mut sink, &[record].into()).await;
    let script = "import csv, json, sys\n\
                  with open(sys.argv[1], newline='') as file:\n    \
                      print(json.dumps(list(csv.reader(file))))";
    let read = python(&["-c", script, path.to_str().expect("UTF-8")], b"");
    let rows: Vec<Vec<String>> = serde_json::from_str(&read).expect("JSON");
    assert_eq!((rows.len(), rows[0].len()), (1, 30));
    assert_eq!(rows[0][27], "a \"way\", out\nor so");
    assert_eq!(rows[0][29], "node-c");
}

#[tokio::test]
async fn filters_choose_by_the_actions_of_both_directions() {
    let record = |ingress, egress| {
        let mut record = FlowRecord::default();
        (record.ingress.action, record.egress.action) = (ingress, egress);
        record
    };
    let all: Batch = (0..4).flat_map(|i| (0..4).map(move |e| record(i, e))).collect();
    let filter = |ingress: &[u8], egress: &[u8]| Filter {
        ingress_actions: ingress.to_vec(),
        egress_actions: egress.to_vec(),
    };
    for (filters, told) in [
        (vec![], 16),
        (vec![Filter::default()], 16),
        (vec![filter(&[2, 3], &[])], 8),
        (vec![filter(&[2], &[0, 1])], 2),
        (vec![filter(&[2], &[]), filter(&[], &[2])], 7),
        (vec![filter(&[255], &[])], 0),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flows.log");
        let options = csv(path.clone(), LogColumns::default(), false);
        let mut sink = LogSink::new(Options { filters: filters.clone(), ..options });
        log(&mut sink, &all).await;
        let lines = fs::read_to_string(&path).unwrap_or_default().lines().count();
        assert_eq!(lines, told, "{filters:?}");
        assert_eq!(sink.counters().filtered.load(Ordering::Relaxed), 16 - told as u64);
    }
}

fn numbered(ports: std::ops::Range<u16>) -> Batch {
    let record = |port| {
        let mut record = aggregated(V6[0], V6[1], V6[2]);
        record.key.source_port = port;
        record
    };
    ports.map(record).collect()
}

/// The source ports of all files that begin with the same name, oldest first, as Python reads
/// them: each a CSV of whole rows, gzip or not.
fn ports(folder: &Path) -> Vec<u16> {
    let script = "import csv, glob, gzip, sys\n\
        names = glob.glob(sys.argv[1] + '/flows*')\n\
        names.sort(key=lambda name: (name.endswith('flows.log'), name))\n\
        for name in names:\n    \
            opened = gzip.open if name.endswith('.gz') else open\n    \
            with opened(name, 'rt', newline='') as file:\n        \
                for row in csv.reader(file):\n            \
                    assert len(row) == 30, row\n            \
                    print(row[4])";
    let read = python(&["-c", script, folder.to_str().expect("UTF-8")], b"");
    read.lines().map(|port| port.parse().expect("a port")).collect()
}

#[tokio::test]
async fn no_row_is_cut_or_lost_where_one_file_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("flows.log");
    let (max_size, compress) = (64 << 10, true);
    let rotation = Some(Rotation { max_size, max_backups: 0, max_age: None, compress });
    let mut sink =
        LogSink::new(Options { rotation, ..csv(path.clone(), LogColumns::default(), true) });
    for batch in 0..5 {
        log(&mut sink, &numbered(batch * 1000..(batch + 1) * 1000)).await;
        assert!(fs::metadata(&path).expect("a file").len() <= max_size);
    }
    let counters = sink.counters();
    let rotated = counters.rotated.load(Ordering::Relaxed);
    assert!(rotated > 10, "{rotated} files were put aside");
    // Threads compress in their own time. One that is asked for while another begins does what is
    // left; the last file is there for certain when as many are compressed as were put aside.
    let deadline = Instant::now() + Duration::from_secs(20);
    while counters.compressed.load(Ordering::Relaxed) < rotated {
        assert!(Instant::now() < deadline, "{counters:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ports(folder.path()), (0..5000).collect::<Vec<_>>());
}

/// Two ways logrotate has: renaming, and copying what is then cut.
#[tokio::test]
async fn a_log_that_logrotate_has_put_aside_goes_on_in_a_new_file() {
    let logrotate = ["/usr/sbin/logrotate", "/usr/bin/logrotate"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("logrotate is missing: run `cargo xtask setup` or `apt-get install logrotate`");
    for way in ["nocreate", "create", "copytruncate"] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flows.log");
        let mut sink = LogSink::new(csv(path.clone(), LogColumns::default(), true));
        let config = folder.path().join("logrotate.conf");
        let rules = format!(
            "\"{}\" {{\n rotate 9\n dateext\n dateformat -%s\n extension .log\n {way}\n}}\n",
            path.display()
        );
        fs::write(&config, rules).expect("a file");
        // It reads nothing that others might write.
        Command::new("chmod").arg("0600").arg(&config).status().expect("it runs");
        for round in 0..3 {
            log(&mut sink, &numbered(round * 10..(round + 1) * 10)).await;
            if round == 2 {
                break;
            }
            // What is put aside is named by the second, of which there is one file at most.
            let aside = || {
                let names = fs::read_dir(folder.path()).expect("a folder");
                let names = names.map(|entry| entry.expect("an entry").file_name());
                names.filter(|name| name.to_string_lossy().starts_with("flows-")).count()
            };
            let (before, deadline) = (aside(), Instant::now() + Duration::from_secs(20));
            while aside() == before {
                assert!(Instant::now() < deadline, "{way}: nothing was put aside");
                let rotated = Command::new(logrotate)
                    .arg("--force")
                    .arg("--state")
                    .arg(folder.path().join("state"))
                    .arg(&config)
                    .output()
                    .expect("it starts");
                drop(rotated);
            }
        }
        assert_eq!(ports(folder.path()), (0..30).collect::<Vec<_>>(), "{way}");
    }
}
