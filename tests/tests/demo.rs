//! `fyke demo` as a user runs it: real kernel, real processes, `conntrack -E` as the judge.

#[path = "demo/over.rs"]
mod over; // what carries records

use std::process::{Command, ExitStatus};

use serde_json::Value;
use tempfile::TempDir;
use tests::binary::built;

/// Runs a demo under names of its own. Returns whether it ended well, and what it printed.
fn demo(binary: &str, prefix: &str, connections: u32, fault: &str) -> (bool, Value) {
    let output = Command::new(built(binary))
        .args(["demo", "--json", "--prefix", prefix, "--connections", &connections.to_string()])
        .env("FYKE_FAULT", fault)
        .output()
        .expect("the demo starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_str(&printed)
        .unwrap_or_else(|error| panic!("{error}: {printed}\n{errors}"));
    (output.status.success(), json)
}

#[test]
fn ten_thousand_short_connections_are_ten_thousand_records() {
    let (ended_well, told) = demo("fyke", "t10k", 10_000, "");
    assert!(ended_well, "{told}");
    assert_eq!(told["missing"], 0);
    assert_eq!(told["mismatched"], 0);
    assert_eq!(told["unexpected"], 0);
    let flows = told["flows"].as_array().expect("flows");
    let short = flows.iter().filter(|flow| {
        flow["scenario"].as_str().is_some_and(|scenario| scenario.starts_with("short tcp"))
    });
    let records: Vec<u64> = short.map(|flow| flow["records"].as_u64().expect("a count")).collect();
    assert_eq!(records.len(), 10_000);
    assert_eq!(records.iter().sum::<u64>(), 10_000, "one record each");
}

#[test]
fn the_demo_can_fail() {
    // The same binary without a fault: it is the fault that turns the check red.
    let (ended_well, told) = demo("fyke-faults", "tnone", 1500, "");
    assert!(ended_well, "{told}");
    for (prefix, fault, shows, says) in [
        ("tdrop", "record-dropped", "mismatched", ""),
        ("tdest", "destroy-ignored", "missing", ""),
        ("tdbl", "delta-doubled", "mismatched", "octets on node-"),
        ("tcom", "common-delta-doubled", "mismatched", "octets of the flow"),
        ("tswap", "ends-swapped", "mismatched", "source address"),
    ] {
        let (ended_well, told) = demo("fyke-faults", prefix, 1500, fault);
        assert!(!ended_well, "{fault} goes unnoticed");
        assert!(told[shows].as_u64() > Some(0), "{fault} does not show as {shows}");
        assert!(is_said(&told, says), "{fault} is not told as {says:?}");
    }
}

/// Whether a difference of some flow begins with `says`.
fn is_said(told: &Value, says: &str) -> bool {
    let flows = told["flows"].as_array().expect("flows");
    let mut said = flows.iter().flat_map(|flow| flow["differences"].as_array().expect("a list"));
    said.any(|difference| difference.as_str().is_some_and(|text| text.starts_with(says)))
}

#[test]
fn a_recording_takes_the_kernels_place_where_namespaces_cannot_be_made() {
    let (status, told, errors) = demo_of_nobody(&["--json", "--connections", "7"]);
    assert!(errors.contains("missing root"), "it says what is missing: {errors}");
    assert!(errors.contains("the recording has 20 short connections"), "{errors}");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert!(status.success(), "{told}");
    assert!(told["expected"].as_u64() > Some(50), "{told}");
    assert_eq!(told["found"], told["expected"]);
}

#[test]
fn a_recording_does_not_pretend_to_do_what_it_cannot() {
    for asked in [
        &["--down"][..],
        &["--keep"],
        &["--record", "/tmp/fyke-test-never-made"],
        &["--over", "tls"],
    ] {
        let (status, told, errors) = demo_of_nobody(asked);
        assert_eq!(status.code(), Some(1), "{asked:?}: {told}{errors}");
        assert!(errors.contains("the demo needs root"), "{asked:?}: {errors}");
        assert_eq!(told, "", "{asked:?}");
    }
}

/// Runs a demo as a user without rights. Returns its end, what it printed, and its complaints.
fn demo_of_nobody(arguments: &[&str]) -> (ExitStatus, String, String) {
    let folder = folder_for_everyone();
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"])
        .arg(folder.path().join("fyke"))
        .arg("demo")
        .args(arguments)
        .output()
        .expect("setpriv runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status, text(output.stdout), text(output.stderr))
}

/// A copy of the binary where a user without rights can run it.
fn folder_for_everyone() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("fyke");
    // Not by this process: a child that another test starts meanwhile would have the copy open for
    // writing, and what is open for writing cannot be run.
    let copied = Command::new("cp").arg(built("fyke")).arg(&copy).status().expect("cp runs");
    assert!(copied.success(), "{copied}");
    for path in [folder.path(), &copy] {
        let everyone = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, everyone).expect("permissions");
    }
    folder
}
