//! Today's engine, without a server around it, behind an HTTP interface that fails on demand.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{PASSWORD, Running, USER, ask, post};
use crate::ports::free_port;

/// A process with a database of its own, which ends with the test. The certificate, if it has one,
/// is for `localhost`.
#[derive(Debug)]
pub struct Engine {
    folder: TempDir,
    port: u16,
    /// Certificate and key.
    pair: Option<(PathBuf, PathBuf)>,
    /// How large the disk is that it has for itself, if it has one.
    disk: Option<String>,
    process: Running,
}

/// What happens to the next statements with a text in them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Fault {
    /// In any case.
    #[serde(rename = "match")]
    pub text: String,
    /// How many of them.
    pub times: u32,
    /// An exception of this code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    pub delay_ms: u32,
    /// The connection is reset after so many bytes of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_after: Option<u64>,
    /// It is done, but nobody is told: the connection is reset.
    pub no_answer: bool,
    /// It waits for [`Engine::release`].
    pub hold: bool,
}

/// What became of statements so far.
#[derive(Debug, Clone, Deserialize)]
pub struct Stats {
    pub statements: u64,
    pub refused: u64,
    /// Statements that had a [`Fault`].
    pub faults: u64,
    /// Statements that wait for [`Engine::release`].
    pub held: u64,
    /// Those that the engine took, also if it knew their tokens.
    pub inserts: Vec<Seen>,
}

/// An insert.
#[derive(Debug, Clone, Deserialize)]
pub struct Seen {
    pub rows: u64,
    /// As they came over the wire.
    pub bytes: u64,
    pub token: String,
    pub settings: BTreeMap<String, String>,
    pub query: String,
}

impl Engine {
    /// Starts it, and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// On a disk of its own of so many bytes, such as `32m`, which is gone with the process. Needs
    /// root.
    pub fn start_on_disk_of(size: &str) -> Self {
        Self::start_as(None, Some(size.to_owned()))
    }

    /// One for all tests that run meanwhile and have databases of their own: it takes seconds to
    /// start.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Engine>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let engine = Arc::new(Self::start());
            *shared = Arc::downgrade(&engine);
            engine
        })
    }

    /// Over TLS.
    pub fn start_with(pair: Option<(PathBuf, PathBuf)>) -> Self {
        Self::start_as(pair, None)
    }

    fn start_as(pair: Option<(PathBuf, PathBuf)>, disk: Option<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, process) = (free_port(), Running::default());
        let mut engine = Self { folder, port, pair, disk, process };
        engine.start_again();
        engine
    }

    /// Starts it after [`Self::stop`], where it was, with what it has stored.
    pub fn start_again(&mut self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("../target/test-venv/bin/python");
        assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
        let mut command = match &self.disk {
            None => Command::new(python),
            Some(size) => on_disk_of(size, self.folder.path(), &python),
        };
        command.arg(root.join("src/clickhouse_engine.py")).arg(self.folder.path().join("data"));
        command.args([&self.port.to_string(), USER, PASSWORD]);
        if let Some((certificate, key)) = &self.pair {
            command.args([certificate, key]);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().expect("Python runs");
        let mut line = String::new();
        let told = BufReader::new(process.stdout.as_mut().expect("a pipe")).read_line(&mut line);
        self.process = Running(Some(process));
        assert!(told.is_ok() && line == "ready\n", "the engine does not start");
    }

    /// Ends it in good order; what it has stored stays.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Leaves no room on the disk that it has for itself.
    pub fn fill_disk(&self) {
        let mut file = File::create(self.ballast()).expect("there is room");
        let error = io::copy(&mut io::repeat(1), &mut file).expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    /// Takes back what [`Self::fill_disk`] has put there.
    pub fn clear_disk(&self) {
        fs::remove_file(self.ballast()).expect("it is there");
    }

    /// The disk is there for the process alone.
    fn ballast(&self) -> PathBuf {
        let folder = self.folder.path().display();
        format!("/proc/{}/root{folder}/ballast", self.process_id()).into()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn process_id(&self) -> u32 {
        self.process.0.as_ref().expect("it runs").id()
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        match self.pair {
            None => format!("http://127.0.0.1:{}", self.port),
            Some(_) => format!("https://localhost:{}", self.port),
        }
    }

    /// What the engine says, by no client of ours, as values with tabs between them. Not over TLS.
    #[track_caller]
    pub fn ask(&self, statement: &str) -> String {
        ask(self.port, statement)
    }

    /// The one number that the engine says.
    #[track_caller]
    pub fn number(&self, statement: &str) -> u64 {
        let answer = self.ask(statement);
        answer.trim().parse().unwrap_or_else(|_| panic!("{statement}: {answer}"))
    }

    pub fn fault(&self, fault: &Fault) {
        self.control("/_fault", &serde_json::to_string(fault).expect("JSON"));
    }

    /// Nothing fails from now on, but for what is under way.
    pub fn heal(&self) {
        self.control("/_heal", "");
    }

    pub fn release(&self) {
        self.control("/_release", "");
    }

    /// From now on only who knows this password gets in. [`Self::ask`] does not.
    pub fn set_password(&self, password: &str) {
        self.control("/_password", &format!("{{\"password\": {password:?}}}"));
    }

    pub fn stats(&self) -> Stats {
        serde_json::from_str(&self.control("/_stats", "")).expect("JSON")
    }

    fn control(&self, path: &str, body: &str) -> String {
        let (status, answer) = post(self.port, path, "", body).expect("an answer");
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

/// The beginning of a command that sees a disk of its own where the folder is.
fn on_disk_of(size: &str, folder: &Path, program: &Path) -> Command {
    let mount = format!("mount -t tmpfs -o size={size} none {} && exec \"$@\"", folder.display());
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &mount, "sh"]).arg(program);
    command
}
