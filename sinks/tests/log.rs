//! The flow log when the disk is not what it should be.

use std::fs;
use std::process::Command;
use std::time::Duration;

use flow::{Batch, FlowRecord, LogColumns};
use sinks::log::{Csv, Format, LogSink, Options, Rotation};
use sinks::{Sink, SinkError};
use tokio::time::advance;

fn options(path: std::path::PathBuf) -> Options {
    let format = Format::Csv(Csv { columns: LogColumns::default(), pretty: true, quote: false });
    Options { path, rotation: None, format, filters: Vec::new() }
}

fn batch(records: usize) -> Batch {
    vec![FlowRecord::default(); records].into()
}

/// A pipe that nobody reads: opening it waits, as a server of files that is away makes it wait.
#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_costs_a_deadline_and_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows.log");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut sink = LogSink::new(options(path.clone()));
    sink.write(&batch(3), 0).await.unwrap();
    for _ in 0..2 {
        let hung = {
            let mut flush = std::pin::pin!(sink.flush());
            tokio::select! {
                biased;
                done = &mut flush => done,
                () = advance(Duration::from_secs(11)) => flush.await,
            }
        };
        let Err(SinkError::Unavailable(error)) = hung else { panic!("nobody reads") };
        assert!(error.to_string().contains("flows.log has taken nothing for 10s"), "{error}");
    }
    let reading = std::thread::spawn(move || fs::read_to_string(path).unwrap());
    sink.flush().await.unwrap();
    assert!(!sink.due(0));
    drop(sink);
    assert_eq!(reading.join().unwrap().lines().count(), 3, "each record once");
}

/// A folder that is away for a while, such as one of a volume that is mounted anew.
#[tokio::test]
async fn what_does_not_fit_a_file_waits_until_it_can_be_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/flows.log");
    let rotation = Rotation { max_size: 1000, max_backups: 0, max_age: None, compress: false };
    let mut sink = LogSink::new(Options { rotation: Some(rotation), ..options(path.clone()) });
    sink.write(&batch(5), 0).await.unwrap();
    sink.flush().await.unwrap();
    let moved = folder.path().join("away");
    fs::rename(path.parent().unwrap(), &moved).unwrap();
    sink.write(&batch(50), 0).await.unwrap();
    for _ in 0..3 {
        sink.flush().await.unwrap_err();
    }
    fs::rename(&moved, path.parent().unwrap()).unwrap();
    sink.flush().await.unwrap();
    let mut lines = 0;
    for file in fs::read_dir(path.parent().unwrap()).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(text.len() <= 1000 && text.ends_with('\n'));
        lines += text.lines().count();
    }
    assert_eq!(lines, 55, "each record once");
}
