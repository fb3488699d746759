//! Repository chores: `cargo xtask test`, `generate`, `fuzz`, `soak`.

mod codec; // the codec beside those of others
mod fuzz; // inputs nobody thought of
mod generate; // files made from other files
mod messages; // gRPC messages as Rust
mod peers; // Information Elements for those we compare with
mod registry; // Information Elements as Rust
mod run; // other programs
mod setup; // what tests need on the machine
mod verify; // everything that must pass

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  test               install what tests need, then check and test everything
  setup              only install what tests need
  generate           write generated files anew
  generate --check   fail if a generated file is stale
  fuzz               look for input that breaks a parser, as test does
  soak               what takes too long for every change
  codec              of that, only the codec beside those of others";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let done = match words.as_slice() {
        ["test"] => setup::install(&root).and_then(|()| verify::test(&root)),
        ["setup"] => setup::install(&root),
        ["generate"] => generate::write(&root),
        ["generate", "--check"] => generate::check(&root),
        ["codec"] => codec::check(&root),
        ["fuzz"] => fuzz::fuzz(&root, fuzz::BRIEF),
        ["soak"] => setup::install(&root).and_then(|()| verify::soak(&root)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
