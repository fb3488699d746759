//! Every input the fuzzer kept is tried by every test run.

#[path = "../../fuzz/checks/address.rs"]
mod address;

use std::{fs, path::Path};

#[test]
fn addresses_of_the_corpus_are_written_as_they_were_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/address");
    let inputs: Vec<_> = fs::read_dir(folder).unwrap().collect();
    assert!(!inputs.is_empty(), "the corpus is not there");
    for input in inputs {
        address::address(&fs::read(input.unwrap().path()).unwrap());
    }
}
