//! What is shown of sessions and Nodes, worked out when it is asked for.

use std::fmt;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Connected, NodeReport};

/// Nodes with metrics of their own: those that have told most. The rest is one sum.
const NODES: usize = 256;
/// What the sum of the rest is called, which is no name of a Node.
const OTHERS: &str = "(others)";

#[derive(Debug)]
pub(super) struct Gauges(pub(super) Connected);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // The kernel's numbers are due at the same moment, and are counters of their own.
        self.0.0.counters.count_drops();
        self.sessions(&mut encoder)?;
        let mut nodes = self.0.nodes(Instant::now());
        self.silent(&mut encoder, &nodes)?;
        nodes.retain(|node| node.records > 0);
        nodes.sort_by_key(|node| std::cmp::Reverse(node.records));
        per_node(&mut encoder, &nodes)
    }
}

impl Gauges {
    fn sessions(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Sessions that are open, by how their messages arrive";
        let name = "fyke_aggregator_sessions_open";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (transport, sessions) in self.0.0.roster.by_transport() {
            let label = [("transport", transport.name())];
            gauge(sessions as u64).encode(metric.encode_family(&label)?)?;
        }
        Ok(())
    }

    fn silent(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        nodes: &[NodeReport],
    ) -> Result<(), fmt::Error> {
        let after = self.0.0.silent_after.as_millis();
        let is_silent = |node: &&NodeReport| node.in_cluster && u128::from(node.silent_ms) >= after;
        let silent = nodes.iter().filter(is_silent).count();
        let help = "Nodes of the cluster that have told nothing for long";
        let name = "fyke_aggregator_nodes_silent";
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        gauge(silent as u64).encode(metric)
    }
}

fn per_node(encoder: &mut DescriptorEncoder<'_>, nodes: &[NodeReport]) -> Result<(), fmt::Error> {
    let (told, others) = nodes.split_at(nodes.len().min(NODES));
    let help = "Records that named the Node";
    let name = "fyke_aggregator_node_records";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    let rest = others.iter().map(|node| node.records).sum::<u64>();
    let rest = (!others.is_empty()).then_some((OTHERS, rest));
    for (name, records) in told.iter().map(|it| (it.name.as_str(), it.records)).chain(rest) {
        ConstCounter::new(records).encode(metric.encode_family(&[("node", name)])?)?;
    }
    for (name, help, value) in [
        (
            "fyke_aggregator_node_last_record_seconds",
            "When the last record that named the Node came, in seconds since 1970",
            (|node| node.last_record_ms.unwrap_or(0) / 1_000) as fn(&NodeReport) -> u64,
        ),
        (
            "fyke_aggregator_node_lag_seconds",
            "How old the newest interval of the Node's last message was when it came",
            |node| node.lag_ms / 1_000,
        ),
    ] {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for node in told {
            let label = [("node", node.name.as_str())];
            gauge(value(node)).encode(metric.encode_family(&label)?)?;
        }
    }
    Ok(())
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
