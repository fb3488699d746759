//! What Nodes leave out: names of refused connections' other ends, labels, identities, workloads,
//! zones.
//!
//! Looked up for each record that is handed out, by address and by the time the connection began,
//! in the newest snapshot of the cluster. Nothing of it is kept with the flow, so a name that
//! became known late is in the next record, and labels are those of today.
mod counts; // what was found
mod ends; // ends with all that is known of them
mod labels; // of a Pod, as text

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use flow::{Endpoint, FlowRecord, FlowType, Name, Shared, Uid, Uids};
use hashbrown::HashSet;
use k8s::{Cluster, Node, Pod, Reason};

pub use counts::{Counts, End};
use ends::Ends;

/// Identities of Services and of Egresses' Nodes that records share. Beyond, they are shared anew.
const UIDS: usize = 65_536;

/// What is looked up beside missing names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// `recordContents.podLabels`.
    pub pod_labels: bool,
    /// `flowCollector.includeK8sUIDs`, if that output is enabled.
    pub uids: bool,
}

/// Completes records. A clone shares everything but what it remembers of ends.
#[derive(Debug, Clone)]
pub struct Enricher {
    cluster: Arc<ArcSwap<Cluster>>,
    wanted: Arc<ArcSwap<Wanted>>,
    counts: Arc<Counts>,
    ends: Ends,
    uids: HashSet<Shared<Uids>>,
}

impl Enricher {
    /// Looks names up in the newest of the snapshots that somebody publishes. What is `wanted` may
    /// change while it runs.
    pub fn new(cluster: Arc<ArcSwap<Cluster>>, wanted: Arc<ArcSwap<Wanted>>) -> Self {
        let (ends, uids) = (Ends::default(), HashSet::new());
        Self { cluster, wanted, counts: Arc::default(), ends, uids }
    }

    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Completes records that are handed out at `now_ms`, and counts what is not known.
    pub fn enrich(&mut self, records: &mut [FlowRecord], now_ms: u64) {
        self.all(records, true);
        self.counts.log(now_ms);
    }

    /// Completes records that are only shown to somebody.
    pub fn complete(&mut self, records: &mut [FlowRecord]) {
        self.all(records, false);
    }

    fn all(&mut self, records: &mut [FlowRecord], is_counted: bool) {
        if records.is_empty() {
            return;
        }
        let (cluster, wanted) = (self.cluster.load(), **self.wanted.load());
        self.ends.follow(&cluster, wanted);
        let counts = is_counted.then_some(self.counts.as_ref());
        let asking = Asking { cluster: &cluster, counts };
        for record in records {
            asking.record(record, &mut self.ends);
            if wanted.uids {
                asking.uids(record, &mut self.uids);
            }
        }
    }
}

/// What records are completed with.
struct Asking<'a> {
    cluster: &'a Cluster,
    counts: Option<&'a Counts>,
}

impl Asking<'_> {
    fn record(&self, record: &mut FlowRecord, ends: &mut Ends) {
        let [source_inside, destination_inside] = inside(record);
        let [from, to] = [record.key.source, record.key.destination];
        for (end, address, told, is_inside) in [
            (End::Source, from, &mut record.source, source_inside),
            (End::Destination, to, &mut record.destination, destination_inside),
        ] {
            if let Some(known) = ends.known(told, address, record.start_ms) {
                put(told, known);
                continue;
            }
            let pod = self.pod(end, address, record.start_ms, told, is_inside);
            let (complete, cut) = ends.complete(told, pod);
            if let Some(counts) = self.counts.filter(|_| cut > 0) {
                counts.labels_cut(cut);
            }
            // What is counted is counted each time.
            if let Some(pod) = pod.filter(|_| cut == 0) {
                ends.keep(told, address, pod, &complete);
            }
            put(told, &complete);
        }
    }

    /// The Pod at one end: the one that is named, or if it has to be one and no Node told which,
    /// the one that had the address.
    fn pod(
        &self,
        end: End,
        address: IpAddr,
        start_ms: u64,
        told: &Endpoint,
        is_inside: bool,
    ) -> Option<&Pod> {
        let is_named = !told.pod.is_empty();
        if !is_named && (!is_inside || self.cluster.is_gateway(address)) {
            return None;
        }
        let found = self.cluster.pod(address, start_ms);
        // A Node that told itself and not which Pod knows better where the Pod is.
        let fits = |pod: &&Pod| {
            if is_named {
                pod.name == told.pod && pod.namespace == told.namespace
            } else {
                told.node.is_empty() || told.node == pod.node
            }
        };
        let pod = found.owner().filter(fits);
        if let Some(counts) = self.counts {
            match pod {
                Some(_) if is_named => {}
                Some(_) => counts.named(end),
                None => counts.unresolved(end, found.reason().map_or("another", Reason::name)),
            }
        }
        pod
    }

    /// Identities beside those of the ends.
    fn uids(&self, record: &mut FlowRecord, known: &mut HashSet<Shared<Uids>>) {
        let of_service = || {
            let (told, key) = (&record.service, &record.key);
            let address = told.ip.filter(|_| !told.name.is_empty())?;
            let found = self.cluster.service(address, told.port, key.protocol, record.start_ms);
            if let Some(counts) = self.counts.filter(|_| found.owner().is_none()) {
                counts.unresolved(End::Service, found.reason().map_or("", Reason::name));
            }
            uid(&found.owner()?.uid)
        };
        let of_node = || uid(&node(self.cluster, &record.exit.node)?.uid);
        let uids = Uids {
            service: record.uids.service.or_else(of_service),
            egress_node: record.uids.egress_node.or_else(of_node),
            ..*record.uids
        };
        if *record.uids == uids {
            return;
        }
        if let Some(known) = known.get(&uids) {
            record.uids = known.clone();
            return;
        }
        record.uids = uids.into();
        if known.len() >= UIDS {
            known.clear();
        }
        known.insert(record.uids.clone());
    }
}

/// What is the same already is not copied.
fn put(end: &mut Shared<Endpoint>, complete: &Shared<Endpoint>) {
    if !complete.is_same(end) {
        *end = complete.clone();
    }
}

fn node<'a>(cluster: &'a Cluster, name: &Name) -> Option<&'a Node> {
    (!name.is_empty()).then(|| cluster.node(name)).flatten()
}

fn uid(text: &Name) -> Option<Uid> {
    text.parse().ok()
}

/// Which ends are Pods of this cluster.
fn inside(record: &FlowRecord) -> [bool; 2] {
    match record.flow_type {
        FlowType::InterNode | FlowType::IntraNode => [true, true],
        FlowType::ToExternal => [true, false],
        FlowType::FromExternal => [false, true],
        FlowType::Unspecified => [false, false],
    }
}

#[cfg(test)]
mod tests;
