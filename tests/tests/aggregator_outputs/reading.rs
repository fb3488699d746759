//! Collectors that keep what they get, and programs that read it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// A port that takes one connection.
pub(crate) struct Collector {
    listener: TcpListener,
    pub(crate) address: String,
}

impl Collector {
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it has one").to_string();
        Self { listener, address }
    }

    /// All of it, up to its end.
    pub(crate) async fn read(self) -> Vec<u8> {
        let (mut stream, _) = self.listener.accept().await.expect("a connection");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("it ends");
        bytes
    }
}

/// Runs the Python of the test environment, and returns what it printed.
#[track_caller]
pub(crate) fn python(arguments: &[&str], input: &[u8]) -> String {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    let mut command = Command::new(python);
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("it is read");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{arguments:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The records in some messages, as PyPI's `ipfix` reads them.
#[track_caller]
pub(crate) fn pypi(messages: &[u8]) -> Vec<Map<String, Value>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aggregator_outputs");
    let (script, table) = (format!("{folder}/decode.py"), format!("{folder}/elements.csv"));
    let printed = python(&[&script, &table], messages);
    printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
