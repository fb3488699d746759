use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flow::{FlowKey, FlowRecord, Profile};
use tempfile::TempDir;
use tests::binary::{built, eventually, metrics, signal};
use tests::numbered::once;
use tests::ports::free_port;
use tests::wire::Wire;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Records of one message of [`Sender`].
pub(crate) const RECORDS: u32 = 50;

/// An aggregator with a file of configuration in a folder of its own, where relative paths are.
pub(crate) struct Aggregator {
    pub(crate) folder: TempDir,
    pub(crate) process: Child,
    pub(crate) listen: u16,
    pub(crate) admin: u16,
}

impl Aggregator {
    /// Starts with a file that says `more` than where to listen, over TCP.
    pub(crate) fn start(more: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), more, "flow-aggregator.conf")
    }

    pub(crate) fn start_in(folder: TempDir, more: &str, file: &str) -> Self {
        let (listen, admin) = (free_port(), free_port());
        write(&folder.path().join(file), listen, admin, more);
        let log = File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new(built("fyke"));
        command.args(["aggregator", "--config", file]).current_dir(folder.path());
        command.env_remove("POD_NAMESPACE").stdout(Stdio::piped()).stderr(log);
        let mut process = command.spawn().expect("the aggregator starts");
        let mut ready = [0; 6];
        let told = process.stdout.as_mut().expect("a pipe").read_exact(&mut ready);
        let aggregator = Self { folder, process, listen, admin };
        assert!(told.is_ok() && &ready == b"ready\n", "{}", aggregator.log());
        aggregator
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).expect("a log")
    }

    /// Has the file say `more`, and tells of it.
    pub(crate) fn change(&self, more: &str) {
        write(&self.path("flow-aggregator.conf"), self.listen, self.admin, more);
        signal(self.process.id(), "HUP");
    }

    /// A number of its own.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let all = metrics(Command::new("bash"), self.admin);
        let value = all.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {all}"))
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, expected: u64) {
        let reached = eventually(PATIENCE, || self.metric(name) == expected);
        assert!(reached, "{name} is {}, not {expected}: {}", self.metric(name), self.log());
    }

    /// What `/healthz` says.
    pub(crate) fn health(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).expect("it listens");
        stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: x\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    #[track_caller]
    pub(crate) fn end(&mut self) {
        signal(self.process.id(), "TERM");
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "{}", self.log());
        assert!(self.log().contains("everything is flushed"), "{}", self.log());
    }

    /// Lines of a file.
    pub(crate) fn lines(&self, name: &str) -> u64 {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().count() as u64
    }
}

impl Drop for Aggregator {
    fn drop(&mut self) {
        // Already ended where the test went well.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn write(path: &Path, listen: u16, admin: u16, more: &str) {
    let text = format!(
        "aggregatorTransportProtocol: tcp\nlisten: {{ipfix: '127.0.0.1:{listen}', grpc: off}}\n\
         kubernetes: off\nadminAddress: 127.0.0.1:{admin}\napiServer: {{apiPort: 0}}\n{more}"
    );
    fs::write(path, text).expect("a file");
}

/// Sends flows, each another, which are told as soon as they come.
pub(crate) struct Sender {
    stream: TcpStream,
    wire: Wire,
    sent: u32,
}

impl Sender {
    pub(crate) fn new(port: u16) -> Self {
        let mut wire = Wire::new(7, Profile::Fyke);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it accepts");
        stream.write_all(&wire.templates(0).expect("templates")).expect("it reads");
        Self { stream, wire, sent: 0 }
    }

    /// Sends some more; returns false once nobody reads.
    pub(crate) fn send(&mut self) -> bool {
        let records: Vec<_> = (self.sent..self.sent + RECORDS).map(record).collect();
        self.sent += RECORDS;
        self.stream.write_all(&self.wire.records(&records, 0).expect("they fit")).is_ok()
    }

    pub(crate) const fn sent(&self) -> u64 {
        self.sent as u64
    }
}

fn record(number: u32) -> FlowRecord {
    let [_, a, b, c] = number.to_be_bytes();
    once(FlowKey {
        source: [10, a, b, c].into(),
        source_port: 40_000,
        protocol: 6,
        ..FlowKey::default()
    })
}
