//! What `fyke exporter` says about its configuration, as people and scripts see it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configuration").join(name)
}

/// Runs where the files are, so that messages name them without a path.
fn exporter(folder: &Path, arguments: &[&str]) -> Output {
    let mut fyke = Command::new(env!("CARGO_BIN_EXE_fyke"));
    fyke.current_dir(folder).env_remove("NODE_NAME").arg("exporter").args(arguments);
    fyke.output().expect("fyke runs")
}

const BOTH: [&str; 4] = ["--config", "flow-exporter.conf", "--agent-config", "antrea-agent.conf"];

fn golden(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect("a golden file")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn every_mistake_is_told_at_once() {
    let folder = folder("mistakes");
    let checked = exporter(&folder, &[&BOTH[..], &["--zone", "x", "--check-config"]].concat());
    assert_eq!(text(&checked.stderr), golden(&folder, "check.txt"));
    assert_eq!((checked.status.code(), text(&checked.stdout).as_str()), (Some(1), ""));
    // A start is refused with the same words.
    let started = exporter(&folder, &[&BOTH[..], &["--zone", "x"]].concat());
    assert_eq!(started.status.code(), Some(1));
    assert_eq!(text(&started.stderr), golden(&folder, "check.txt"));
}

#[test]
fn the_configuration_in_force_is_shown_with_who_gave_it() {
    let folder = folder("migrated");
    let more = ["--profile", "fyke", "--idle-timeout", "2s", "--print-config"];
    let mut fyke = Command::new(env!("CARGO_BIN_EXE_fyke"));
    fyke.current_dir(&folder).env("NODE_NAME", "node-7").arg("exporter").args(BOTH).args(more);
    let printed = fyke.output().expect("fyke runs");
    assert_eq!(text(&printed.stderr), golden(&folder, "notes.txt"));
    assert_eq!(text(&printed.stdout), golden(&folder, "print.yaml"));
    assert_eq!(printed.status.code(), Some(0));
}

#[test]
fn what_was_printed_can_be_used() {
    let printed = folder("migrated").join("print.yaml");
    let arguments = ["--config", printed.to_str().expect("a path"), "--print-config"];
    let again = exporter(&folder("migrated"), &arguments);
    let values = |text: &str| {
        let value = |line: &str| line.split("  # ").next().unwrap_or_default().to_owned();
        text.lines().map(value).collect::<Vec<_>>()
    };
    assert_eq!(values(&text(&again.stdout)), values(&golden(&folder("migrated"), "print.yaml")));
    assert_eq!((again.status.code(), text(&again.stderr).as_str()), (Some(0), ""));
}

#[test]
fn the_shipped_files_are_good() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let more = ["--node", "a", "--cluster", "c", "--collector", "c", "--check-config"];
    let checked = exporter(&shipped, &[&BOTH[..], &more].concat());
    assert_eq!((checked.status.code(), text(&checked.stderr).as_str()), (Some(0), ""));
    assert_eq!(text(&checked.stdout), "the configuration is good\n");
}

#[test]
fn a_doubt_fails_the_check_alone() {
    let folder = TempDir::new().expect("a folder");
    let agent = folder.path().join("antrea-agent.conf");
    std::fs::write(agent, "flowExporter: {flowPolInterval: 9s}\n").expect("a file");
    let needed = ["--node", "a", "--cluster", "c", "--collector", "c"];
    let with = |task| {
        let files = ["--agent-config", "antrea-agent.conf", task];
        exporter(folder.path(), &[&needed[..], &files].concat())
    };
    let (checked, printed) = (with("--check-config"), with("--print-config"));
    assert_eq!((checked.status.code(), printed.status.code()), (Some(1), Some(0)));
    assert_eq!(
        text(&checked.stderr),
        "antrea-agent.conf:1:16: warning: flowExporter.flowPolInterval: unknown key; \
         did you mean flowPollInterval?\n"
    );
    assert!(text(&printed.stdout).contains("flowPollInterval: 5s  # default\n"));
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let folder = TempDir::new().expect("a folder");
    let long = std::fs::File::create(folder.path().join("long")).expect("a file");
    long.set_len(1 << 30).expect("a file with a hole");
    std::fs::write(folder.path().join("deep"), "[".repeat(100_000)).expect("a file");
    let bomb = (1..60).fold(String::from("a0: &a0 [x]\n"), |bomb, level| {
        let below = format!("*a{}", level - 1);
        format!("{bomb}a{level}: &a{level} [{below}, {below}]\n")
    });
    std::fs::write(folder.path().join("bomb"), bomb + "flowExporter: *a59\n").expect("a file");
    for (file, why) in [
        ("missing", "missing cannot be read: No such file"),
        ("long", "long cannot be read: it is longer than 1048576 bytes"),
        ("deep", "deep:1:"),
        ("bomb", "bomb:61:15: error: flowExporter: expected a section, found an alias"),
    ] {
        let needed = ["--node", "a", "--cluster", "c", "--collector", "c", "--check-config"];
        let checked = exporter(folder.path(), &[&needed[..], &["--agent-config", file]].concat());
        let told = text(&checked.stderr);
        assert!(checked.status.code() == Some(1) && told.contains(why), "{file}: {told}");
    }
}
