//! What the exporter counts.
mod source; // what the kernel tells, and what becomes of it

use std::sync::atomic::Ordering;

use ipfix::transport::export::ExportCounters;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::conntrack::SourceTally;
use crate::meter::Stats;
pub use source::SourceMetrics;

#[derive(Debug, Default)]
pub struct Metrics {
    pub source: SourceMetrics,
    meter: MeterCounters,
    pub dumps_failed: Counter,
    pub entries_filtered: Counter,
    pub records_filtered: Counter,
    pub reloads: Counter,
    pub reloads_refused: Counter,
    pub records_not_exportable: Counter,
    pub records_sent: Counter,
    pub records_refused: Counter,
    pub records_abandoned: Counter,
    pub sessions: Counter,
    pub sessions_lost: Counter,
    pub connect_failures: Counter,
    pub connected: Gauge,
}

#[derive(Debug, Default)]
struct MeterCounters {
    live: Gauge,
    closed_waiting: Gauge,
    inserted: Counter,
    refused: Counter,
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
            (&meter.vanished, stats.vanished),
            (&meter.counter_resets, stats.counter_resets),
            (&meter.closed_without_counters, stats.closed_without_counters),
        ] {
            take_over(counter, value);
        }
        for (gauge, value) in
            [(&meter.live, stats.live), (&meter.closed_waiting, stats.closed_waiting)]
        {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// Takes over what the Exporting Process has counted since the start. Returns how many records
    /// it has refused since this was last called.
    pub fn exported(&self, counters: &ExportCounters, is_open: bool) -> u64 {
        let refused = counters.records_refused.saturating_sub(self.records_refused.get());
        for (counter, value) in [
            (&self.records_sent, counters.records),
            (&self.records_refused, counters.records_refused),
            (&self.sessions, counters.sessions),
            (&self.sessions_lost, counters.sessions_lost),
            (&self.connect_failures, counters.connect_failures),
        ] {
            take_over(counter, value);
        }
        self.connected.set(i64::from(is_open));
        refused
    }

    /// Makes everything visible under its name.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("fyke_exporter");
        self.source.register(registry);
        let counters = self.meter.rows().into_iter().chain(self.rows());
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let waiting = "Closed connections that wait for export";
        for (name, help, gauge) in [
            ("connections_live", "Connections alive now", &self.meter.live),
            ("connections_waiting", waiting, &self.meter.closed_waiting),
            ("connected", "1 while a Transport Session is open", &self.connected),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    fn rows(&self) -> [Row<'_>; 12] {
        let not_exportable = "Connections due that are not a Pod's, or are told by another Node";
        let lost = "Transport Sessions that broke; records under way may be lost with each";
        let abandoned = "Records given up at shutdown because the collector was away";
        let failed = "Dumps that broke off; each is tried again after the poll interval";
        let entries = "Entries that the protocol filter passes over; in each dump anew";
        let records = "Connections that a new protocol filter keeps from being told";
        let refused = "Changed configurations that were refused";
        [
            ("conntrack_dumps_failed", failed, &self.dumps_failed),
            ("entries_filtered", entries, &self.entries_filtered),
            ("records_filtered", records, &self.records_filtered),
            ("reloads", "Changed configurations that were taken over", &self.reloads),
            ("reloads_refused", refused, &self.reloads_refused),
            ("records_not_exportable", not_exportable, &self.records_not_exportable),
            ("records_sent", "Data Records written to the collector", &self.records_sent),
            ("records_refused", "Records that do not fit a message", &self.records_refused),
            ("records_abandoned", abandoned, &self.records_abandoned),
            ("sessions", "Transport Sessions opened", &self.sessions),
            ("sessions_lost", lost, &self.sessions_lost),
            ("connect_failures", "Attempts to connect that failed", &self.connect_failures),
        ]
    }
}

/// Sets a counter to what somebody else has counted since the start.
fn take_over(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}

/// A counter's name, what it counts, and itself.
type Row<'a> = (&'static str, &'static str, &'a Counter);

impl MeterCounters {
    fn rows(&self) -> [Row<'_>; 5] {
        let vanished = "Connections that ended without a DESTROY event";
        let uncounted = "Connections that ended without ever having been counted";
        [
            ("connections", "Connections taken into the store", &self.inserted),
            ("connections_refused", "Entries that found the store full", &self.refused),
            ("connections_vanished", vanished, &self.vanished),
            ("counter_resets", "Times somebody else zeroed counters", &self.counter_resets),
            ("connections_uncounted", uncounted, &self.closed_without_counters),
        ]
    }
}
