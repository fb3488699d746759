//! What becomes of an entry before the meter sees it.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;

use arc_swap::Guard;
use foldhash::fast::RandomState;
use k8s::Cluster;

use crate::clients::Clients;
use crate::conntrack::{CtMark, Entry, Kind, Tuple, tcp_state};
use crate::filter::ProtocolFilter;
use crate::meter::Meter;
use crate::metrics::Metrics;
use crate::zones::Zones;

/// Clients from outside that are remembered.
const CLIENTS: usize = 131_072;
/// Connections whose labels came before the mark: two generations of this many.
const LABELLED: usize = 8192;
/// Connections whose last counters are still to be asked for.
const FINAL: usize = 16_384;

/// Sorts entries by zone and mark, and remembers what is needed later of those that the meter
/// does not get.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) zones: Zones,
    pub(super) clients: Clients,
    waiting: Waiting,
    /// TCP connections over which nothing can follow, by zone, tuple and id.
    finals: VecDeque<(u16, Tuple, u32)>,
}

/// An intake and what it works with.
#[derive(Debug)]
pub(super) struct Gate<'a> {
    pub(super) intake: &'a mut Intake,
    pub(super) meter: &'a mut Meter,
    pub(super) cluster: Guard<Arc<Cluster>>,
    pub(super) filter: &'a ProtocolFilter,
    pub(super) metrics: &'a Metrics,
    pub(super) now: u64,
}

impl Intake {
    pub(super) fn new(zones: Zones) -> Self {
        let clients = Clients::new(CLIENTS);
        Self { zones, clients, waiting: Waiting::default(), finals: VecDeque::new() }
    }

    /// The next connection whose last counters should be asked for.
    pub(super) fn next_final(&mut self) -> Option<(u16, Tuple, u32)> {
        self.finals.pop_front()
    }

    /// The event that TCP is done with a connection tells no counters, and the event of its end
    /// comes up to two minutes later.
    fn note_final(&mut self, entry: &Entry, metrics: &Metrics) {
        let is_final = entry.tcp_state.is_some_and(tcp_state::is_final);
        if entry.kind != Kind::Update || entry.counters.is_some() || !is_final {
            return;
        }
        if self.finals.len() < FINAL {
            self.finals.push_back((entry.zone, entry.original, entry.id));
        } else {
            metrics.source.look_ups_skipped.inc();
        }
    }
}

impl Gate<'_> {
    pub(super) fn take(&mut self, entry: &Entry) {
        self.metrics.source.entries.inc();
        if !self.filter.allows(entry.original.protocol()) {
            self.metrics.entries_filtered.inc();
            return;
        }
        #[cfg(feature = "faults")]
        if crate::faults::hides(entry) {
            return;
        }
        let zones = &self.intake.zones;
        if zones.tells_clients(entry.zone) {
            self.metrics.source.entries_of_clients.inc();
            self.intake.clients.observe(entry, &self.cluster, self.now);
        } else if zones.needs_mark(entry.zone) {
            self.take_marked(entry);
        } else if zones.records(entry.zone) {
            self.record(entry);
        }
    }

    /// In Antrea's zones a connection is there before every policy has let it pass.
    fn take_marked(&mut self, entry: &Entry) {
        if !CtMark(entry.mark).is_allowed() {
            self.metrics.source.not_allowed.inc();
            self.intake.waiting.note(entry, self.metrics);
            return;
        }
        match self.intake.waiting.labels_of(entry) {
            Some(labels) => self.record(&Entry { labels: Some(labels), ..*entry }),
            None => self.record(entry),
        }
    }

    fn record(&mut self, entry: &Entry) {
        self.intake.note_final(entry, self.metrics);
        self.meter.observe(entry, self.now);
    }
}

/// Labels that came while a connection was not allowed yet. The event of the mark does not repeat
/// them, and a short connection is never seen in a dump.
#[derive(Debug, Default)]
struct Waiting {
    newer: Generation,
    older: Generation,
}

type Generation = HashMap<(Tuple, u32), [u8; 16], RandomState>;

impl Waiting {
    fn note(&mut self, entry: &Entry, metrics: &Metrics) {
        let key = (entry.original, entry.id);
        if entry.kind == Kind::Destroy {
            self.remove(&key);
            return;
        }
        let Some(labels) = entry.labels.filter(|labels| *labels != [0; 16]) else { return };
        if self.newer.len() >= LABELLED && !self.newer.contains_key(&key) {
            self.older = mem::take(&mut self.newer);
            metrics.source.label_generations.inc();
        }
        self.newer.insert(key, labels);
    }

    /// The labels of a connection that has become allowed, unless the entry tells them itself.
    fn labels_of(&mut self, entry: &Entry) -> Option<[u8; 16]> {
        if self.newer.is_empty() && self.older.is_empty() {
            return None;
        }
        let waiting = self.remove(&(entry.original, entry.id));
        waiting.filter(|_| entry.labels.is_none())
    }

    fn remove(&mut self, key: &(Tuple, u32)) -> Option<[u8; 16]> {
        let newer = self.newer.remove(key);
        let older = self.older.remove(key);
        newer.or(older)
    }
}
