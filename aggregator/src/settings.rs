//! How an aggregator is configured: by its command line, its environment and its file, in this
//! order.
//!
//! The file is Antrea's `flow-aggregator.conf`, with more keys. Each module describes the keys of
//! a section, once, and reads, checks and writes them.
mod keys; // all of them, in order
mod values; // how values are read
mod aggregation; // how records become flows
mod input; // where they come from
mod cluster; // which cluster this is
mod api; // who is answered
mod flow_collector; // outputs: IPFIX and JSON
mod click_house; // ClickHouse
mod s3; // S3
mod flow_logger; // a file as Antrea's
mod storage; // what is kept on disk
mod outputs; // what all that means for outputs
mod sources; // the file and flags, read
mod change; // what a running aggregator can take over
mod print; // the configuration in force, as a file
pub mod reference; // the shipped file and the reference

use std::path::PathBuf;

use config::write::Line;
use config::{Chain, Findings, Setting, Severity, Sources};
use flow::Mode;
use sinks::ipfix::IpfixSink;
use sinks::json::JsonSink;

pub use aggregation::Aggregation;
pub use api::{Api, Stream, TlsVersion};
pub use click_house::{ClickHouse, ClickHouseServer};
pub use cluster::Cluster;
pub use flow_collector::FlowCollector;
pub use flow_logger::FlowLogger;
pub use input::Input;
pub use keys::FILE;
pub use outputs::{Output, Outputs};
pub use s3::S3;
pub(crate) use sources::variables;
pub use sources::{File, Text};
pub(crate) use storage::OFF;
pub use storage::{Storage, StoreSettings};
pub use values::{Listener, Transport};

use keys::{Reload, SECTIONS};

/// The configuration in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub aggregation: Aggregation,
    /// Whether records have the labels of their Pods.
    pub pod_labels: Setting<bool>,
    /// What outputs call this cluster, instead of its UUID.
    pub cluster_id: Setting<Option<String>>,
    pub input: Input,
    pub api: Api,
    pub flow_collector: FlowCollector,
    pub click_house: ClickHouse,
    pub s3: S3,
    pub flow_logger: FlowLogger,
    pub stream: Stream,
    pub record_log: Setting<Option<PathBuf>>,
    pub storage: Storage,
    pub cluster: Cluster,
    /// There is nothing but the command line to go by.
    pub is_plain: bool,
}

/// Everything as it was read at one time.
#[derive(Debug)]
pub struct Loaded {
    /// `None` if it is refused.
    pub settings: Option<Settings>,
    pub findings: Findings,
    pub text: Text,
}

impl Settings {
    /// Puts together what all sources say. `None` if it is refused; the findings say why, and
    /// whatever else there is to say.
    pub fn resolve(mut sources: Sources) -> (Option<Self>, Findings) {
        let settings = Self::pick(&mut sources);
        let mut findings = sources.findings;
        if let Some(settings) = &settings {
            settings.check_whole(&mut findings);
            for (key, origin) in settings.not_there() {
                let what = format!("{NOT_THERE}; set it to false");
                findings.note(Severity::Doubt, origin.clone(), key, what);
            }
        }
        findings.sort();
        (settings.filter(|_| !findings.any(Severity::Error)), findings)
    }

    fn pick(sources: &mut Sources) -> Option<Self> {
        let is_plain = !sources.has_file(FILE);
        let aggregation = Aggregation::pick(sources);
        let pod_labels = aggregation::pick_pod_labels(sources);
        let cluster_id = cluster::pick_id(sources);
        let input = Input::pick(sources, is_plain);
        let api = Api::pick(sources);
        let flow_collector = FlowCollector::pick(sources);
        let click_house = ClickHouse::pick(sources);
        let s3 = S3::pick(sources);
        let flow_logger = FlowLogger::pick(sources);
        let stream = Stream::pick(sources);
        let record_log = storage::pick_log(sources);
        let storage = Storage::pick(sources);
        let cluster = Cluster::pick(sources);
        Some(Self {
            aggregation: aggregation?,
            pod_labels: pod_labels?,
            cluster_id,
            input: input?,
            api: api?,
            flow_collector: flow_collector?,
            click_house: click_house?,
            s3: s3?,
            flow_logger: flow_logger?,
            stream: stream?,
            record_log,
            storage: storage?,
            cluster: cluster?,
            is_plain,
        })
    }

