//! Every input the fuzzer kept is tried by every test run.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::{fs, path::Path};

/// Tries every input in a folder of the corpus.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(folder).unwrap() {
        check(&fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "the corpus is not there");
}

#[test]
fn messages_of_the_corpus_do_no_harm() {
    replay("message", checks::message);
}

#[test]
fn sessions_of_the_corpus_do_no_harm() {
    replay("session", checks::session);
}

#[test]
fn what_the_corpus_encodes_is_decoded() {
    replay("round_trip", checks::round_trip);
}

#[test]
fn files_of_the_corpus_are_copied() {
    replay("file", checks::file);
}

#[test]
fn lists_of_the_corpus_are_written_as_they_were_read() {
    replay("list", checks::list);
}

#[test]
fn files_of_elements_of_the_corpus_are_added_whole_or_not_at_all() {
    replay("registry", checks::registry);
}

#[test]
fn elements_the_corpus_describes_are_described_again() {
    replay("type_information", checks::type_information);
}
