//! What it costs to ask the embedded store, beside DataFusion and DuckDB on the same files.
//!
//! `cargo bench -p benches --bench store -- --check` writes 10 million records of ten hours into
//! `TMPDIR` (600 MB), asks each of seven queries of all three, and fails if one costs more time on
//! the CPU than it costs DataFusion, or if asking takes more than 200 MB. The others run in Python
//! (`target/test-venv`), each in a process of its own; so does the store, for its peak of memory.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to say")]
#![expect(clippy::cast_possible_truncation, reason = "numbers of Pods and ports are small")]
#[path = "store/data.rs"]
mod data; // ten million records
#[path = "store/queries.rs"]
mod queries; // seven questions, as queries and as SQL

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use benches::{Goals, process_time};
use serde_json::Value;
use store::query::Answer;
use store::{AskOptions, Progress, Reader};

const RECORDS: usize = 10_000_000;
const ROUNDS: usize = 5;
const THREADS: usize = 2;
/// Megabytes that asking may take at its peak.
const MEMORY: f64 = 200.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let Some(at) = arguments.iter().position(|it| it == "--ask") {
        ask(Path::new(&arguments[at + 1]));
        return ExitCode::SUCCESS;
    }
    let kept = env::var_os("STORE_BENCH").map(PathBuf::from);
    let dir = tempfile::tempdir().unwrap();
    let dir = kept.as_deref().unwrap_or(dir.path());
    if !dir.join("flows").is_dir() {
        data::write(dir, RECORDS);
    }
    let ours = run(Command::new(env::current_exe().unwrap()).arg("--ask").arg(dir));
    let datafusion = others("datafusion", dir);
    let duckdb = others("duckdb", dir);
    let mut goals = Goals::default();
    println!("CPU milliseconds, {THREADS} threads, least of {ROUNDS} rounds; rows of the answer");
    for name in queries::NAMES {
        let of = |result: &Value, what: &str| result[name][what].as_f64().unwrap_or(f64::NAN);
        let [us, them, duck] = [&ours, &datafusion, &duckdb].map(|it| of(it, "ms"));
        println!("{name:<28} fyke {us:>8.1}  datafusion {them:>8.1}  duckdb {duck:>8.1}");
        let answers = [&ours, &datafusion, &duckdb].map(|it| it[name]["answer"].clone());
        assert!(answers.iter().all(|it| *it == answers[0]), "{name}: {answers:?}");
        goals.result(&format!("{name}: share of DataFusion's"), us / them, 1.0);
    }
    for (name, result) in [("datafusion", &datafusion), ("duckdb", &duckdb)] {
        println!("peak memory of {name}: {} MB", result["peak_mb"]);
    }
    goals.result("peak memory of asking, MB", ours["peak_mb"].as_f64().unwrap(), MEMORY);
    goals.verdict()
}

/// Asks each query, and prints what that took.
fn ask(dir: &Path) {
    let reader = Reader::open(dir).unwrap();
    let mut results = BTreeMap::new();
    for (name, query) in queries::queries() {
        let mut best = Duration::MAX;
        let mut answer = Value::Null;
        for _ in 0..=ROUNDS {
            let progress = Progress::default();
            let options = AskOptions { threads: THREADS, progress, ..AskOptions::default() };
            let begun = process_time();
            let answered = reader.ask(&query, &options).unwrap();
            best = best.min(process_time().saturating_sub(begun));
            answer = summary(&answered.answer);
        }
        let ms = best.as_secs_f64() * 1000.0;
        results.insert(name.to_owned(), serde_json::json!({ "ms": ms, "answer": answer }));
    }
    results.insert("peak_mb".to_owned(), benches::peak_memory().into());
    println!("{}", serde_json::to_string(&results).unwrap());
}

/// How many rows or groups there are, and the sum of their first aggregate.
fn summary(answer: &Answer) -> Value {
    match answer {
        Answer::Rows(rows) => serde_json::json!([rows.rows.len(), 0]),
        Answer::Groups(groups) => {
            let sum: u64 = groups
                .groups
                .iter()
                .map(|group| match group.values[0] {
                    store::query::Value::Number(number) => number,
                    _ => 0,
                })
                .sum();
            serde_json::json!([groups.groups.len() as u64 + groups.folded, sum])
        }
    }
}

fn others(engine: &str, dir: &Path) -> Value {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("../target/test-venv/bin/python");
    let files = dir.join("flows");
    run(Command::new(python)
        .arg(here.join("benches/store/others.py"))
        .args([engine, &THREADS.to_string(), &ROUNDS.to_string()])
        .arg(files)
        .arg(queries::sql().to_string()))
}

fn run(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
