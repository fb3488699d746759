//! `fyke demo` as a user runs it: real kernel, real processes, `conntrack -E` as the judge.

use std::process::Command;

use serde_json::Value;
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
    for (prefix, fault, shows) in [
        ("tdrop", "record-dropped", "mismatched"),
        ("tdest", "destroy-ignored", "missing"),
        ("tdbl", "delta-doubled", "mismatched"),
        ("tswap", "ends-swapped", "mismatched"),
    ] {
        let (ended_well, told) = demo("fyke-faults", prefix, 1500, fault);
        assert!(!ended_well, "{fault} goes unnoticed");
        assert!(told[shows].as_u64() > Some(0), "{fault} does not show as {shows}");
    }
}

#[test]
fn a_recording_takes_the_kernels_place_where_namespaces_cannot_be_made() {
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"])
        .arg(copy_for_everyone())
        .args(["demo", "--json"])
        .output()
        .expect("setpriv runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("missing"), "it says what is missing: {errors}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(output.status.success(), "{told}");
    assert!(told["expected"].as_u64() > Some(50), "{told}");
    assert_eq!(told["found"], told["expected"]);
}

/// A copy of the binary where a user without rights can run it.
fn copy_for_everyone() -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::env::temp_dir().join(format!("fyke-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let copy = folder.join("fyke");
    std::fs::copy(built("fyke"), &copy).expect("a copy");
    for path in [&folder, &copy] {
        let everyone = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, everyone).expect("permissions");
    }
    copy
}
