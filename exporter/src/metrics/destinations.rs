//! What is counted for each destination, under its name.

use grpc::export::Refusal;
use ipfix::transport::export::ExportCounters;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::take_over;
use crate::meter::Lag;

/// `destination="NAME"`.
type Label = [(&'static str, String); 1];

/// The series of all destinations.
#[derive(Debug, Default)]
pub(super) struct Families {
    counters: [Family<Label, Counter>; COUNTERS.len()],
    gauges: [Family<Label, Gauge>; GAUGES.len()],
    /// Also by `reason`.
    refused_late: Family<[(&'static str, String); 2], Counter>,
    left_behind: Counter,
}

/// What is counted for one destination.
#[derive(Debug, Default, Clone)]
pub struct DestinationMetrics {
    pub records_due: Counter,
    pub records_unmade: Counter,
    pub records_sent: Counter,
    pub records_refused: Counter,
    /// By [`Refusal`], in its order.
    pub records_refused_late: [Counter; Refusal::ALL.len()],
    pub records_filtered: Counter,
    pub records_coalesced: Counter,
    pub records_lost: Counter,
    pub records_abandoned: Counter,
    pub messages_unsendable: Counter,
    pub sessions: Counter,
    pub sessions_lost: Counter,
    pub connect_failures: Counter,
    pub connected: Gauge,
    pub records_lagging: Gauge,
    pub records_queued: Gauge,
    pub records_pending: Gauge,
    pub last_error_time: Gauge,
    /// Of all destinations, also those that have gone.
    left_behind: Counter,
    /// Of all destinations: sessions that were not a destination's first.
    reconnections: Gauge,
}

const COUNTERS: [(&str, &str); 12] = [
    ("records_due", "Times something was to be told, or became part of what was"),
    ("records_unmade", "Of these, connections that are not a Pod's, or are told by another Node"),
    ("records_sent", "Data Records written to the destination"),
    ("records_refused", "Records that do not fit a message"),
    ("records_filtered", "Records that the destination's filter keeps back"),
    ("records_coalesced", "Records that were joined with an older one, which could not leave yet"),
    ("records_lost", "Ends of connections given up since too many waited for the destination"),
    ("records_abandoned", "Records given up at shutdown because the collector was away"),
    ("messages_unsendable", "Messages too long for a datagram, which were dropped"),
    ("sessions", "Transport Sessions opened"),
    ("sessions_lost", "Transport Sessions that broke; records under way may be lost with each"),
    ("connect_failures", "Attempts to connect that failed"),
];

const GAUGES: [(&str, &str); 5] = [
    ("connected", "1 while a Transport Session is open"),
    ("records_lagging", "Records that others have been told and this destination not yet"),
    ("records_queued", "Records handed out that the Exporting Process has not taken yet"),
    ("records_pending", "Records that it has taken, and not sent yet"),
    ("last_error_time_seconds", "When a session last failed or broke, in seconds since 1970"),
];

impl Families {
    pub(super) fn register(&self, registry: &mut Registry) {
        for ((name, help), family) in COUNTERS.into_iter().zip(&self.counters) {
            registry.register(name, help, family.clone());
        }
        for ((name, help), family) in GAUGES.into_iter().zip(&self.gauges) {
            registry.register(name, help, family.clone());
        }
        let help = "Among records_sent: those of streams of gRPC that the server refused later";
        registry.register("records_refused_late", help, self.refused_late.clone());
    }

    /// The series of a destination, which begin now unless there are some already.
    pub(super) fn of(&self, name: &str, reconnections: &Gauge) -> DestinationMetrics {
        let label = label(name);
        let [
            due,
            unmade,
            sent,
            refused,
            filtered,
            coalesced,
            lost,
            abandoned,
            unsendable,
            sessions,
            sessions_lost,
            failures,
        ] = self.counters.each_ref().map(|family| family.get_or_create_owned(&label));
        let [connected, lagging, queued, pending, error] =
            self.gauges.each_ref().map(|family| family.get_or_create_owned(&label));
        DestinationMetrics {
            records_due: due,
            records_unmade: unmade,
            records_sent: sent,
            records_refused: refused,
            records_refused_late: Refusal::ALL
                .map(|why| self.refused_late.get_or_create_owned(&late(name, why))),
            records_filtered: filtered,
            records_coalesced: coalesced,
            records_lost: lost,
            records_abandoned: abandoned,
            messages_unsendable: unsendable,
            sessions,
            sessions_lost,
            connect_failures: failures,
            connected,
            records_lagging: lagging,
            records_queued: queued,
            records_pending: pending,
            last_error_time: error,
            reconnections: reconnections.clone(),
            left_behind: self.left_behind.clone(),
        }
    }

    /// Ends the series of a destination.
    pub(super) fn forget(&self, name: &str) {
        let label = label(name);
        for family in &self.counters {
            family.remove(&label);
        }
        for family in &self.gauges {
            family.remove(&label);
        }
        for why in Refusal::ALL {
            self.refused_late.remove(&late(name, why));
        }
    }

    pub(super) fn left_behind(&self) -> u64 {
        self.left_behind.get()
    }
}

fn label(name: &str) -> Label {
    [("destination", name.to_owned())]
}

fn late(name: &str, why: Refusal) -> [(&'static str, String); 2] {
    let [destination] = label(name);
    [destination, ("reason", why.name().to_owned())]
}

impl DestinationMetrics {
    /// Takes over what the Exporting Process has counted since the start. Returns how many records
    /// it has refused since this was last called.
    pub fn exported(&self, counters: &ExportCounters, is_open: bool) -> u64 {
        let known = self.sessions.get().max(1);
        let again = counters.sessions.saturating_sub(known);
        self.reconnections.inc_by(i64::try_from(again).unwrap_or(i64::MAX));
        let refused = counters.records_refused.saturating_sub(self.records_refused.get());
        for (counter, value) in [
            (&self.records_sent, counters.records),
            (&self.records_refused, counters.records_refused),
            (&self.messages_unsendable, counters.messages_unsendable),
            (&self.sessions, counters.sessions),
            (&self.sessions_lost, counters.sessions_lost),
            (&self.connect_failures, counters.connect_failures),
        ] {
            take_over(counter, value);
        }
        self.connected.set(i64::from(is_open));
        refused
    }

    /// Takes over how far behind the destination is.
    pub fn lags(&self, lag: &Lag) {
        self.records_lagging.set(i64::try_from(lag.owed).unwrap_or(i64::MAX));
        take_over(&self.records_due, lag.due);
        take_over(&self.records_coalesced, lag.coalesced);
        take_over(&self.records_lost, lag.lost);
    }

    /// A session has failed or broken at `now`, in seconds since 1970.
    pub fn failed(&self, now: u32) {
        self.last_error_time.set(i64::from(now));
    }

    /// Records were handed to the Exporting Process.
    pub fn queue(&self, records: usize) {
        self.records_queued.inc_by(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// And taken out of its queue.
    pub fn unqueue(&self, records: usize) {
        self.records_queued.dec_by(i64::try_from(records).unwrap_or(i64::MAX));
    }

    pub fn pending(&self, records: usize) {
        self.records_pending.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Counts records that will never be sent.
    pub fn abandon(&self, records: u64) {
        self.records_abandoned.inc_by(records);
        self.left_behind.inc_by(records);
    }
}
