//! Every file of `tests/scenarios/` through the whole pipeline.

use std::fs;
use std::path::Path;

#[test]
fn every_scenario_is_stored_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut run = 0;
    for file in fs::read_dir(folder).expect("the folder of scenarios") {
        let path = file.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a scenario");
        if let Err(error) = tests::scenario::check(&text) {
            panic!("{}: {error:#}", path.display());
        }
        run += 1;
    }
    assert!(run >= 7, "only {run} scenarios were found");
}
