//! The binary as users get it, for tests that start real processes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The binary named `name`, which `cargo xtask test` builds before it runs the tests.
pub fn built(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug").join(name);
    assert!(
        path.exists(),
        "{} is missing; `cargo xtask test` builds it there, whatever CARGO_TARGET_DIR is",
        path.display()
    );
    path
}

/// Looks every 100 ms until `is_so`, at most `within`. Returns whether it came to be so.
pub fn eventually(within: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(100));
    }
    true
}

/// Fetches `/metrics` from 127.0.0.1:`port`; `inside` is the beginning of a command that runs
/// what follows in the right network namespace.
pub fn metrics(mut inside: Command, port: u16) -> String {
    let request = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; \
         printf 'GET /metrics HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3; cat <&3"
    );
    let output = inside.args(["-c", &request]).output().expect("bash runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The value of one metric, labels included in `name`.
#[track_caller]
pub fn value(metrics: &str, name: &str) -> u64 {
    let found = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = found.unwrap_or_else(|| panic!("{name} is not in:\n{metrics}"));
    value.parse().expect("a number")
}

/// The sum of a metric over all its labels.
pub fn sum(metrics: &str, name: &str) -> u64 {
    let samples = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let values = samples.filter_map(|sample| sample.rsplit_once(' '));
    values.map(|(_, value)| value.parse::<u64>().expect("a number")).sum()
}

/// Sends a signal to a process this test started.
pub fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status();
    assert!(sent.expect("kill runs").success(), "process {id} is gone");
}
