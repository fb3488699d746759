//! What the crate brings along, by feature.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]

use std::process::Command;

/// Whoever waits for sockets, and what carries that.
const RUNTIMES: [&str; 7] = ["tokio", "mio", "socket2", "rustix", "rustls", "async-io", "futures"];

/// The crates a dependant builds with these features.
fn tree(features: &[&str]) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--package", "ipfix", "--edges", "normal"]);
    cargo.args(["--prefix", "none", "--format", "{p}"]).args(features);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_codec_brings_no_runtime() {
    let tree = tree(&["--no-default-features"]);
    assert!(tree.iter().any(|name| name == "ipfix"), "{tree:?}");
    for runtime in RUNTIMES {
        assert!(!tree.iter().any(|name| name.starts_with(runtime)), "{runtime} is in {tree:?}");
    }
}

#[test]
fn sockets_bring_tokio_and_only_tls_brings_rustls() {
    let has = |tree: &[String], name: &str| tree.iter().any(|crate_name| crate_name == name);
    let (sockets, tls) = (tree(&[]), tree(&["--features", "tls"]));
    assert!(has(&sockets, "tokio") && !has(&sockets, "rustls"), "{sockets:?}");
    assert!(has(&tls, "tokio") && has(&tls, "rustls"), "{tls:?}");
}
