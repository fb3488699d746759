//! The aggregator as it is started, with ClickHouse among its outputs.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flow::{FlowEndReason, FlowRecord, FlowType, Profile};
use store::clickhouse::Reason;
use tempfile::TempDir;
use tests::binary::{built, eventually, metrics, signal, value};
use tests::clickhouse::{Engine, Fault, PASSWORD, USER, antrea_table};
use tests::ports::free_port;
use tests::wire::Wire;

use crate::delivery::{SUMS, records, sums};

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// An aggregator with a folder of its own.
pub(crate) struct Aggregator {
    folder: TempDir,
    listen: u16,
    admin: u16,
    process: Option<Child>,
}

impl Aggregator {
    pub(crate) fn new(url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (listen, admin) = (free_port(), free_port());
        let aggregator = Self { folder, listen, admin, process: None };
        aggregator.configure(url, "");
        aggregator
    }

    /// From the next start on; `more` is for the output to ClickHouse.
    pub(crate) fn configure(&self, url: &str, more: &str) {
        let (listen, admin) = (self.listen, self.admin);
        let text = format!(
            "aggregatorTransportProtocol: tcp\nlisten: {{ipfix: '127.0.0.1:{listen}', grpc: off}}\n\
             kubernetes: off\nadminAddress: 127.0.0.1:{admin}\napiServer: {{apiPort: 0}}\n\
             dataDirectory: data\nclickHouse: {{enable: true, databaseURL: '{url}', \
             commitInterval: 1s{more}}}\n"
        );
        fs::write(self.folder.path().join("flow-aggregator.conf"), text).expect("a file");
    }

    pub(crate) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"));
        let mut command = Command::new(built("fyke"));
        command.args(["aggregator", "--config", "flow-aggregator.conf"]);
        command.env("CH_USERNAME", USER).env("CH_PASSWORD", PASSWORD).env_remove("POD_NAMESPACE");
        command.current_dir(self.folder.path()).stdout(Stdio::piped());
        let process = command.stderr(log.expect("a file")).spawn().expect("it starts");
        let mut ready = [0; 6];
        let process = self.process.insert(process);
        let told = process.stdout.as_mut().expect("a pipe").read_exact(&mut ready);
        assert!(told.is_ok() && &ready == b"ready\n", "{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn value(&self, name: &str) -> u64 {
        value(&metrics(Command::new("bash"), self.admin), name)
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, is_so: impl Fn(u64) -> bool) {
        let came = eventually(PATIENCE, || is_so(self.value(name)));
        assert!(came, "{name} is {}: {}", self.value(name), self.log());
    }

    /// Sends flows that are over, and that one Node saw all of.
    pub(crate) fn send(&self, numbers: std::ops::Range<u64>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.listen)).expect("it accepts");
        let mut wire = Wire::new(7, Profile::Fyke);
        let mut bytes = wire.templates(0).expect("templates");
        for numbers in numbers.clone().step_by(500).map(|at| at..numbers.end.min(at + 500)) {
            let records: Vec<_> = numbers.clone().zip(records(numbers)).map(ended).collect();
            bytes.extend(wire.records(&records, 0).expect("they fit"));
            stream.write_all(&bytes).expect("it reads");
            bytes.clear();
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// A connection of its own.
fn ended((number, record): (u64, FlowRecord)) -> FlowRecord {
    let mut record = FlowRecord {
        flow_id: number + 1,
        end_reason: FlowEndReason::EndOfFlow,
        flow_type: FlowType::ToExternal,
        source: flow::Endpoint { pod: "web-0".into(), ..Default::default() }.into(),
        ..record
    };
    record.start_ms += number;
    record.key.source_port = 1 + u16::try_from(number).expect("few of them");
    record
}

impl Drop for Aggregator {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) const DELIVERED: &str = "fyke_sink_delivered_total{sink=\"click_house\"}";

/// Attempts that failed for a reason.
pub(crate) fn failed(reason: Reason) -> String {
    format!("fyke_sink_inserts_failed_total{{sink=\"click_house\",reason=\"{reason}\"}}")
}

/// But for the sum of `octetDeltaCount`: what is told of each flow is all there was.
pub(crate) fn totals(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let mut columns: Vec<_> = line.split('\t').collect();
        columns.remove(4);
        columns.join(" ")
    };
    text.lines().map(line).collect()
}

#[test]
fn flows_arrive_once_though_the_aggregator_is_killed() {
    const FLOWS: u64 = 20_000;
    let engine = Engine::start();
    engine.ask(&antrea_table("flows"));
    let mut aggregator = Aggregator::new(&engine.url());
    aggregator.start();
    let insert = |fault: Fault| Fault { text: "INSERT".into(), times: 1, ..fault };
    // The server has a block and cannot say so, and is asked again when the aggregator is killed.
    engine.fault(&insert(Fault { no_answer: true, ..Fault::default() }));
    engine.fault(&insert(Fault { hold: true, ..Fault::default() }));
    aggregator.send(1..FLOWS / 2);
    aggregator.wait_for(&failed(Reason::Unreachable), |it| it > 0);
    assert!(eventually(PATIENCE, || engine.stats().held > 0));
    aggregator.send(FLOWS / 2..FLOWS);
    aggregator.wait_for("fyke_spool_records_written_total", |it| it == FLOWS - 1);
    aggregator.kill();
    engine.heal();
    engine.release();
    aggregator.start();
    aggregator.wait_for("fyke_sink_waiting{sink=\"click_house\"}", |it| it == 0);
    assert!(aggregator.value(DELIVERED) > 0);
    assert_eq!(totals(&engine.ask(SUMS)), totals(&sums(1..FLOWS)));
    let log = aggregator.log();
    assert!(log.contains("delivery failed") && !log.contains(PASSWORD), "{log}");
    signal(aggregator.process.as_ref().expect("it runs").id(), "TERM");
    let ended = aggregator.process.take().expect("it runs").wait().expect("it ends");
    assert!(ended.success(), "{}", aggregator.log());
}
