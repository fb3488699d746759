//! `docs/compatibility.md` and `docs/compatibility-aggregator.md` answer every known weakness, by
//! tests that are there.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Weaknesses that are known of the original exporter.
const WEAKNESSES: usize = 39;
/// And of the original aggregator: of each letter, as many as it has numbers.
const WEAKNESSES_OF_AGGREGATOR: [(&str, usize); 5] =
    [("L", 10), ("C", 9), ("R", 10), ("S", 8), ("", 35)];
const EXPORTER: &str = "docs/compatibility.md";
const AGGREGATOR: &str = "docs/compatibility-aggregator.md";
/// What measures rather than tests.
const BENCH: &str = "cargo bench --package benches --bench ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("the document")
}

/// The cells of each row of each table.
fn rows(document: &str) -> Vec<Vec<&str>> {
    let lines = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| # "));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether this is the name of a test or of a scenario rather than a word of something else.
fn names_a_test(word: &str) -> bool {
    word.matches('_').count() >= 2
        && word.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
        || word.starts_with("scenarios/")
        || word.starts_with(BENCH)
}

/// The functions of the workspace that are tests.
fn tests() -> HashSet<String> {
    let mut found = HashSet::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.extend(tests_of(&fs::read_to_string(&path).expect("a source")));
            }
        }
    }
    found
}

/// Functions behind an attribute that makes them tests.
fn tests_of(source: &str) -> Vec<String> {
    let mut is_test = false;
    let mut found = Vec::new();
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some((_, rest)) = line.split_once("fn ")
            && !line.starts_with("//")
        {
            let name = rest.split('(').next().unwrap_or_default();
            found.extend(is_test.then(|| name.to_owned()));
            is_test = false;
        }
    }
    found
}

#[test]
fn every_test_that_is_named_exists() {
    let (document, tests) = (document(EXPORTER) + &document(AGGREGATOR), tests());
    let scenarios = root().join("tests");
    let named: BTreeSet<_> = quoted(&document).filter(|word| names_a_test(word)).collect();
    assert!(named.len() > 150, "only {} tests are named", named.len());
    let is_bench = |word: &str| {
        let name = word.strip_prefix(BENCH).and_then(|rest| rest.split(' ').next());
        name.is_some_and(|name| root().join(format!("benches/benches/{name}.rs")).is_file())
    };
    let exists =
        |word: &str| tests.contains(word) || scenarios.join(word).is_file() || is_bench(word);
    let missing: Vec<_> = named.into_iter().filter(|word| !exists(word)).collect();
    assert!(missing.is_empty(), "not there: {missing:#?}");
}

#[test]
fn every_weakness_has_one_row_that_names_a_test_or_says_that_it_has_none() {
    let exporter = document(EXPORTER);
    let of_exporter = rows(&exporter);
    let numbers: Vec<_> =
        of_exporter.iter().filter_map(|row| row[0].parse::<usize>().ok()).collect();
    assert_eq!(numbers, (1..=WEAKNESSES).collect::<Vec<_>>());
    let aggregator = document(AGGREGATOR);
    let of_aggregator = rows(&aggregator);
    let known = WEAKNESSES_OF_AGGREGATOR
        .into_iter()
        .flat_map(|(letter, most)| (1..=most).map(move |number| format!("{letter}{number}")));
    let known: Vec<_> = known.collect();
    let of_aggregator = of_aggregator.into_iter().filter(|row| known.iter().any(|it| it == row[0]));
    let of_aggregator: Vec<_> = of_aggregator.collect();
    assert_eq!(of_aggregator.iter().map(|row| row[0]).collect::<Vec<_>>(), known);
    for row in of_exporter.into_iter().chain(of_aggregator) {
        assert_eq!(row.len(), 4, "{row:?}");
        let is_named = quoted(row[3]).any(names_a_test);
        let says_none = row[3] == "—" && row[2].starts_with("not answered");
        assert!(is_named != says_none, "{row:?}");
    }
}

#[test]
fn every_scenario_is_in_it() {
    let document = document(EXPORTER);
    for file in fs::read_dir(root().join("tests/scenarios")).expect("the folder of scenarios") {
        let name = file.expect("a file").file_name();
        let name = format!("scenarios/{}", name.to_string_lossy());
        assert!(quoted(&document).any(|word| word == name), "{name}");
    }
}
