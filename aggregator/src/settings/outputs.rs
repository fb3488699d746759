//! What the configuration means for outputs.

use flow::{Contents, Mode, Uid};
#[cfg(feature = "s3")]
use sinks::s3;
use sinks::{click_house, ipfix, json, log};

use super::Settings;
use super::flow_collector::Format;
use crate::enrich::Wanted;

/// The file in which the output to ClickHouse notes how far it has come, beside the spool's.
const CLICK_HOUSE_NOTE: &str = "click_house.note";

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Ipfix(ipfix::Options),
    Json(json::Options),
    Log(log::Options),
    ClickHouse(click_house::Options),
    #[cfg(feature = "s3")]
    S3(s3::Options),
}

/// Every output that can change while the aggregator runs, by the name that logs and metrics call
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outputs {
    pub flow_collector: Option<Output>,
    pub flow_log: Option<Output>,
    pub log: Option<Output>,
    pub click_house: Option<Output>,
    pub s3: Option<Output>,
}

impl Outputs {
    pub fn by_name(self) -> [(&'static str, Option<Output>); 5] {
        [
            ("flow_collector", self.flow_collector),
            ("flow_log", self.flow_log),
            ("log", self.log),
            ("click_house", self.click_house),
            ("s3", self.s3),
        ]
    }
}

impl Settings {
    /// `uuid` is the cluster's, if it is known; `mode` the one in which this process was started.
    pub fn outputs(&self, uuid: Option<Uid>, mode: Mode) -> Outputs {
        let lines = |path: &std::path::PathBuf| log::Options {
            path: path.clone(),
            rotation: None,
            format: log::Format::JsonLines,
            filters: Vec::new(),
        };
        let note = self.storage.spool().map(|spool| spool.directory.join(CLICK_HOUSE_NOTE));
        Outputs {
            flow_collector: self.flow_collector(uuid, mode),
            flow_log: self.flow_logger.options().map(Output::Log),
            log: self.record_log.value.as_ref().map(lines).map(Output::Log),
            click_house: self.click_house.options(uuid, note).map(Output::ClickHouse),
            s3: self.s3(uuid),
        }
    }

    #[cfg(feature = "s3")]
    fn s3(&self, uuid: Option<Uid>) -> Option<Output> {
        let spool = self.storage.spool().map(|spool| spool.directory);
        self.s3.options(uuid, spool).map(Output::S3)
    }

    /// [`Settings::check_build`] has refused to have one.
    #[cfg(not(feature = "s3"))]
    fn s3(&self, _uuid: Option<Uid>) -> Option<Output> {
        None
    }

    /// What records are completed with.
    pub fn wanted(&self) -> Wanted {
        let collector = &self.flow_collector;
        let uids = collector.enable.value && collector.uids.value;
        Wanted { pod_labels: self.pod_labels.value, uids }
    }

    fn flow_collector(&self, uuid: Option<Uid>, mode: Mode) -> Option<Output> {
        let it = &self.flow_collector;
        let to = it.far_end()?;
        let contents = Contents { names: it.names.value, uids: it.uids.value, mode };
        let name = self.cluster_id.value.clone();
        let cluster_id = name.or_else(|| uuid.map(|uuid| uuid.to_string())).unwrap_or_default();
        Some(match it.format.value {
            Format::Json => Output::Json(json::Options { to, contents, cluster_id }),
            Format::Ipfix => Output::Ipfix(ipfix::Options {
                to,
                domain: it.domain.value.unwrap_or_else(|| domain_of(uuid)),
                max_message: it.max_message(),
                template_refresh: it.template_refresh(),
                profile: it.profile(),
                contents,
                cluster_id,
            }),
        })
    }
}

/// A cluster that nobody knows counts as one with a UUID of zeros.
fn domain_of(uuid: Option<Uid>) -> u32 {
    ipfix::observation_domain(uuid.map_or([0; 16], |uuid| uuid.0))
}
