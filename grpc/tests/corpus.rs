//! Every input the fuzzer kept is tried by every test run.

#[path = "../../fuzz/checks/export_request.rs"]
mod export_request;

use std::{fs, path::Path};

#[test]
fn requests_of_the_corpus_are_read_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/export_request");
    let inputs: Vec<_> = fs::read_dir(folder).unwrap().collect();
    assert!(!inputs.is_empty(), "the corpus is not there");
    for input in inputs {
        export_request::export_request(&fs::read(input.unwrap().path()).unwrap());
    }
}
