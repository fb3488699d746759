//! What is shown of watches.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{KindState, LeftOut, Progress};
use crate::client::Reason;

/// How watches are doing, asked when somebody reads the metrics.
#[derive(Debug)]
pub struct Watching(pub Vec<Progress>);

/// A counter's name, what it counts, and its value.
type Row = (&'static str, &'static str, fn(&KindState) -> u64);

const COUNTERS: [Row; 6] = [
    ("watch_events", "Objects told by the API server", |it| it.events),
    ("watch_lists", "Complete lists of a kind", |it| it.lists),
    ("watch_restarts", "Times a watch began anew", |it| {
        Reason::ALL.iter().map(|reason| it.restarts.of(*reason)).sum()
    }),
    ("watch_left_out", "Objects, or parts, not taken over", |it| {
        LeftOut::ALL.iter().map(|what| it.left_out.of(*what)).sum()
    }),
    ("watch_probes", "Short watches for certainty", |it| it.probes),
    ("watch_probes_vain", "Short watches that brought no certainty", |it| it.probes_vain),
];

impl Collector for Watching {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let kinds: Vec<_> = self.0.iter().flat_map(Progress::kinds).collect();
        for (name, help, value) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (kind, state) in &kinds {
                let counter = ConstCounter::new(value(state));
                counter.encode(family.encode_family(&[("kind", kind.name())])?)?;
            }
        }
        let help = "1 while a kind is followed without a gap";
        let gauge = MetricType::Gauge;
        let mut family = encoder.encode_descriptor("watch_following", help, None, gauge)?;
        for (kind, state) in &kinds {
            let gauge = ConstGauge::new(i64::from(state.followed_since_ms.is_some()));
            gauge.encode(family.encode_family(&[("kind", kind.name())])?)?;
        }
        Ok(())
    }
}
