//! What the exporter counts.
mod antrea; // under the names that Antrea has
mod source; // what the kernel tells, and what becomes of it
mod destinations; // for each destination
#[cfg(test)]
mod reference; // the reference page

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::conntrack::SourceTally;
use crate::deny;
use crate::destinations::Counters;
use crate::meter::Stats;
pub use antrea::AntreaMetrics;
pub use destinations::DestinationMetrics;
use destinations::Families;
pub use source::SourceMetrics;

#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) found: Arc<Counters>,
    pub source: SourceMetrics,
    pub antrea: AntreaMetrics,
    meter: MeterCounters,
    pub dumps_failed: Counter,
    pub entries_filtered: Counter,
    pub reloads: Counter,
    pub reloads_refused: Counter,
    pub records_not_exportable: Counter,
    pub denied: Arc<deny::Counts>,
    /// Destinations that are wanted and cannot be had now.
    pub destinations_refused: Gauge,
    destinations: Families,
    pub deny_ovs: deny::ovs::Counters,
}

#[derive(Debug, Default)]
struct MeterCounters {
    live: Gauge,
    closed_waiting: Gauge,
    inserted: Counter,
    refused: Counter,
    known: Counter,
    late: Counter,
    vanished: Counter,
    counter_resets: Counter,
    closed_without_counters: Counter,
}

impl Metrics {
    /// Takes over what source and meter have counted since the start.
    pub fn observed(&self, tally: &SourceTally, stats: &Stats) {
        self.source.observed(tally);
        let meter = &self.meter;
        for (counter, value) in [
            (&meter.inserted, stats.inserted),
            (&meter.refused, stats.refused),
            (&meter.known, stats.known),
            (&meter.late, stats.late),
            (&meter.vanished, stats.vanished),
            (&meter.counter_resets, stats.counter_resets),
            (&meter.closed_without_counters, stats.closed_without_counters),
        ] {
            take_over(counter, value);
        }
        for (gauge, value) in
            [(&meter.live, stats.live), (&meter.closed_waiting, stats.closed_waiting)]
        {
            set(gauge, value);
        }
    }

    /// The series of one destination.
    pub fn destination(&self, name: &str) -> DestinationMetrics {
        self.destinations.of(name, &self.antrea.reconnections)
    }

    /// Ends the series of a destination that has gone.
    pub fn forget_destination(&self, name: &str) {
        self.destinations.forget(name);
    }

    /// Records that no destination will ever get, over all of them.
    pub fn left_behind(&self) -> u64 {
        self.destinations.left_behind()
    }

    /// Makes everything visible under its name.
    pub fn register(&self, registry: &mut Registry) {
        self.found.register(registry);
        self.antrea.register(registry);
        let registry = registry.sub_registry_with_prefix("fyke_exporter");
        self.source.register(registry);
        let counters = self.meter.rows().into_iter().chain(self.rows());
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let waiting = "Closed connections that wait for export";
        let unusable = "Destinations that are wanted but cannot be used as they are";
        for (name, help, gauge) in [
            ("connections_live", "Connections alive now", &self.meter.live),
            ("connections_waiting", waiting, &self.meter.closed_waiting),
            ("destinations_refused", unusable, &self.destinations_refused),
        ] {
            registry.register(name, help, gauge.clone());
        }
        self.denied.register(registry);
        self.destinations.register(registry);
        self.deny_ovs.register(registry);
    }

    fn rows(&self) -> [Row<'_>; 5] {
        let not_exportable = "Connections due that are not a Pod's, or are told by another Node";
        let failed = "Dumps that broke off; each is tried again after the poll interval";
        let entries = "Entries of protocols that no destination wants; in each dump anew";
        let refused = "Changed configurations that were refused";
        [
            ("conntrack_dumps_failed", failed, &self.dumps_failed),
            ("entries_filtered", entries, &self.entries_filtered),
            ("reloads", "Changed configurations that were taken over", &self.reloads),
            ("reloads_refused", refused, &self.reloads_refused),
            ("records_not_exportable", not_exportable, &self.records_not_exportable),
        ]
    }
}

/// Sets a counter to what somebody else has counted since the start.
fn take_over(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// A counter's name, what it counts, and itself.
type Row<'a> = (&'static str, &'static str, &'a Counter);

impl MeterCounters {
    fn rows(&self) -> [Row<'_>; 7] {
        let vanished = "Connections that ended without a DESTROY event";
        let uncounted = "Connections that ended without ever having been counted";
        [
            ("connections", "Connections taken into the store", &self.inserted),
            ("connections_refused", "Entries that found the store full", &self.refused),
            ("entries_known", "Entries of connections that were known", &self.known),
            ("entries_late", "Entries of connections that were over already", &self.late),
            ("connections_vanished", vanished, &self.vanished),
            ("counter_resets", "Times somebody else zeroed counters", &self.counter_resets),
            ("connections_uncounted", uncounted, &self.closed_without_counters),
        ]
    }
}
