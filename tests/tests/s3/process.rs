//! A whole aggregator that stores flows in S3.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::binary::{built, eventually, metrics, signal, value};
use tests::numbered::Sender;
use tests::ports::free_port;
use tests::s3::Moto;
use tests::s3::proxy::{Mode, Proxy};

use super::{moto, numbers};

const PATIENCE: Duration = Duration::from_mins(2);
const SPOOL: &str = "spool: {directory: spool}\n";
const SECRET: &str = "hunter2-is-not-told";

struct Aggregator {
    folder: TempDir,
    process: Option<Child>,
    listen: u16,
    admin: u16,
}

impl Aggregator {
    /// Keeps records in a spool.
    fn start(more: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_bare(&format!("{SPOOL}{more}"), environment)
    }

    fn start_bare(more: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut it = Self { folder, process: None, listen: 0, admin: 0 };
        it.begin(more, environment);
        it
    }

    /// Starts in the same folder again.
    fn again(&mut self, more: &str, environment: &[(&str, &str)]) {
        self.begin(&format!("{SPOOL}{more}"), environment);
    }

    fn begin(&mut self, more: &str, environment: &[(&str, &str)]) {
        (self.listen, self.admin) = (free_port(), free_port());
        let text = format!(
            "aggregatorTransportProtocol: tcp\n\
             listen: {{ipfix: '127.0.0.1:{}', grpc: off}}\nkubernetes: off\n\
             adminAddress: 127.0.0.1:{}\napiServer: {{apiPort: 0}}\n\
             {more}",
            self.listen, self.admin
        );
        fs::write(self.folder.path().join("flow-aggregator.conf"), text).expect("a file");
        let log = File::create(self.folder.path().join("log")).expect("a file");
        let mut command = Command::new(built("fyke"));
        command.args(["aggregator", "--config", "flow-aggregator.conf"]);
        command.current_dir(self.folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(environment.iter().copied());
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
        let mut ready = [0; 6];
        let told = process.stdout.as_mut().expect("a pipe").read_exact(&mut ready);
        self.process = Some(process);
        assert!(told.is_ok() && &ready == b"ready\n", "{}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }

    fn value(&self, name: &str) -> u64 {
        value(&metrics(Command::new("bash"), self.admin), name)
    }

    #[track_caller]
    fn wait_for(&self, name: &str, is_so: impl Fn(u64) -> bool) -> u64 {
        let mut now = 0;
        let came = eventually(PATIENCE, || {
            now = self.value(name);
            is_so(now)
        });
        assert!(came, "{name} is {now}: {}", self.log());
        now
    }

    fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("its end");
    }

    #[track_caller]
    fn end(&mut self) {
        let took = self.end_at_leisure();
        assert!(took < Duration::from_secs(5), "{}", self.log());
    }

    #[track_caller]
    fn end_at_leisure(&mut self) -> Duration {
        let mut process = self.process.take().expect("it runs");
        let asked = Instant::now();
        signal(process.id(), "TERM");
        let status = process.wait().expect("it ends");
        assert!(status.success(), "{}", self.log());
        assert!(self.log().contains("everything is flushed"), "{}", self.log());
        asked.elapsed()
    }
}

impl Drop for Aggregator {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

fn send(port: u16, numbers: Range<u64>) -> Sender {
    Sender::start(SocketAddr::from(([127, 0, 0, 1], port)), numbers)
}

fn send_all(port: u16, numbers: Range<u64>) {
    let end = numbers.end;
    assert_eq!(send(port, numbers).finish(), end);
}

fn section(endpoint: &str, bucket: &str, more: &str) -> String {
    format!("s3Uploader: {{enable: true, bucketName: {bucket}, endpoint: '{endpoint}', {more}}}\n")
}

const DELIVERED: &str = "fyke_sink_delivered_total{sink=\"s3\"}";
const WAITING: &str = "fyke_sink_waiting{sink=\"s3\"}";
const KEY: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "test-key"), ("AWS_SECRET_ACCESS_KEY", SECRET)];

#[test]
fn what_waits_for_its_interval_is_stored_when_it_is_asked_to_end() {
    let judge = moto().judge();
    judge.make("ended");
    // Placeholders are nothing: it takes the identity of the web, which moto's STS exchanges.
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "a token").expect("a file");
    let sts = moto().endpoint();
    let environment = [
        ("AWS_ACCESS_KEY_ID", "changeme"),
        ("AWS_SECRET_ACCESS_KEY", "changeme"),
        ("AWS_SESSION_TOKEN", ""),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().expect("UTF-8")),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/flows"),
        ("AWS_ENDPOINT_URL_STS", sts.as_str()),
    ];
    let section = section(&moto().endpoint(), "ended", "uploadInterval: 10m");
    let mut aggregator = Aggregator::start(&section, &environment);
    send_all(aggregator.listen, 0..2_000);
    aggregator.wait_for("fyke_sink_given_total{sink=\"s3\"}", |it| it == 2_000);
    assert_eq!(aggregator.value(DELIVERED), 0);
    aggregator.end();
    let log = aggregator.log();
    assert!(log.contains("placeholder of Antrea's chart"), "{log}");
    let objects = judge.objects("ended");
    assert_eq!(objects.len(), 1);
    assert_eq!(numbers(&objects), (0..2_000).collect::<HashSet<_>>());
}

