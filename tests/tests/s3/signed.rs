//! A server that looks at signatures, which moto does not: `s3s-fs`.

use std::collections::HashSet;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use config::Secret;
use flow::S3Columns;
use sinks::s3::{Credentials, Options};
use sinks::{Failure, S3Sink, Sink};
use tests::binary::eventually;
use tests::ports::free_port;
use tests::s3::Judge;

use super::{NOW_MS, batch, csv, numbers, options};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
#[ignore = "soak: the server takes minutes to build"]
async fn signatures_are_right_and_a_wrong_secret_is_told() {
    const RECORDS: u64 = 60_000;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = root.join("target/tools/bin/s3s-fs");
    assert!(program.exists(), "{} is missing: `cargo xtask soak` installs it", program.display());
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    fs::create_dir(folder.path().join("flows")).expect("a bucket");
    let mut command = Command::new(program);
    command.args(["--access-key", "test-key", "--secret-key", "test-secret"]);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]).arg(folder.path());
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Server(command.spawn().expect("it starts"));
    let is_there = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(eventually(Duration::from_secs(20), is_there), "it listens");

    let endpoint = format!("http://127.0.0.1:{port}");
    // In parts, and in one request.
    let format = csv(S3Columns::V2_7, false);
    let mut sink = S3Sink::new(Options { format, ..options(&endpoint, "flows") });
    for begin in (0..RECORDS).step_by(1000) {
        sink.write(&batch(begin..begin + 1000), NOW_MS).await.expect("there is room");
    }
    sink.flush().await.expect("it is stored");
    sink.write(&batch(RECORDS..RECORDS + 10), NOW_MS).await.expect("there is room");
    sink.flush().await.expect("it is stored");
    let judge = Judge { endpoint: endpoint.clone() };
    assert_eq!(numbers(&judge.objects("flows")), (0..RECORDS + 10).collect::<HashSet<_>>());

    let credentials = Credentials::Key {
        id: Secret::new("test-key".to_owned()),
        secret: Secret::new("wrong".to_owned()),
        token: None,
    };
    let mut sink = S3Sink::new(Options { credentials, ..options(&endpoint, "flows") });
    sink.write(&batch(0..10), NOW_MS).await.expect("there is room");
    sink.flush().await.expect_err("it is refused");
    assert_eq!(sink.counters().failures(Failure::Signature), 1);
}
