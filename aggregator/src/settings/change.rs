//! What of a new configuration a running aggregator can take over.

use config::write::Line;

use super::Settings;
use super::keys::Reload;

impl Settings {
    /// Takes over what can change while an aggregator runs: outputs, and what they are told.
    /// Returns the names of what differs and cannot.
    pub(crate) fn take_over(&mut self, new: Self) -> Vec<&'static str> {
        let pairs = self.sections().into_iter().zip(new.sections());
        let waiting = pairs.filter(|((reload, _), _)| *reload == Reload::Restart);
        let waiting = waiting.flat_map(|((_, old), (_, new))| differing(old, new)).collect();
        self.pod_labels = new.pod_labels;
        self.cluster_id = new.cluster_id;
        self.flow_collector = new.flow_collector;
        self.click_house = new.click_house;
        self.s3 = new.s3;
        self.flow_logger = new.flow_logger;
        self.record_log = new.record_log;
        waiting
    }
}

/// Each key is written in its own line, always the same.
fn differing(old: Vec<Line>, new: Vec<Line>) -> impl Iterator<Item = &'static str> {
    old.into_iter().zip(new).filter(|(old, new)| old.value != new.value).map(|(old, _)| old.path)
}
