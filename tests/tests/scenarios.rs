//! Every file of `tests/scenarios/` through the whole pipeline.

use std::fs;
use std::path::Path;

use tests::scenario::Families;

fn run_all(families: Families) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut run = 0;
    let mut failed = Vec::new();
    for file in fs::read_dir(folder).expect("the folder of scenarios") {
        let path = file.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a scenario");
        if let Err(error) = tests::scenario::check(&text, families) {
            failed.push(format!("{}: {error:#}", path.display()));
        }
        run += 1;
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(run >= 17, "only {run} scenarios were found");
}

#[test]
fn every_scenario_is_stored_as_it_says() {
    run_all(Families::AsWritten);
}

#[test]
fn every_scenario_is_the_same_over_ipv6() {
    run_all(Families::V6);
}

#[test]
fn every_scenario_is_the_same_with_both_families_at_once() {
    run_all(Families::Both);
}
