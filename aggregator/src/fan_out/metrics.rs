//! What became of the records that each sink was given. For every sink, what was given is what was
//! delivered, what waits and what was dropped, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use sinks::DeliveryCounters;

use super::FanOut;

/// The counters of every outlet, read when they are asked for.
#[derive(Debug)]
pub struct SinkMetrics(pub FanOut);

type Of = fn(&DeliveryCounters) -> &AtomicU64;

/// A counter's name, what it counts, and where it is.
type Row = (&'static str, &'static str, Of);

const COUNTERS: [Row; 3] = [
    ("fyke_sink_given", "Records meant for the sink", |it| &it.given),
    ("fyke_sink_delivered", "Records the sink acknowledged", |it| &it.delivered),
    ("fyke_sink_retries", "Attempts repeated because the sink was away", |it| &it.retries),
];

/// The values of the `reason` label.
const DROPPED: [(&str, Of); 3] = [
    ("queue_full", |it| &it.queue_full),
    ("refused", |it| &it.refused),
    ("abandoned", |it| &it.abandoned),
];

impl Collector for SinkMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let sinks: Vec<_> = self.0.counters().collect();
        for (name, help, of) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (sink, counters) in &sinks {
                let value = ConstCounter::new(of(counters).load(Ordering::Relaxed));
                value.encode(family.encode_family(&[("sink", *sink)])?)?;
            }
        }
        let help = "Records lost to the sink, by reason";
        let mut family =
            encoder.encode_descriptor("fyke_sink_dropped", help, None, MetricType::Counter)?;
        for (sink, counters) in &sinks {
            for (reason, of) in DROPPED {
                let value = ConstCounter::new(of(counters).load(Ordering::Relaxed));
                value.encode(family.encode_family(&[("sink", *sink), ("reason", reason)])?)?;
            }
        }
        let help = "Records that wait for the sink, or that it has not acknowledged yet";
        let mut family =
            encoder.encode_descriptor("fyke_sink_waiting", help, None, MetricType::Gauge)?;
        for (sink, counters) in &sinks {
            let value = ConstGauge::new(i64::try_from(counters.waiting()).unwrap_or(i64::MAX));
            value.encode(family.encode_family(&[("sink", *sink)])?)?;
        }
        Ok(())
    }
}
