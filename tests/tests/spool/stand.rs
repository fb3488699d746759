//! An aggregator with a store, a log and a spool, and who sends it records.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flow::FlowRecord;
use tests::binary::{built, eventually, metrics, signal, sum, value};
use tests::numbered::number;
use tests::ports::free_port;

/// What does not happen within this will not happen.
const PATIENCE: Duration = Duration::from_mins(5);

/// Addresses of flows begin here, and each has this many ports.

#[derive(Debug)]
pub(crate) struct Stand {
    folder: tempfile::TempDir,
    process: Option<Child>,
    listen: SocketAddr,
    admin: SocketAddr,
    starts: usize,
}

impl Stand {
    pub(crate) fn new() -> Self {
        let none = SocketAddr::from(([127, 0, 0, 1], 0));
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, process: None, listen: none, admin: none, starts: 0 }
    }

    pub(crate) fn start(&mut self, arguments: &[&str]) {
        self.start_by(Command::new(built("fyke")), arguments);
    }

    /// Starts it with a mistake made on purpose.
    pub(crate) fn start_with_fault(&mut self, fault: &str) {
        let mut command = Command::new(built("fyke-faults"));
        command.env("FYKE_FAULT", fault);
        self.start_by(command, &[]);
    }

    /// Starts it with the spool on a disk of its own, of `size`, that is gone with the process.
    pub(crate) fn start_on_small_disk(&mut self, size: &str) {
        let disk = self.folder.path().join("disk");
        fs::create_dir(&disk).expect("a place for the disk");
        let mount = format!("mount -t tmpfs -o size={size} none {} && exec \"$@\"", disk.display());
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &mount, "sh"]).arg(built("fyke"));
        let spool = disk.join("spool");
        self.start_by(command, &["--spool", spool.to_str().expect("UTF-8")]);
    }

    fn start_by(&mut self, mut command: Command, arguments: &[&str]) {
        let free = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        (self.listen, self.admin) = (free(), free());
        self.starts += 1;
        let mut process = command
            .args(["aggregator", "--listen", &self.listen.to_string()])
            .args(["--admin", &self.admin.to_string()])
            .arg("--data")
            .arg(self.data())
            .arg("--log")
            .arg(self.log())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(File::create(self.said_in()).expect("a file"))
            .spawn()
            .expect("the aggregator starts");
        let mut ready = [0; 6];
        let read = process.stdout.as_mut().expect("a pipe").read_exact(&mut ready);
        self.process = Some(process);
        assert!(read.is_ok() && &ready == b"ready\n", "{}", self.words());
    }

    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("flows")
    }

    fn said_in(&self) -> PathBuf {
        self.folder.path().join(format!("said-{}", self.starts))
    }

    pub(crate) fn words(&self) -> String {
        fs::read_to_string(self.said_in()).unwrap_or_default()
    }

    pub(crate) fn said(&self, what: &str) -> bool {
        self.words().contains(what)
    }

    pub(crate) fn metrics(&self) -> String {
        metrics(Command::new("bash"), self.admin.port())
    }

    pub(crate) fn value(&self, name: &str) -> u64 {
        value(&self.metrics(), name)
    }

    /// Waits until a metric is as it should be, and returns it.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, is_so: impl Fn(u64) -> bool) -> u64 {
        let mut now = 0;
        let came = eventually(PATIENCE, || {
            now = self.value(name);
            is_so(now)
        });
        assert!(came, "{name} is {now}:\n{}\n{}", self.metrics(), self.words());
        now
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("its end");
    }

    /// Waits until it ends by itself; returns whether it says that all is well.
    pub(crate) fn end_of_itself(&mut self) -> bool {
        let mut process = self.process.take().expect("it runs");
        let mut status = None;
        let ended = eventually(PATIENCE, || {
            status = process.try_wait().expect("its state");
            status.is_some()
        });
        if !ended {
            process.kill().expect("it can be killed");
            process.wait().expect("its end");
        }
        assert!(ended, "it goes on: {}", self.words());
        status.is_some_and(|status| status.success())
    }

    /// Asks it to end, which it must do well and in time.
    #[track_caller]
    pub(crate) fn end(&mut self, within: Duration) {
        let succeeded = self.end_anyhow(within);
        assert!(succeeded, "{}", self.words());
    }

    /// Asks it to end, which it must do in time; returns whether it says that it lost nothing.
    #[track_caller]
    pub(crate) fn end_anyhow(&mut self, within: Duration) -> bool {
        let mut process = self.process.take().expect("it runs");
        let asked = Instant::now();
        signal(process.id(), "TERM");
        let status = process.wait().expect("it ends");
        let took = asked.elapsed();
        assert!(took < within, "{took:?}: {}", self.words());
        status.success()
    }

    pub(crate) fn log_lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.log()).expect("a log");
        text.lines().map(str::to_owned).collect()
    }

    /// The numbers of all stored records.
    pub(crate) fn stored(&self) -> Vec<u64> {
        let reader = store::Reader::open(&self.data()).expect("a store");
        let mut numbers = Vec::new();
        reader.rows(|row| numbers.push(number_of(&row.record))).expect("rows");
        numbers
    }

    /// Oldest first.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data().join("spool")).expect("a spool");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|it| it == "segment");
        let mut paths: Vec<_> = paths.filter(is_segment).collect();
        paths.sort();
        paths
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// What became of the records a sink was given.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) given: u64,
    pub(crate) delivered: u64,
    pub(crate) waiting: u64,
    pub(crate) dropped: u64,
}

