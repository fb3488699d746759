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
    generate::check_files(root)?;
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
    let fyke = root.join("target/debug/fyke");
    // Of the whole workspace, and with a test: what tests need of libraries is then compiled once.
    let build = ["build", "--workspace", "--bin", "fyke", "--test", "corpus"];
    run(in_root(root, &build).args(["--features", "cli/faults"]))?;
    let copy = root.join("target/debug/fyke-faults");
    std::fs::copy(&fyke, copy).context("the binary with faults cannot be copied")?;
    cargo(root, &build)
}

/// Ignored tests: which binary has them, what their names have in common, and why they take long.
const LONG: [(&[&str], &str, &str); 10] = [
    (&["--test", "storm"], "fifty_thousand", "500,000 connections in ten seconds"),
    (&["--test", "mixed"], "also_after_a_minute", "a collector is away for a minute"),
    (&["--test", "spool"], "of_a_million", "a process is killed amid a million records"),
    (&["--test", "faults"], "survives_long", "a writer is killed a hundred times"),
    (&["--test", "maintenance"], "survives_long", "thirty days are merged, summed up, dropped"),
    (&["--test", "memory"], "", "half a gibibyte of names is merged and summed up"),
    (&["--lib"], "at_length", "500 stores of up to 2,000 rows are asked at random"),
    (&["--test", "stores"], "at_length", "10,000 questions to all kinds of stores"),
    (&["--test", "s3"], "", "twenty kills, and a server that looks at signatures"),
    (&["--test", "clickhouse_schema"], "", "older schemas; 14 statements, each interrupted twice"),
];

pub(crate) fn soak(root: &Path) -> Result<()> {
    run(&mut in_root(root, &["deny", "--version"]))
        .context("cargo-deny is missing; cargo install --locked cargo-deny")?;
    cargo(root, &["deny", "check", "bans", "licenses", "sources"])?;
    cargo(root, &["build", "--release", "--workspace"])?;
    for bench in ["meter", "collecting", "cluster", "store", "store_write", "clickhouse"] {
        cargo(root, &["bench", "--workspace", "--bench", bench, "--", "--check"])?;
    }
    codec::check(root)?;
    let fyke = root.join("target/release/fyke");
    run(Command::new(&fyke).args(["demo", "--connections", "10000"]))?;
    binaries(root)?;
    signing_server(root)?;
    for (target, filter, why) in LONG {
        eprintln!("{why}:");
        let mut test = in_root(root, &["test", "--workspace"]);
        // The storm is to blow at what ships.
        run(test.args(target).args(["--", "--ignored", filter]).env("FYKE_BINARY", &fyke))?;
    }
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
