//! S3 for tests: moto's server, who looks into it, and a bad way there.
pub mod proxy; // the way there

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::binary::eventually;
use crate::ports::free_port;

/// Loading moto takes seconds on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server that holds what it is given in memory, for as long as this lives.
#[derive(Debug)]
pub struct Moto {
    process: Child,
    port: u16,
}

/// An object, as Python reads it.
#[derive(Debug, Deserialize)]
pub struct Stored {
    pub key: String,
    /// Of Parquet: names and types.
    #[serde(default)]
    pub columns: Vec<(String, String)>,
    pub rows: Vec<Vec<String>>,
}

fn python(script: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    let mut command = Command::new(python);
    command.arg(root.join("tests/s3").join(script));
    command
}

/// Where Python of the test environment is told to look: into an endpoint, at a bucket.
#[derive(Debug, Clone)]
pub struct Judge {
    pub endpoint: String,
}

impl Judge {
    #[track_caller]
    fn ask(&self, command: &str, bucket: &str) -> Vec<u8> {
        let output = python("judge.py").args([&self.endpoint, command, bucket]).output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command} {bucket}: {said}");
        output.stdout
    }

    #[track_caller]
    pub fn make(&self, bucket: &str) {
        self.ask("make", bucket);
    }

    /// Every object with its rows.
    #[track_caller]
    pub fn objects(&self, bucket: &str) -> Vec<Stored> {
        let told = String::from_utf8(self.ask("rows", bucket)).expect("UTF-8");
        told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Every object as text, unpacked, by its key.
    #[track_caller]
    pub fn texts(&self, bucket: &str) -> BTreeMap<String, String> {
        #[derive(Deserialize)]
        struct Text {
            key: String,
            text: String,
        }
        let told = String::from_utf8(self.ask("texts", bucket)).expect("UTF-8");
        let texts = told.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        texts.map(|Text { key, text }| (key, text)).collect()
    }

    /// How many uploads in parts are unfinished.
    #[track_caller]
    pub fn unfinished(&self, bucket: &str) -> usize {
        let told = String::from_utf8(self.ask("uploads", bucket)).expect("UTF-8");
        told.trim().parse().expect("a number")
    }
}

impl Moto {
    #[track_caller]
    pub fn start() -> Self {
        Self::start_on(free_port())
    }

    /// Starts on a port that was another's before.
    #[track_caller]
    pub fn start_on(port: u16) -> Self {
        let mut command = python("moto_here.py");
        command.arg(port.to_string()).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("it starts");
        let moto = Self { process, port };
        assert!(eventually(PATIENCE, || moto.answers()), "moto does not start");
        moto
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut answer = [0; 15];
        stream.write_all(b"GET /moto-api/ HTTP/1.0\r\nHost: x\r\n\r\n").is_ok()
            && stream.read_exact(&mut answer).is_ok()
            && answer.ends_with(b" 200 OK")
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn judge(&self) -> Judge {
        Judge { endpoint: self.endpoint() }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A file of the folder with what S3 is expected to have.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s3/golden").join(name)
}
