//! Every input the fuzzer kept is tried by every test run.

use std::fs;
use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(folder).unwrap() {
        check(&fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "the corpus is not there");
}

#[test]
fn what_switches_of_the_corpus_say_does_no_harm() {
    replay("openflow", super::openflow);
}

#[test]
fn lines_of_the_corpus_are_understood_or_not() {
    replay("np_log", super::np_log);
}

#[test]
fn packets_of_the_corpus_do_no_harm() {
    replay("packet", super::packet);
}

#[test]
fn datagrams_of_the_corpus_do_no_harm() {
    replay("netlink", super::netlink);
}

#[test]
fn configurations_of_the_corpus_are_refused_or_printed_and_read_again() {
    replay("settings", super::settings);
}
