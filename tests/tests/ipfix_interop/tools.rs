//! Programs we did not write, started for one test each and ended by it.

use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipfix::message::message_length;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where a program is, which an ordinary user's PATH may not name.
#[track_caller]
pub(crate) fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is missing: run `cargo xtask setup` or `apt-get install {package}`")
    })
}

/// The Python of the test environment, with PyPI's `ipfix` in it.
#[track_caller]
pub(crate) fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    python
}

/// A process that ends with the test.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a collector in `folder`, its output going to files there, and waits until it
    /// listens.
    pub(crate) fn collector(command: &mut Command, folder: &Path, port: u16) -> Self {
        let output = |name| Stdio::from(File::create(folder.join(name)).expect("a file"));
        let command = command.current_dir(folder).stdin(Stdio::null());
        let child = command.stdout(output("stdout")).stderr(output("stderr")).spawn();
        let running = Self(child.expect("it starts"));
        let listening = || {
            let sockets = fs::read_to_string("/proc/net/udp").expect("procfs");
            sockets.contains(&format!(":{port:04X} ")).then_some(())
        };
        wait_for("the collector to listen", folder, listening);
        running
    }

    /// Ends it by `signal`, and waits until it has.
    pub(crate) fn end(&mut self, signal: &str) {
        if self.0.try_wait().ok().flatten().is_none() {
            tests::binary::signal(self.0.id(), signal);
            self.0.wait().expect("it ends");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().ok().flatten().is_none() {
            self.0.kill().expect("it is ours");
            self.0.wait().expect("it ends");
        }
    }
}

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, folder: &Path, ask: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        if Instant::now() > deadline {
            let read = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
            panic!("waited in vain for {what}:\n{}\n{}", read("stdout"), read("stderr"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Cuts messages that are back to back.
pub(crate) fn each(mut messages: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some(header) = messages.first_chunk() {
        let length = usize::from(message_length(header).expect("a message"));
        let (message, rest) = messages.split_at(length);
        all.push(message);
        messages = rest;
    }
    all
}

/// Sends each message in a datagram of its own.
pub(crate) fn send(messages: &[u8], port: u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let collector = SocketAddr::from(([127, 0, 0, 1], port));
    for message in each(messages) {
        socket.send_to(message, collector).expect("it is sent");
    }
}

/// Runs a program to its end and returns what it printed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {stderr}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}
