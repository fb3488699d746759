//! Which files are looked into for an answer, as the kernel was asked for them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use store::{Row, Writer};
use tests::binary::built;

const HOUR: u64 = 3_600_000;
/// 2026-11-01T00:00:00Z, and so many hours from there.
const START: u64 = 1_793_491_200_000;
const HOURS: u64 = 30 * 24;

/// Two rows of each hour, a file each.
fn month() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::open(dir.path()).expect("a store");
    for hour in 0..HOURS {
        for inserted_ms in [START + hour * HOUR + 1, START + (hour + 1) * HOUR - 1] {
            let mut row = Row { inserted_ms, ..Row::default() };
            (row.record.start_ms, row.record.end_ms) = (inserted_ms - 1, inserted_ms);
            row.record.flow_id = hour;
            writer.append(&[row.record], inserted_ms).expect("there is room");
        }
        writer.flush().expect("files");
    }
    dir
}

/// The files of records, or sums of them, that `fyke` opens with these arguments.
fn opened(arguments: &[&str], folder: &Path) -> BTreeSet<PathBuf> {
    let log = folder.join("calls");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=open,openat,openat2", "-e", "signal=none", "-o"]);
    command.arg(&log).arg(built("fyke")).args(arguments);
    let output = command.output().expect("strace runs: `cargo xtask setup`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calls = std::fs::read_to_string(log).expect("what strace says");
    assert!(calls.contains("flows/2026-11-18"), "it sees what is done: {calls}");
    let paths = calls.lines().filter_map(|line| line.split('"').nth(1)).map(PathBuf::from);
    let files = paths.filter(|path| path.extension().is_some_and(|it| it == "parquet"));
    files.collect()
}

#[test]
fn an_hour_of_thirty_days_is_asked_for_without_a_look_at_another() {
    let dir = month();
    let data = dir.path().to_str().expect("UTF-8");
    let folder = tempfile::tempdir().expect("a folder");
    let hour = dir.path().join("flows/2026-11-18/07");
    let to = folder.path().join("rows.csv");
    let export = ["store", "export", "--from", data, "--to", to.to_str().expect("UTF-8")];
    let of_hour = ["--since", "2026-11-18T07:00:00Z", "--until", "2026-11-18T08:00:00Z"];
    let files = opened(&[&export[..], &of_hour].concat(), folder.path());
    assert!(files.len() == 1 && files.iter().all(|file| file.starts_with(&hour)), "{files:?}");
    let rows = std::fs::read_to_string(&to).expect("rows").lines().count();
    assert_eq!(rows, 1 + 2, "a header, and the rows of the hour");
    let all = opened(&export, folder.path());
    assert_eq!(all.len() as u64, HOURS, "who does not ask for an hour");
}
