//! Fuzzing: inputs nobody thought of, for everything of ours that parses.
//!
//! libFuzzer needs to see which branches an input takes. The compiler's own coverage pass does
//! that with any toolchain, so the targets are built with the one everything else is built with,
//! without cargo-fuzz. An address sanitizer, which would need a nightly, has nothing to look for:
//! there is no `unsafe`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, bail, ensure};

use crate::run::{run, spelled};

/// For every change: what is easy to find is found.
pub(crate) const BRIEF: Duration = Duration::from_secs(20);

/// For [`crate::verify::soak`].
pub(crate) const LONG: Duration = Duration::from_hours(1);

const COVERAGE: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Workspaces of targets, whose names are different. Coverage is not for everything else.
const FOLDERS: [&str; 2] = ["ipfix/fuzz", "fuzz"];

/// The seed of the first mutation. What follows depends on the machine's speed as well.
const SEED: &str = "-seed=1";

/// More than any target needs, and an input that takes longer than this is a finding.
const LIMITS: [&str; 2] = ["-rss_limit_mb=1024", "-timeout=10"];

/// Lets each target look for failing inputs for `time`, as many targets at once as there are
/// cores.
///
/// Begins with the committed corpus and what earlier runs found on this machine, which is kept in
/// `target/fuzz/corpus`.
pub(crate) fn fuzz(root: &Path, time: Duration) -> Result<()> {
    let build = root.join("target/fuzz");
    let mut targets = Vec::new();
    for folder in FOLDERS {
        let folder = root.join(folder);
        build_targets(&folder, &build)?;
        targets.extend(Target::all(&folder)?);
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut failures = Vec::new();
    for together in targets.chunks(cores) {
        let begin = |target: &Target| Running::begin(&build, target, time);
        let running: Vec<Running> = together.iter().map(begin).collect::<Result<_>>()?;
        for running in running {
            failures.extend(running.end()?);
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// One target, and the folder that it is of.
struct Target {
    folder: PathBuf,
    name: String,
}

impl Target {
    /// Every file is a target, so that none is forgotten.
    fn all(folder: &Path) -> Result<Vec<Self>> {
        let mut targets = Vec::new();
        for entry in fs::read_dir(folder.join("fuzz_targets"))? {
            let path = entry?.path();
            let name = path.file_stem().context("a target has a name")?.to_string_lossy();
            targets.push(Self { folder: folder.to_owned(), name: name.into_owned() });
        }
        targets.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(targets)
    }
}

fn build_targets(folder: &Path, build: &Path) -> Result<()> {
    // With a target given, build scripts are built without coverage, which they could not link.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder);
    cargo.args(["build", "--quiet", "--locked", "--target", "host-tuple", "--target-dir"]);
    run(cargo.arg(build).env("RUSTFLAGS", COVERAGE.join(" ")).env_remove("CARGO_BUILD_TARGET_DIR"))
}

/// The folder of the binaries is named after the machine's architecture.
fn binary(build: &Path, target: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(build)? {
        let binary = entry?.path().join("debug").join(target);
        if binary.is_file() {
            return Ok(binary);
        }
    }
    bail!("{target} was not built")
}

/// One target at work.
struct Running {
    target: String,
    command: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    fn begin(build: &Path, target: &Target, time: Duration) -> Result<Self> {
        let Target { folder, name: target } = target;
        let (found, artifacts) = (build.join("corpus").join(target), build.join("artifacts"));
        fs::create_dir_all(&found)?;
        fs::create_dir_all(&artifacts)?;
        let log = build.join(format!("{target}.log"));
        let mut command = Command::new(binary(build, target)?);
        command
            .args(LIMITS)
            .args([SEED, &format!("-max_total_time={}", time.as_secs())])
            .arg(format!("-artifact_prefix={}/{target}-", artifacts.display()))
            .arg(found)
            .arg(folder.join("corpus").join(target))
            .stderr(fs::File::create(&log)?);
        let spelled = spelled(&command);
        eprintln!("+ {spelled}");
        let child = command.spawn().with_context(|| format!("{spelled} does not start"))?;
        Ok(Self { target: target.clone(), command: spelled, child, log })
    }

    /// Waits for the end; returns what was found.
    fn end(mut self) -> Result<Option<String>> {
        let status = self.child.wait()?;
        let log = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        if status.success() {
            let done = log.lines().rev().find(|line| line.starts_with("Done ")).unwrap_or_default();
            eprintln!("{}: {done}", self.target);
            return Ok(None);
        }
        let finding = |line: &&str| line.contains("panicked at") || line.contains("libFuzzer: ");
        let what: Vec<_> = log.lines().skip_while(|line| !finding(line)).take(2).collect();
        let reproducer = log.lines().find_map(|line| line.split_once("Test unit written to "));
        let reproducer = reproducer.map_or("none was written", |(_, path)| path);
        Ok(Some(format!(
            "{} ended with {status}\n{}\nreproducer: {reproducer}\nlog: {}",
            self.command,
            what.join("\n"),
            self.log.display(),
        )))
    }
}
