//! Changes of objects become snapshots.
//!
//! The tracker alone may change a [`Cluster`]; what it publishes never changes. It reads no
//! clock and talks to nobody.

mod claims; // who has an address from now on, and who no longer
mod departures; // what is to be forgotten, and when
mod limits; // how much is taken in
mod local_ports; // ports of Nodes that are Pods'
mod nodes; // Nodes: addresses, networks, zones
mod pods; // Pods: addresses
mod registry; // which objects there are
mod services; // Services: ClusterIPs, load balancers, NodePorts
mod small; // ReplicaSets, Jobs and namespaces

use std::sync::Arc;

use arc_swap::ArcSwap;
use flow::{Interner, Name};

use crate::cluster::Cluster;
use crate::holding::{Coverage, Margins};
use crate::labels::LabelFilter;
use crate::objects::{self, Change, Kind, Labels, Object};
use claims::Claims;
use departures::Departures;
use local_ports::LocalPorts;
use pods::TrackedPod;
use registry::{Key, Live, Registry, Sight};
use services::TrackedService;

pub use limits::{Limits, Stats};

/// The longest texts that Kubernetes allows, in bytes.
const NAME_LIMIT: usize = 253;
/// A label's key: a DNS name, `/`, and a name of 63.
const LABEL_KEY_LIMIT: usize = 317;
const LABEL_VALUE_LIMIT: usize = 63;
/// Timestamps of the API are cut to the second.
const RESOLUTION_MS: u64 = 1_000;

/// Makes snapshots.
#[derive(Debug)]
pub struct Tracker {
    cluster: Cluster,
    latest: Arc<ArcSwap<Cluster>>,
    pods: Registry<TrackedPod>,
    services: Registry<TrackedService>,
    local_ports: LocalPorts,
    nodes: Registry<objects::Node>,
    replica_sets: Registry<()>,
    jobs: Registry<()>,
    namespaces: Registry<()>,
    departures: Departures,
    filter: LabelFilter,
    names: Interner,
    limits: Limits,
    stats: Stats,
    /// Never goes back.
    now: u64,
    /// Number of the last event or list.
    order: u64,
    tenants: u64,
}

impl Tracker {
    /// Keeps the labels that `filter` allows.
    pub fn new(margins: Margins, limits: Limits, filter: LabelFilter) -> Self {
        let cluster = Cluster::new(margins);
        Self {
            latest: Arc::new(ArcSwap::from_pointee(cluster.clone())),
            cluster,
            pods: Registry::new(),
            services: Registry::new(),
            local_ports: LocalPorts::default(),
            nodes: Registry::new(),
            replica_sets: Registry::new(),
            jobs: Registry::new(),
            namespaces: Registry::new(),
            departures: Departures::default(),
            filter,
            names: Interner::new(limits.names),
            limits,
            stats: Stats::default(),
            now: 0,
            order: 0,
            tenants: 0,
        }
    }

    /// Takes in a change that came at `now_ms`.
    pub fn apply(&mut self, change: Change, now_ms: u64) {
        self.set_now(now_ms);
        match change {
            Change::Applied(object) => self.applied(object),
            Change::Deleted { kind, namespace, name, uid } => {
                self.deleted(kind, &(namespace, name), &uid);
            }
            Change::ListBegun(kind) => self.list_begun(kind, now_ms.min(self.now)),
            Change::ListEnded(kind) => self.list_ended(kind),
        }
    }

    /// Does [`Self::advance_kind`] for all kinds: whoever feeds the tracker has just heard of each.
    pub fn advance(&mut self, now_ms: u64) {
        for kind in Kind::ALL {
            self.advance_kind(kind, now_ms);
        }
    }

    /// Says that all that was told of `kind` until `heard_ms` has been applied, so that everything
    /// that was changed until [`Margins::settle_ms`] before is known. To be called about once a
    /// second; not while its watch is broken or is catching up. Without it answers about recent
    /// times stay [`Likely`](crate::Lookup::Likely).
    ///
    /// If `heard_ms` is less than it was, the clock was set back, and what was taken for known is
    /// not any more.
    pub fn advance_kind(&mut self, kind: Kind, heard_ms: u64) {
        self.set_now(heard_ms);
        let covered = &mut self.cluster.coverage;
        let (coverage, is_listing) = match kind {
            Kind::Pod => (&mut covered.pods, self.pods.is_listing()),
            Kind::Service => (&mut covered.services, self.services.is_listing()),
            Kind::Node => (&mut covered.nodes, self.nodes.is_listing()),
            // Who asks for them asks for no time.
            Kind::ReplicaSet
            | Kind::Job
            | Kind::Namespace
            | Kind::EndpointSlice
            | Kind::Custom(_) => return,
        };
        if !is_listing && !coverage.is_none() {
            coverage.settle(heard_ms.saturating_sub(self.cluster.margins.settle_ms));
        }
    }

    /// What is known now.
    pub fn cluster(&self) -> Cluster {
        self.cluster.clone()
    }

    /// Where snapshots are published.
    pub fn latest(&self) -> Arc<ArcSwap<Cluster>> {
        Arc::clone(&self.latest)
    }

    /// Publishes what is known now. May be called after each change or after several.
    pub fn publish(&self) {
        self.latest.store(Arc::new(self.cluster.clone()));
    }

    pub fn stats(&self) -> Stats {
        Stats { names_shared_anew: self.names.resets(), ..self.stats }
    }