    /// Every key with its value in force, as [`SECTIONS`] has them.
    fn sections(&self) -> [(Reload, Vec<Line>); SECTIONS.len()] {
        let mut lines = [
            self.aggregation.lines(),
            aggregation::pod_labels_lines(&self.pod_labels),
            cluster::id_lines(&self.cluster_id),
            self.input.lines(),
            self.api.lines(),
            self.flow_collector.lines(),
            self.click_house.lines(),
            self.s3.lines(),
            self.flow_logger.lines(),
            self.stream.lines(),
            storage::log_lines(&self.record_log),
            self.storage.lines(),
            self.cluster.lines(),
        ]
        .into_iter();
        SECTIONS.map(|section| (section.reload, lines.next().unwrap_or_default()))
    }

    /// Mistakes of settings that were not read together.
    pub(crate) fn mistakes(&self) -> Findings {
        let mut findings = Findings::default();
        self.check_whole(&mut findings);
        findings
    }

    fn check_whole(&self, findings: &mut Findings) {
        self.check_mode(findings);
        self.check_collector(findings);
    }

    /// Says what does not go with the mode, as Antrea does.
    fn check_mode(&self, findings: &mut Findings) {
        if self.aggregation.mode.value == Mode::Aggregate {
            return;
        }
        let asked = |setting: &Setting<bool>| setting.value.then(|| setting.origin.clone());
        let data = &self.storage.data;
        for (key, origin) in [
            (&click_house::ENABLE, asked(&self.click_house.enable)),
            (&s3::ENABLE, asked(&self.s3.enable)),
            (&flow_logger::ENABLE, asked(&self.flow_logger.enable)),
            (&storage::DATA, data.value.as_ref().map(|_| data.origin.clone())),
        ] {
            if let Some(origin) = origin {
                let what = "cannot be had with mode: Proxy, which sends to flowCollector alone";
                findings.note(Severity::Error, origin, key.name(), what);
            }
        }
    }

    /// Says what could never be sent.
    fn check_collector(&self, findings: &mut Findings) {
        let outputs = self.outputs(None, self.aggregation.mode.value);
        let made = match outputs.flow_collector {
            Some(Output::Ipfix(options)) => IpfixSink::new(options).map(drop),
            Some(Output::Json(options)) => JsonSink::new(options).map(drop),
            _ => return,
        };
        if let Err(error) = made {
            let (key, origin) = (flow_collector::ENABLE.name(), &self.flow_collector.enable.origin);
            let what = format!("cannot work as it is told to: {}", Chain(&error));
            findings.note(Severity::Error, origin.clone(), key, what);
        }
    }

    /// What is asked for that this build does not have.
    fn not_there(&self) -> Vec<(&'static str, &config::Origin)> {
        let asked = [(&s3::ENABLE, &self.s3.enable, cfg!(not(feature = "s3")))];
        let asked =
            asked.into_iter().filter(|(_, setting, is_missing)| setting.value && *is_missing);
        let asked = asked.map(|(key, setting, _)| (key, setting));
        asked.map(|(key, setting)| (key.name(), &setting.origin)).collect()
    }

    /// Returns an error if something is asked for that this build does not have.
    pub fn check_build(&self) -> Result<(), NotThere> {
        match self.not_there().first() {
            None => Ok(()),
            Some((key, origin)) => Err(NotThere { key, origin: origin.to_string() }),
        }
    }
}

const NOT_THERE: &str = "this build does not have that output yet";

/// Something is asked for that this build does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {key} is true, but {NOT_THERE}; set it to false")]
pub struct NotThere {
    key: &'static str,
    origin: String,
}

#[cfg(test)]
mod tests;
