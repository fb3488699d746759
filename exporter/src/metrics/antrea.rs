//! Antrea's own metrics of its Flow Exporter, for dashboards and alerts that are there already.
//!
//! Names, types and buckets are Antrea's (`pkg/agent/metrics/prometheus.go`). The meaning is that
//! of its documentation: every connection counts once, whatever the number of destinations and of
//! zones that are read, and the first connection to a collector is no reconnection.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::conntrack::TableFill;

/// In seconds.
const BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Debug)]
pub struct AntreaMetrics {
    total: Gauge,
    max: Gauge,
    recorded: Gauge,
    denied: Gauge,
    pub(super) reconnections: Gauge,
    poll: Histogram,
}

impl Default for AntreaMetrics {
    fn default() -> Self {
        let [total, max, recorded, denied, reconnections] = Default::default();
        Self { total, max, recorded, denied, reconnections, poll: Histogram::new(BUCKETS) }
    }
}

impl AntreaMetrics {
    pub fn table(&self, fill: TableFill) {
        super::set(&self.total, fill.count);
        super::set(&self.max, fill.max);
    }

    /// Takes over how many connections, and denied ones, go on.
    pub fn observed(&self, recorded: u64, denied: u64) {
        super::set(&self.recorded, recorded);
        super::set(&self.denied, denied);
    }

    /// A round of dumps has taken so long, storing included.
    pub fn polled(&self, nanoseconds: u64) {
        self.poll.observe(std::time::Duration::from_nanos(nanoseconds).as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let total = "Connections in the kernel's table";
        let max = "Connections that fit into the kernel's table";
        let recorded = "Connections that go on in Antrea's zones; where none of these is \
                        recorded, in the zones that are";
        let denied = "Denied connections that go on";
        let again = "Times a session with a collector was opened again, over all destinations";
        for (name, help, gauge) in [
            ("conntrack_total_connection_count", total, &self.total),
            ("conntrack_max_connection_count", max, &self.max),
            ("conntrack_antrea_connection_count", recorded, &self.recorded),
            ("denied_connection_count", denied, &self.denied),
            ("flow_collector_reconnection_count", again, &self.reconnections),
        ] {
            registry.register(format!("antrea_agent_{name}"), help, gauge.clone());
        }
        let poll = "Time that reading and storing every zone took, without what was done between";
        let name = "antrea_agent_conntrack_poll_cycle_duration_seconds";
        registry.register(name, poll, self.poll.clone());
    }
}