    /// A cluster that has always been so and will always be, with all its labels.
    pub(crate) fn timeless(objects: impl IntoIterator<Item = Object>) -> (Cluster, Stats) {
        let filter = LabelFilter::new(["*"]);
        let mut tracker = Self::new(Margins::default(), Limits::default(), filter);
        // In a list nothing comes after anything else.
        for kind in Kind::ALL {
            tracker.list_begun(kind, 0);
        }
        for object in objects {
            tracker.applied(object);
        }
        let covered = &mut tracker.cluster.coverage;
        for coverage in [&mut covered.pods, &mut covered.services, &mut covered.nodes] {
            *coverage = Coverage::complete();
        }
        let stats = tracker.stats();
        (tracker.cluster, stats)
    }

    fn set_now(&mut self, now_ms: u64) {
        self.now = self.now.max(now_ms);
        self.forget();
    }

    fn applied(&mut self, object: Object) {
        match object {
            Object::Pod(pod) => self.pod_applied(&pod),
            Object::Service(service) => self.service_applied(&service),
            Object::Node(node) => self.node_applied(node),
            Object::ReplicaSet(owned) => self.owned_applied(Kind::ReplicaSet, &owned),
            Object::Job(owned) => self.owned_applied(Kind::Job, &owned),
            Object::Namespace(namespace) => self.namespace_applied(&namespace),
            // NAT tells which address a client used; which ones it may lead to is not asked.
            Object::EndpointSlice(_) | Object::Custom(_) => {}
        }
    }

    fn deleted(&mut self, kind: Kind, key: &Key, uid: &Name) {
        match kind {
            Kind::Pod => {
                if let Some(live) = self.pods.delete(key, uid) {
                    self.pod_left(live, true);
                }
            }
            Kind::Service => {
                if let Some(live) = self.services.delete(key, uid) {
                    self.service_left(live, true);
                }
            }
            Kind::Node => {
                if let Some(live) = self.nodes.delete(key, uid) {
                    self.node_left(live, true);
                }
            }
            Kind::ReplicaSet
            | Kind::Job
            | Kind::Namespace
            | Kind::EndpointSlice
            | Kind::Custom(_) => {
                self.small_deleted(kind, key, uid);
            }
        }
    }

    fn list_begun(&mut self, kind: Kind, begun: u64) {
        self.order += 1;
        match kind {
            Kind::Pod => self.pods.list_begun(begun),
            Kind::Service => self.services.list_begun(begun),
            Kind::Node => self.nodes.list_begun(begun),
            Kind::ReplicaSet
            | Kind::Job
            | Kind::Namespace
            | Kind::EndpointSlice
            | Kind::Custom(_) => {
                self.small_list_begun(kind);
            }
        }
    }

    fn list_ended(&mut self, kind: Kind) {
        let margins = self.cluster.margins;
        let covered = &mut self.cluster.coverage;
        match kind {
            Kind::Pod => {
                let Some(ended) = self.pods.list_ended() else { return };
                covered.pods.resume(ended.begun, self.now, &margins);
                ended.missing.into_iter().for_each(|(_, live)| self.pod_left(live, false));
            }
            Kind::Service => {
                let Some(ended) = self.services.list_ended() else { return };
                covered.services.resume(ended.begun, self.now, &margins);
                ended.missing.into_iter().for_each(|(_, live)| self.service_left(live, false));
            }
            Kind::Node => {
                let Some(ended) = self.nodes.list_ended() else { return };
                covered.nodes.resume(ended.begun, self.now, &margins);
                ended.missing.into_iter().for_each(|(_, live)| self.node_left(live, false));
            }
            Kind::ReplicaSet
            | Kind::Job
            | Kind::Namespace
            | Kind::EndpointSlice
            | Kind::Custom(_) => {
                self.small_list_ended(kind);
            }
        }
    }

    fn claims(&self) -> Claims {
        let (margins, history, now) = (self.cluster.margins, self.limits.history, self.now);
        let kept = now.saturating_sub(margins.keep_ms);
        let complete_from = kept.max(self.departures.forgotten_until());
        Claims { margins, history, now, complete_from }
    }

    /// Number of what is told now: events have one each, the objects of a list share one.
    fn next_order(&mut self, is_listing: bool) -> u64 {
        self.order += u64::from(!is_listing);
        self.order
    }

    fn next_tenant(&mut self) -> u64 {
        self.tenants += 1;
        self.tenants
    }

    /// Whether texts that name an object are there and not longer than Kubernetes allows.
    fn is_well_formed(&mut self, needed: &[&Name], others: &[&Name]) -> bool {
        let fits = |name: &&&Name| name.len() <= NAME_LIMIT;
        let is_well_formed = needed.iter().all(|name| !name.is_empty() && fits(&name))
            && others.iter().all(|name| fits(&name));
        self.stats.objects_malformed += u64::from(!is_well_formed);
        is_well_formed
    }

    /// The labels worth keeping, in the order of their keys.
    fn kept_labels(&mut self, labels: &Labels) -> Arc<[(Name, Name)]> {
        let mut kept = Vec::new();
        for (key, value) in self.filter.allowed(labels) {
            let fits = key.len() <= LABEL_KEY_LIMIT && value.len() <= LABEL_VALUE_LIMIT;
            if !fits || kept.len() == self.limits.labels {
                self.stats.labels_cut += 1;
                continue;
            }
            kept.push((self.names.intern(key), self.names.intern(value)));
        }
        kept.sort_unstable();
        kept.into()
    }
}

#[cfg(test)]
mod tests;