/// Longer than others may take for their last records.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_its_time_gets_the_last_records_without_a_spool() {
    let judge = moto().judge();
    judge.make("slow");
    let proxy = Proxy::to(moto().port()).await;
    let section = section(&proxy.endpoint(), "slow", "uploadInterval: 10m");
    let mut aggregator = Aggregator::start_bare(&section, &KEY);
    send_all(aggregator.listen, 0..2_000);
    aggregator.wait_for("fyke_sink_given_total{sink=\"s3\"}", |it| it == 2_000);
    proxy.set(Mode::Late(Duration::from_secs(6)));
    assert!(aggregator.end_at_leisure() > Duration::from_secs(6), "{}", aggregator.log());
    assert_eq!(numbers(&judge.objects("slow")), (0..2_000).collect::<HashSet<_>>());
}

#[test]
fn a_server_that_is_away_and_comes_back_gets_everything() {
    let port = free_port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let section = section(&endpoint, "away", "uploadInterval: 1s, recordFormat: CSV");
    let environment = [KEY[0], KEY[1], ("RUST_LOG", "debug")];
    let mut aggregator = Aggregator::start(&section, &environment);
    send_all(aggregator.listen, 0..5_000);
    aggregator
        .wait_for("fyke_sink_failures_total{sink=\"s3\",reason=\"unreachable\"}", |failures| {
            failures > 1
        });
    // A new process goes on with what the old one kept.
    aggregator.kill();
    aggregator.again(&section, &environment);
    let moto = Moto::start_on(port);
    moto.judge().make("away");
    aggregator.wait_for(DELIVERED, |it| it == 5_000);
    assert_eq!(numbers(&moto.judge().objects("away")), (0..5_000).collect::<HashSet<_>>());
    // Away once more: what it had is gone with it, what comes meanwhile is not.
    drop(moto);
    send_all(aggregator.listen, 5_000..7_000);
    aggregator
        .wait_for("fyke_sink_failures_total{sink=\"s3\",reason=\"unreachable\"}", |failures| {
            failures > 1
        });
    let moto = Moto::start_on(port);
    moto.judge().make("away");
    aggregator.wait_for(WAITING, |it| it == 0);
    aggregator.end();
    assert_eq!(numbers(&moto.judge().objects("away")), (5_000..7_000).collect::<HashSet<_>>());
    assert!(!aggregator.log().contains(SECRET), "secrets are not told");
}

/// Kills the aggregator `times` while records come, and compares what was stored in the end.
fn kill_under_load(bucket: &str, times: u64, each: u64) {
    let judge = moto().judge();
    judge.make(bucket);
    let more = "uploadInterval: 1s, maxRecordsPerFile: 1500, objectNames: hive, bucketPrefix: p";
    let section = section(&moto().endpoint(), bucket, more);
    let mut aggregator = Aggregator::start(&section, &KEY);
    let mut sent = HashSet::new();
    let mut at_least = 0;
    for time in 0..times {
        let (from, to) = (time * each, (time + 1) * each);
        let sender = send(aggregator.listen, from..to);
        aggregator.wait_for("fyke_sink_objects_total{sink=\"s3\"}", |it| it > 2 + time % 3);
        at_least += aggregator.value("fyke_spool_records_written_total");
        aggregator.kill();
        sent.extend(from..sender.finish());
        aggregator.again(&section, &KEY);
    }
    aggregator.wait_for(WAITING, |it| it == 0);
    aggregator.end();
    let objects = judge.objects(bucket);
    // Each row once: `numbers` looks.
    let stored = numbers(&objects);
    assert!(stored.len() as u64 >= at_least, "{} of {at_least}", stored.len());
    assert!(stored.is_subset(&sent), "only what was sent");
    assert!(objects.iter().all(|object| object.rows.len() <= 1500), "no object is too long");
    eprintln!("{} of {} sent, in {} objects", stored.len(), sent.len(), objects.len());
}

#[test]
fn a_process_that_is_killed_stores_each_row_once() {
    kill_under_load("killed", 3, 60_000);
}

#[test]
#[ignore = "soak: twenty kills take minutes"]
fn a_process_that_is_killed_twenty_times_stores_each_row_once() {
    kill_under_load("killed-often", 20, 60_000);
}