impl Account {
    pub(crate) fn of(stand: &Stand, sink: &str) -> Self {
        let all = stand.metrics();
        let one = |name: &str| value(&all, &format!("fyke_sink_{name}{{sink=\"{sink}\"}}"));
        let label = format!("sink=\"{sink}\"");
        let drops = all.lines().filter(|line| line.starts_with("fyke_sink_dropped_total"));
        let drops: String =
            drops.filter(|line| line.contains(&label)).collect::<Vec<_>>().join("\n");
        Self {
            given: one("given_total"),
            delivered: one("delivered_total"),
            waiting: one("waiting"),
            dropped: sum(&drops, "fyke_sink_dropped_total"),
        }
    }

    #[track_caller]
    pub(crate) fn check(&self) {
        assert_eq!(self.given, self.delivered + self.waiting + self.dropped, "{self:?}");
    }
}

fn number_of(record: &FlowRecord) -> u64 {
    let std::net::IpAddr::V4(source) = record.key.source else { panic!("{record:?}") };
    number(source, record.key.source_port.into())
}

/// The number of the record in a line of the log.
pub(crate) fn number_in(line: &str) -> u64 {
    let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let source: Ipv4Addr = serde_json::from_value(object["sourceIP"].clone()).expect("an address");
    let port = object["sourceTransportPort"].as_u64().expect("a port");
    number(source, port)
}

/// A pipe in the place of the log, that nobody reads until somebody does.
#[derive(Debug)]
pub(crate) struct Pipe {
    path: PathBuf,
    /// Keeps whoever writes from failing, and from waiting when it opens the pipe.
    end: Option<File>,
}

impl Pipe {
    pub(crate) fn new(path: &Path) -> Self {
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.expect("mkfifo runs").success());
        let end = File::options().read(true).write(true).open(path).expect("a pipe");
        Self { path: path.to_owned(), end: Some(end) }
    }

    /// Reads from now on.
    pub(crate) fn read(mut self) -> Reading {
        let file = File::open(&self.path).expect("a pipe");
        // From now on the end of the writer is the end of the pipe.
        drop(self.end.take());
        let thread = std::thread::spawn(move || {
            BufReader::new(file).lines().map(|line| line.expect("text")).collect()
        });
        Reading { thread, _pipe: self }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

#[derive(Debug)]
pub(crate) struct Reading {
    _pipe: Pipe,
    thread: JoinHandle<Vec<String>>,
}

impl Reading {
    /// What was read once the writer has ended.
    pub(crate) fn finish(self) -> Vec<String> {
        self.thread.join().expect("it does not panic")
    }
}
