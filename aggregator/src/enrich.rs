//! What Nodes leave out: names of refused connections' other ends, labels, identities.
//!
//! Looked up for each record that is handed out, by address and by the time the connection began,
//! in the newest snapshot of the cluster. Nothing of it is kept with the flow, so a name that
//! became known late is in the next record, and labels are those of today.
mod counts; // what was found
mod labels; // of a Pod, as text

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use flow::{Endpoint, FlowRecord, FlowType, Name, Uid, Uids};
use k8s::{Cluster, Lookup, Pod, Reason};

pub use counts::{Counts, End};
use labels::Labels;

/// What is looked up beside missing names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// `recordContents.podLabels`.
    pub pod_labels: bool,
    /// `flowCollector.includeK8sUIDs`, if that output is enabled.
    pub uids: bool,
}

/// Completes records. A clone shares everything but what it remembers of Pods' labels.
#[derive(Debug, Clone)]
pub struct Enricher {
    cluster: Arc<ArcSwap<Cluster>>,
    wanted: Arc<ArcSwap<Wanted>>,
    counts: Arc<Counts>,
    labels: Labels,
}

impl Enricher {
    /// Looks names up in the newest of the snapshots that somebody publishes. What is `wanted` may
    /// change while it runs.
    pub fn new(cluster: Arc<ArcSwap<Cluster>>, wanted: Arc<ArcSwap<Wanted>>) -> Self {
        Self { cluster, wanted, counts: Arc::default(), labels: Labels::default() }
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
        for record in records {
            let asking = Asking {
                cluster: &cluster,
                wanted,
                counts: is_counted.then_some(self.counts.as_ref()),
            };
            asking.record(record, &mut self.labels);
        }
    }
}

/// What one record is completed with.
struct Asking<'a> {
    cluster: &'a Cluster,
    wanted: Wanted,
    counts: Option<&'a Counts>,
}

impl Asking<'_> {
    fn record(&self, record: &mut FlowRecord, labels: &mut Labels) {
        let inside = inside(record);
        let [from, to] = [record.key.source, record.key.destination];
        let start_ms = record.start_ms;
        let [source, destination] = [
            self.end(End::Source, from, start_ms, &mut record.source, inside[0]),
            self.end(End::Destination, to, start_ms, &mut record.destination, inside[1]),
        ];
        if self.wanted.pod_labels {
            for (pod, told) in
                [(source, &mut record.source_labels), (destination, &mut record.destination_labels)]
            {
                if let Some(pod) = pod.filter(|_| told.is_empty()) {
                    let (text, cut) = labels.text(pod);
                    *told = text;
                    if let Some(counts) = self.counts.filter(|_| cut > 0) {
                        counts.labels_cut(cut);
                    }
                }
            }
        }
        if self.wanted.uids {
            self.uids(record, source, destination);
        }
    }

    /// Names the Pod at one end if it has to be one and no Node told which. Returns it if it is
    /// the one that is named.
    fn end(
        &self,
        end: End,
        address: IpAddr,
        start_ms: u64,
        told: &mut Endpoint,
        is_inside: bool,
    ) -> Option<&Pod> {
        let is_named = !told.pod.is_empty();
        let is_asked_for = is_named && (self.wanted.pod_labels || self.wanted.uids);
        if !is_asked_for && (is_named || !is_inside || self.cluster.is_gateway(address)) {
            return None;
        }
        let found = self.cluster.pod(address, start_ms);
        if !is_named {
            return self.name(end, found, told);
        }
        let pod =
            found.owner().filter(|pod| pod.name == told.pod && pod.namespace == told.namespace);
        if let Some(counts) = self.counts.filter(|_| pod.is_none()) {
            counts.unresolved(end, found.reason().map_or("another", Reason::name));
        }
        pod
    }

    fn name<'a>(&self, end: End, found: Lookup<'a, Pod>, told: &mut Endpoint) -> Option<&'a Pod> {
        // A Node that told itself and not which Pod knows better where the Pod is.
        let fits = |pod: &&Pod| told.node.is_empty() || told.node == pod.node;
        let Some(pod) = found.owner().filter(fits) else {
            if let Some(counts) = self.counts {
                counts.unresolved(end, found.reason().map_or("another", Reason::name));
            }
            return None;
        };
        *told = Endpoint {
            pod: pod.name.clone(),
            namespace: pod.namespace.clone(),
            node: pod.node.clone(),
        };
        if let Some(counts) = self.counts {
            counts.named(end);
        }
        Some(pod)
    }

    fn uids(&self, record: &mut FlowRecord, source: Option<&Pod>, destination: Option<&Pod>) {
        let mut uids = record.uids.as_deref().copied().unwrap_or_default();
        let of_pod = |pod: Option<&Pod>| uid(&pod?.uid);
        let of_node = |name: &Name| {
            let node = (!name.is_empty()).then(|| self.cluster.node(name)).flatten()?;
            uid(&node.uid)
        };
        let of_service = || {
            let (told, key) = (&record.service, &record.key);
            let address = told.ip.filter(|_| !told.name.is_empty())?;
            let found = self.cluster.service(address, told.port, key.protocol, record.start_ms);
            if let Some(counts) = self.counts.filter(|_| found.owner().is_none()) {
                counts.unresolved(End::Service, found.reason().map_or("", Reason::name));
            }
            uid(&found.owner()?.uid)
        };
        uids.source_pod = uids.source_pod.or_else(|| of_pod(source));
        uids.destination_pod = uids.destination_pod.or_else(|| of_pod(destination));
        uids.source_node = uids.source_node.or_else(|| of_node(&record.source.node));
        uids.destination_node = uids.destination_node.or_else(|| of_node(&record.destination.node));
        uids.egress_node = uids.egress_node.or_else(|| of_node(&record.egress_node_name));
        uids.service = uids.service.or_else(of_service);
        if record.uids.as_deref() != Some(&uids) && uids != Uids::default() {
            record.uids = Some(Arc::new(uids));
        }
    }
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
