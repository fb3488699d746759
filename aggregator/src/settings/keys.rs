//! Every setting is described where its section is read; here is the order of the file, and what
//! of it a running aggregator takes over.

use config::{FileKind, Items, Key};

use super::{
    aggregation, api, click_house, cluster, flow_collector, flow_logger, input, s3, storage,
};

/// The aggregator's file: Antrea's, with more keys.
pub const FILE: &str = "flow-aggregator.conf";

pub(super) static KIND: FileKind = FileKind {
    name: FILE,
    // As in Antrea, an unknown key is no reason not to start: it may be of another version.
    sections: Some(&[
        "",
        "recordContents",
        "apiServer",
        "flowCollector",
        "flowCollector.tls",
        "clickHouse",
        "clickHouse.tls",
        "s3Uploader",
        "flowLogger",
        "flowStreamService",
        "listen",
        "tls",
        "limits",
        "store",
        "store.keep",
        "spool",
    ]),
    items: &[Items { path: flow_logger::FILTERS_PATH, keys: &flow_logger::FILTER_KEYS }],
};

/// What becomes of a key that changes while the aggregator runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reload {
    /// It is taken over.
    Live,
    /// It waits for the next start.
    Restart,
}

/// Keys that are read together.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) reload: Reload,
    /// Keys of Antrea's.
    pub(super) antrea: &'static [&'static Key],
    /// Keys of ours.
    pub(super) ours: &'static [&'static Key],
}

impl Section {
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.antrea.iter().chain(self.ours).copied()
    }
}

/// In the order of the shipped file.
pub(super) static SECTIONS: [&Section; 13] = [
    &aggregation::SECTION,
    &aggregation::CONTENTS,
    &cluster::LIVE,
    &input::SECTION,
    &api::SECTION,
    &flow_collector::SECTION,
    &click_house::SECTION,
    &s3::SECTION,
    &flow_logger::SECTION,
    &api::STREAM,
    &storage::LIVE,
    &storage::SECTION,
    &cluster::SECTION,
];

/// All of them.
pub(super) fn all() -> Vec<&'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys()).collect()
}

pub(super) const TRUTH: &str = "true or false";
pub(super) const DURATION: &str = "a duration of 1s or more, such as 5s or 1m30s";
