//! The codec of `ipfix` beside those of others, and how many instructions it takes.
//!
//! The others are in a workspace of their own, `benches/peers/`, since nobody else needs to build
//! them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::run;
use crate::setup;

/// Instructions per decoded record, of the workload in `benches::workload`.
const MOST_INSTRUCTIONS: u64 = 1_800;
const RECORDS: u64 = 100_000;

pub(crate) fn check(root: &Path) -> Result<()> {
    setup::require("valgrind", "valgrind")?;
    let root = &root.canonicalize()?;
    run(cargo(root).args(["fmt", "--check"]))?;
    run(cargo(root).args(["clippy", "--locked", "--all-targets", "--", "-D", "warnings"]))?;
    run(cargo(root).args(["bench", "--locked", "--bench", "codec", "--", "--check"]))?;
    let decode = instructions(root, "decode")?;
    let encode = instructions(root, "encode")?;
    eprintln!("instructions per record: {decode} to decode, {encode} to encode");
    ensure!(decode <= MOST_INSTRUCTIONS, "more than {MOST_INSTRUCTIONS} instructions to decode");
    Ok(())
}

/// The difference between two rounds and one, which is free of all that is done but once.
fn instructions(root: &Path, what: &str) -> Result<u64> {
    let [one, two] = ["1", "2"].map(|rounds| total(root, what, rounds));
    Ok((two? - one?) / RECORDS)
}

fn total(root: &Path, what: &str, rounds: &str) -> Result<u64> {
    let out = root.join("target/peers/callgrind.out");
    let runner = format!(
        "target.'cfg(unix)'.runner='valgrind -q --tool=callgrind --callgrind-out-file={}'",
        out.display()
    );
    run(cargo(root)
        .args(["bench", "--locked", "--quiet", "--config", &runner, "--bench", "codec", "--"])
        .args(["--only", what, "--rounds", rounds]))?;
    let profile = fs::read_to_string(&out).context("callgrind has written nothing")?;
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.context("callgrind tells no totals")?.trim().parse().context("totals are no number")
}

fn cargo(root: &Path) -> Command {
    let peers = root.join("benches/peers");
    // Further elements for the build script of `netgauze-flow-pkt`, and whose they are. Cargo does
    // not see when they change: remove `target/peers` then.
    let elements = ["Antrea.xml=56506", "Reverse.xml=29305"];
    let elements = elements.map(|file| format!("{}/{file}", peers.display())).join(",");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.env("NETGAUZE_CUSTOM_XML_PATHS", elements);
    command.env("CARGO_TARGET_DIR", root.join("target/peers")).env_remove("CARGO_BUILD_TARGET_DIR");
    command.current_dir(peers);
    command
}
