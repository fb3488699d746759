//! The lab with ClickHouse and S3 beside it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cli::demo::judge::Judge;
use cli::demo::lab::cluster::NODES;
use cli::demo::lab::{Family, Host, Lab, Process};
use cli::demo::traffic::{self, Plan, Traffic};
use tests::binary::{built, eventually, metrics, sum};
use tests::clickhouse::{Engine, PASSWORD, USER};
use tests::doorway;
use tests::s3::Moto;

/// What does not happen within this will not happen.
const PATIENCE: Duration = Duration::from_secs(30);

const ADMIN: u16 = 8088;

pub(crate) struct Stand {
    pub(crate) engine: Engine,
    pub(crate) moto: Moto,
    lab: Lab,
}

impl Stand {
    pub(crate) fn new(prefix: &str) -> Self {
        let (engine, moto) = (Engine::start(), Moto::start());
        Lab::down(prefix).expect("a clean start");
        let lab = Lab::up(prefix).expect("a lab");
        let namespace = PathBuf::from("/run/netns").join(lab.namespace(Host::Aggregator));
        for port in [engine.port(), moto.port()] {
            doorway::open(&namespace, port).expect("a way there");
        }
        Self { engine, moto, lab }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.lab.directory().join(name)
    }

    fn collector() -> String {
        format!("{}:4739", Host::Aggregator.address(Family::V4))
    }

    /// Has an aggregator fill the database and the bucket `name` with what two sessions tell it,
    /// until it is asked to end.
    fn fill(&self, name: &str, sessions: impl FnOnce()) {
        self.make(name);
        let mut command = self.lab.command(Host::Aggregator, built("fyke"));
        command.args(["aggregator", "--config"]).arg(self.configuration(name));
        command.env("CH_USERNAME", USER).env("CH_PASSWORD", PASSWORD).env_remove("POD_NAMESPACE");
        command.env("AWS_ACCESS_KEY_ID", "test-key").env("AWS_SECRET_ACCESS_KEY", "test-secret");
        let mut aggregator = self.lab.spawn(name, &mut command).expect("it starts");
        aggregator.wait_until_ready(PATIENCE).expect("it gets ready");
        sessions();
        let ended = eventually(PATIENCE, || {
            let told = metrics(self.lab.command(Host::Aggregator, "bash"), ADMIN);
            sum(&told, "fyke_aggregator_sessions_ended_total") == 2
        });
        assert!(ended, "not all that was sent is read: {}", aggregator.last_words());
        aggregator.stop(PATIENCE).expect("it ends in good order");
    }

    /// Makes the tables and the bucket.
    fn make(&self, name: &str) {
        let mut migrate = Command::new(built("fyke"));
        migrate.args(["clickhouse", "migrate", "--database", name, "--url", &self.engine.url()]);
        let migrated = migrate.env("CH_USERNAME", USER).env("CH_PASSWORD", PASSWORD).output();
        let migrated = migrated.expect("it runs");
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        self.moto.judge().make(name);
    }

    fn configuration(&self, name: &str) -> PathBuf {
        let text = format!(
            "aggregatorTransportProtocol: tcp\nlisten: {{ipfix: '{}', grpc: off}}\n\
             kubernetes: off\nadminAddress: 127.0.0.1:{ADMIN}\napiServer: {{apiPort: 0}}\n\
             activeFlowRecordTimeout: 2s\ninactiveFlowRecordTimeout: 6s\ndataDirectory: '{}'\n\
             clickHouse: {{enable: true, database: {name}, databaseURL: '{}', commitInterval: 1s}}\n\
             s3Uploader: {{enable: true, bucketName: {name}, endpoint: '{}', uploadInterval: 1s}}\n",
            Self::collector(),
            self.file(&format!("{name}-data")).display(),
            self.engine.url(),
            self.moto.endpoint(),
        );
        let path = self.file(&format!("{name}.conf"));
        fs::write(&path, text).expect("a file");
        path
    }

    /// Drives connections of all kinds through the lab; they and their ends are told as they come.
    /// Returns how many there were.
    pub(crate) fn drive(&self, name: &str) -> usize {
        let plan = Plan::new(20).expect("a plan");
        let fyke = built("fyke");
        traffic::start_servers(&self.lab, &fyke).expect("servers");
        self.fill(name, || {
            let exporters = NODES.map(|node| self.exporter(node.host, node.name));
            let judge = Judge::start(&self.lab).expect("a judge");
            let mut traffic = Traffic::start(&self.lab, &fyke, &plan).expect("traffic");
            let arrived = eventually(PATIENCE, || traffic.is_done().expect("all bytes arrive"));
            assert!(arrived, "the traffic is not through");
            Judge::wait_for_the_end(&self.lab, PATIENCE, || Ok(())).expect("the kernels forget");
            for exporter in exporters {
                exporter.stop(PATIENCE).expect("it ends in good order");
            }
            judge.finish(Some(self.lab.directory())).expect("nothing was missed");
        });
        plan.flows()
    }

    /// Keeps what it sends, so that it can be sent again.
    fn exporter(&self, host: Host, node: &str) -> Process {
        let mut command = self.lab.command(host, built("fyke"));
        command.args(["exporter", "--node", node, "--profile", "fyke"]);
        command.args(["--collector", &Self::collector()]);
        command.arg("--cluster").arg(self.lab.cluster_file());
        command.arg("--copy").arg(self.file(&format!("{node}.ipfix")));
        command.args(["--active-timeout", "2s", "--idle-timeout", "3s", "--poll-interval", "3s"]);
        let mut exporter = self.lab.spawn(node, &mut command).expect("it starts");
        exporter.wait_until_ready(PATIENCE).expect("it gets ready");
        exporter
    }

    /// What `conntrack -E` printed on each Node.
    pub(crate) fn told_by_kernels(&self) -> [String; 2] {
        NODES.map(|node| {
            let file = self.file(&format!("{}.conntrack", node.name));
            fs::read_to_string(file).expect("it was kept")
        })
    }

    /// What both exporters sent is sent again, but for the longest message of each.
    pub(crate) fn replay_without_the_longest_messages(&self, name: &str) {
        self.fill(name, || {
            for node in NODES {
                let file = self.file(&format!("{}.ipfix", node.name));
                let whole = fs::read(&file).expect("it was kept");
                fs::write(&file, without_the_longest(&whole)).expect("a file");
                let mut command = self.lab.command(node.host, "bash");
                let script =
                    format!("cat \"$0\" > /dev/tcp/{}", Self::collector().replace(':', "/"));
                let sent = command.args(["-c", &script]).arg(file).status().expect("bash runs");
                assert!(sent.success(), "{sent}");
            }
        });
    }
}

/// All messages but one that has records for sure. Each says its length (RFC 7011, section 3.1).
fn without_the_longest(mut messages: &[u8]) -> Vec<u8> {
    let mut split = Vec::new();
    while let [_, _, high, low, ..] = messages {
        let (message, rest) = messages.split_at(u16::from_be_bytes([*high, *low]).into());
        split.push(message);
        messages = rest;
    }
    let longest = split.iter().enumerate().max_by_key(|(_, message)| message.len());
    split.remove(longest.expect("messages").0);
    split.concat()
}
