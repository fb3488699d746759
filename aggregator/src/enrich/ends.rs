//! Ends of flows with all that is known of them, once for all flows that have them in common.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use flow::{Endpoint, Interner, Name, Shared};
use hashbrown::HashMap;
use k8s::{Cluster, Pod};

use super::labels::Labels;
use super::{Wanted, node, uid};

/// Ends that are remembered. Beyond, all are made anew.
const ENDS: usize = 65_536;
/// Distinct workloads whose names are shared.
const WORKLOADS: usize = 65_536;

/// Ends as one snapshot of the cluster knows them.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// These hold for it, and for what was wanted.
    cluster: Option<Arc<Cluster>>,
    wanted: Wanted,
    made: HashMap<Asked, Made>,
    /// Ends that name the Pod which alone has their address: nobody need be asked who has it. By
    /// where they are in memory, too.
    named: HashMap<(usize, IpAddr), Named>,
    labels: Labels,
    workloads: Workloads,
}

/// What was told of the end, and the Pod that it is, both by where they are in memory: they stay
/// there for as long as this stands.
type Asked = (usize, usize);

#[derive(Debug)]
struct Made {
    /// Keeps it where it is.
    _told: Shared<Endpoint>,
    complete: Shared<Endpoint>,
    /// Labels that had no room.
    cut: u64,
}

#[derive(Debug)]
struct Named {
    /// Keeps it where it is.
    _told: Shared<Endpoint>,
    complete: Shared<Endpoint>,
    /// Flows that began then are that Pod's.
    times: RangeInclusive<u64>,
}

impl Ends {
    /// From now on this is what is known, and what is asked for.
    pub(super) fn follow(&mut self, cluster: &Arc<Cluster>, wanted: Wanted) {
        let is_known = self.cluster.as_ref().is_some_and(|known| Arc::ptr_eq(known, cluster));
        if !is_known || self.wanted != wanted {
            self.made.clear();
            self.named.clear();
            self.cluster = Some(Arc::clone(cluster));
            self.wanted = wanted;
        }
    }

    /// What is known of the end that `told` names, if that is known already.
    pub(super) fn known(
        &self,
        told: &Shared<Endpoint>,
        address: IpAddr,
        start_ms: u64,
    ) -> Option<&Shared<Endpoint>> {
        let named = self.named.get(&(told.place(), address))?;
        named.times.contains(&start_ms).then_some(&named.complete)
    }

    /// Remembers `complete` for the next flow of which `told` names `pod` at this address, if it
    /// names any.
    pub(super) fn keep(
        &mut self,
        told: &Shared<Endpoint>,
        address: IpAddr,
        pod: &Pod,
        complete: &Shared<Endpoint>,
    ) {
        let alone = self.cluster.as_ref().and_then(|cluster| cluster.pod_alone(address));
        let alone = alone.filter(|(alone, _)| std::ptr::eq(*alone, pod) && !told.pod.is_empty());
        let Some((_, times)) = alone else { return };
        if self.named.len() >= ENDS {
            self.named.clear();
        }
        let named = Named { _told: told.clone(), complete: complete.clone(), times };
        self.named.insert((told.place(), address), named);
    }

    /// What is known of the end of which this was told and at which `pod` is, if any; and how many
    /// of its labels had no room.
    pub(super) fn complete(
        &mut self,
        told: &Shared<Endpoint>,
        pod: Option<&Pod>,
    ) -> (Shared<Endpoint>, u64) {
        let asked = (told.place(), pod.map_or(0, |pod| std::ptr::from_ref(pod).addr()));
        if asked == (0, 0) {
            return (Shared::NOTHING, 0);
        }
        if let Some(made) = self.made.get(&asked) {
            return (made.complete.clone(), made.cut);
        }
        let Some(cluster) = self.cluster.clone() else { return (told.clone(), 0) };
        let (complete, cut) = self.make(&cluster, told, pod);
        if self.made.len() >= ENDS {
            self.made.clear();
        }
        let made = Made { _told: told.clone(), complete: complete.clone(), cut };
        self.made.insert(asked, made);
        (complete, cut)
    }

    fn make(
        &mut self,
        cluster: &Cluster,
        told: &Shared<Endpoint>,
        pod: Option<&Pod>,
    ) -> (Shared<Endpoint>, u64) {
        let mut end = Endpoint::clone(told);
        let mut cut = 0;
        if let Some(pod) = pod {
            if end.pod.is_empty() {
                end.pod = pod.name.clone();
                end.namespace = pod.namespace.clone();
                end.node = pod.node.clone();
            }
            if end.workload.is_empty() {
                end.workload = self.workloads.of(cluster, pod);
            }
            if self.wanted.pod_labels && end.labels.is_empty() {
                (end.labels, cut) = self.labels.text(pod);
            }
            if self.wanted.uids {
                end.pod_uid = end.pod_uid.or_else(|| uid(&pod.uid));
            }
        }
        if let Some(node) = node(cluster, &end.node) {
            if end.zone.is_empty() {
                end.zone = node.zone.clone();
            }
            if self.wanted.uids {
                end.node_uid = end.node_uid.or_else(|| uid(&node.uid));
            }
        }
        let complete = if end == **told { told.clone() } else { end.into() };
        (complete, cut)
    }
}

impl Clone for Ends {
    /// Remembers nothing yet.
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Names of workloads, each once.
#[derive(Debug)]
struct Workloads {
    names: Interner,
    text: String,
}

impl Default for Workloads {
    fn default() -> Self {
        Self { names: Interner::new(WORKLOADS), text: String::new() }
    }
}

impl Workloads {
    /// `Kind/name`; empty for a Pod that belongs to nothing.
    fn of(&mut self, cluster: &Cluster, pod: &Pod) -> Name {
        let Some(owner) = cluster.workload(pod) else { return Name::EMPTY };
        self.text.clear();
        if write!(self.text, "{}/{}", owner.kind, owner.name).is_err() {
            return Name::EMPTY;
        }
        self.names.intern(&self.text)
    }
}
