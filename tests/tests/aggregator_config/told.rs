use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::binary::built;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configuration/aggregator")
}

/// Runs where the files are, so that messages name them without a path.
fn aggregator(folder: &Path, arguments: &[&str]) -> Command {
    let mut fyke = Command::new(built("fyke"));
    fyke.current_dir(folder).arg("aggregator").args(arguments);
    for variable in ["POD_NAMESPACE", "CH_USERNAME", "CH_PASSWORD", "AWS_ACCESS_KEY_ID"] {
        fyke.env_remove(variable);
    }
    fyke
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    aggregator(folder, arguments).output().expect("fyke runs")
}

fn golden(name: &str, told: &[u8]) {
    let told = std::str::from_utf8(told).expect("UTF-8");
    let path = folder().join(name);
    if std::env::var_os("FYKE_BLESS").is_some() {
        fs::write(&path, told).expect("a golden file");
    }
    assert_eq!(told, fs::read_to_string(path).expect("a golden file"), "{name}");
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn every_mistake_is_told_at_once() {
    let checked = run(&folder(), &["--config", "mistakes.conf", "--check-config"]);
    golden("mistakes.txt", &checked.stderr);
    assert_eq!((checked.status.code(), text(&checked.stdout)), (Some(1), ""));
    // A start is refused with the same words.
    let started = run(&folder(), &["--config", "mistakes.conf"]);
    golden("mistakes.txt", &started.stderr);
    assert_eq!(started.status.code(), Some(1));
}

#[test]
fn what_antreas_chart_makes_is_good_as_it_is() {
    let checked = run(&folder(), &["--config", "antrea.conf", "--check-config"]);
    assert_eq!((checked.status.code(), text(&checked.stderr)), (Some(0), ""));
    assert_eq!(text(&checked.stdout), "the configuration is good\n");
}

#[test]
fn the_configuration_in_force_is_shown_with_who_gave_it() {
    let more = ["--config", "antrea.conf", "--print-config", "--listen", "127.0.0.1:4739"];
    let mut fyke = aggregator(&folder(), &more);
    fyke.env("CH_USERNAME", "clickhouse_operator").env("CH_PASSWORD", "open sesame");
    fyke.env("POD_NAMESPACE", "visibility").env("AWS_SECRET_ACCESS_KEY", "open sesame");
    let printed = fyke.output().expect("fyke runs");
    assert_eq!((printed.status.code(), text(&printed.stderr)), (Some(0), ""));
    golden("print.yaml", &printed.stdout);
    assert!(!text(&printed.stdout).contains("sesame"));
    // What was printed can be used.
    let again = run(&folder(), &["--config", "print.yaml", "--print-config"]);
    assert_eq!((again.status.code(), text(&again.stderr)), (Some(0), ""));
    let values = |text: &str| {
        let plain = |line: &&str| !line.trim_start().starts_with('#');
        let value = |line: &str| line.split("  # ").next().unwrap_or_default().to_owned();
        text.lines().filter(plain).map(value).collect::<Vec<_>>()
    };
    assert_eq!(values(text(&again.stdout)), values(text(&printed.stdout)));
}

#[test]
fn the_shipped_file_is_good() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let checked = run(&shipped, &["--config", "flow-aggregator.conf", "--check-config"]);
    assert_eq!((checked.status.code(), text(&checked.stderr)), (Some(0), ""));
}

#[test]
fn an_unknown_key_fails_the_check_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("f"), "recordBuferSize: 1\n").expect("a file");
    let checked = run(folder.path(), &["--config", "f", "--check-config"]);
    let expected = "f:1:1: warning: recordBuferSize: unknown key; did you mean recordBufferSize?\n";
    assert_eq!((checked.status.code(), text(&checked.stderr)), (Some(1), expected));
    let printed = run(folder.path(), &["--config", "f", "--print-config"]);
    assert_eq!(printed.status.code(), Some(0));
    assert!(text(&printed.stdout).contains("recordBufferSize: 8192  # default\n"));
}

#[test]
fn what_antreas_manifests_say_of_the_log_is_no_mistake() {
    let logging = [
        "--logtostderr=false",
        "--log_dir=/var/log/antrea/flow-aggregator",
        "--alsologtostderr",
        "--log_file_max_size=100",
        "--log_file_max_num=4",
        "--v=0",
        "--check-config",
    ];
    let checked = run(&folder(), &[&["--config", "antrea.conf"], &logging[..]].concat());
    assert_eq!((checked.status.code(), text(&checked.stderr)), (Some(0), ""));
}

#[test]
fn without_certificates_nothing_is_served_that_needs_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let admin = tests::ports::free_port();
    let file = format!("kubernetes: off\nadminAddress: 127.0.0.1:{admin}\n");
    fs::write(folder.path().join("f"), file).expect("a file");
    let told = run(folder.path(), &["--config", "f"]);
    let words = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!(told.status.code(), Some(1), "{words}");
    assert!(words.contains("there is no certificate to take gRPC with"), "{words}");
}
