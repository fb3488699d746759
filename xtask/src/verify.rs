//! Everything that must pass, in the order in which it fails fastest.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::codec;
use crate::fuzz;
use crate::generate;
use crate::run::run;

pub(crate) fn test(root: &Path) -> Result<()> {
    cargo(root, &["fmt", "--all", "--check"])?;
    generate::check(root)?;
    cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    run(in_root(root, &["doc", "--workspace", "--all-features", "--no-deps", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings"))?;
    cargo(root, &["check", "--package", "ipfix", "--no-default-features"])?;
    binaries(root)?;
    cargo(root, &["test", "--workspace"])?;
    fuzz::fuzz(root, fuzz::BRIEF)
}

/// The binaries that end-to-end tests start: one as it ships, one that can be made to err.
fn binaries(root: &Path) -> Result<()> {
    let built = root.join("target/debug/fyke");
    cargo(root, &["build", "--package", "cli", "--features", "faults"])?;
    let copy = root.join("target/debug/fyke-faults");
    std::fs::copy(&built, copy).context("the binary with faults cannot be copied")?;
    cargo(root, &["build", "--package", "cli"])
}

pub(crate) fn soak(root: &Path) -> Result<()> {
    run(&mut in_root(root, &["deny", "--version"]))
        .context("cargo-deny is missing; cargo install --locked cargo-deny")?;
    cargo(root, &["deny", "check", "bans", "licenses", "sources"])?;
    cargo(root, &["build", "--release", "--workspace"])?;
    for bench in ["meter", "collecting", "cluster", "store", "clickhouse"] {
        cargo(root, &["bench", "--package", "benches", "--bench", bench, "--", "--check"])?;
    }
    codec::check(root)?;
    let fyke = root.join("target/release/fyke");
    run(Command::new(&fyke).args(["demo", "--connections", "10000"]))?;
    let storm = ["test", "--package", "tests", "--test", "storm", "--", "--ignored"];
    run(in_root(root, &storm).env("FYKE_BINARY", &fyke))?;
    // What goes wrong for longer than a test of every change can wait.
    cargo(root, &["build", "--package", "cli"])?;
    cargo(
        root,
        &[
            "test",
            "--package",
            "tests",
            "--test",
            "mixed",
            "--",
            "--ignored",
            "also_after_a_minute",
        ],
    )?;
    let million = ["test", "--package", "tests", "--test", "spool", "--", "--ignored"];
    cargo(root, &million)?;
    // A hundred kills, and thirty days.
    let tests = ["test", "--package", "store", "--tests", "--", "--ignored", "survives_long"];
    cargo(root, &tests)?;
    // Five hundred stores, asked at random; then all kinds of stores.
    cargo(root, &["test", "--package", "store", "--lib", "--", "--ignored"])?;
    cargo(root, &["test", "--package", "tests", "--test", "stores", "--", "--ignored"])?;
    signing_server(root)?;
    cargo(root, &["test", "--package", "tests", "--test", "s3", "--", "--ignored"])?;
    let tables = ["test", "--package", "tests", "--test", "clickhouse_schema", "--", "--ignored"];
    cargo(root, &tables)?;
    fuzz::fuzz(root, fuzz::LONG)
}

/// A server of S3's interface that looks at signatures, built once.
fn signing_server(root: &Path) -> Result<()> {
    if root.join("target/tools/bin/s3s-fs").exists() {
        return Ok(());
    }
    let server = ["install", "s3s-fs@0.14.1", "--locked", "--features", "binary"];
    run(in_root(root, &server).args(["--root", "target/tools"]))
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    run(&mut in_root(root, arguments))
}

fn in_root(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(arguments);
    // End-to-end tests start the binaries of the workspace's own `target`.
    command.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR");
    command
}
