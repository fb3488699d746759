//! Pods and their addresses.

use std::net::IpAddr;
use std::sync::Arc;

use flow::{Endpoint, Name};

use super::claims::leave;
use super::departures::Departure;
use super::{Key, Live, RESOLUTION_MS, Sight, Tracker};
use crate::cluster::Pod;
use crate::holding::Tenancy;
use crate::objects::{self, Owner};

/// What is known of a Pod beside what snapshots show.
#[derive(Debug)]
pub(super) struct TrackedPod {
    pod: Arc<Pod>,
    addresses: Box<[IpAddr]>,
    network_ready: u64,
    /// It has, or has had, an address.
    has_had: bool,
    has_ended: bool,
}

impl Tracker {
    pub(super) fn pod_applied(&mut self, pod: &objects::Pod) {
        if !self.is_well_formed(&[&pod.uid, &pod.namespace, &pod.name], &[&pod.node]) {
            return;
        }
        let order = self.next_order(self.pods.is_listing());
        let key = (pod.namespace.clone(), pod.name.clone());
        match self.pods.see(&key, &pod.uid) {
            Sight::Late => self.stats.objects_late += 1,
            Sight::Known => {
                let resolved = self.resolved(pod);
                self.pod_changed(&key, pod, resolved, order);
            }
            Sight::New { tenant, replaced } => {
                if let Some(replaced) = replaced {
                    self.pod_left(replaced, true);
                }
                if self.pods.len() >= self.limits.objects {
                    self.stats.objects_refused += 1;
                    return;
                }
                let tenant = tenant.unwrap_or_else(|| self.next_tenant());
                let resolved = self.resolved(pod);
                let tracked = TrackedPod {
                    pod: Arc::clone(&resolved),
                    addresses: Box::default(),
                    network_ready: 0,
                    has_had: false,
                    has_ended: false,
                };
                self.pods.insert(key.clone(), pod.uid.clone(), tenant, tracked);
                self.pod_changed(&key, pod, resolved, order);
            }
        }
    }

    fn pod_changed(&mut self, key: &Key, pod: &objects::Pod, resolved: Arc<Pod>, order: u64) {
        let Some(live) = self.pods.get(key) else { return };
        // A Pod that has ended never has an address again.
        if live.object.has_ended {
            return;
        }
        let has_changed = live.object.pod != resolved;
        let resolved = if has_changed { resolved } else { Arc::clone(&live.object.pod) };
        let (tenant, before) = (live.tenant, live.object.addresses.clone());
        self.local_ports_applied(pod, tenant, order);
        let Some(live) = self.pods.get(key) else { return };
        let last_ready = live.object.has_had.then_some(live.object.network_ready);
        let addresses = self.own_addresses(pod);
        let is_past = pod.has_ended() && self.is_past(pod.ended_ms);
        for &address in &addresses {
            let is_new = !before.contains(&address);
            if (is_new && !is_past) || (!is_new && has_changed) {
                let bounds = self.pod_bounds(pod, last_ready);
                let tenancy = Tenancy::new(Arc::clone(&resolved), tenant, bounds, order);
                let cut = self.claims().claim(&mut self.cluster.pods, address, tenancy);
                self.stats.histories_cut += cut;
            }
        }
        let left = before.iter().filter(|address| !addresses.contains(address));
        self.release(left.copied(), tenant, self.now);
        if pod.has_ended() {
            self.release(addresses.iter().copied(), tenant, self.not_after_now(pod.ended_ms));
        }
        if let Some(live) = self.pods.get_mut(key) {
            live.object = TrackedPod {
                pod: resolved,
                has_had: live.object.has_had || !addresses.is_empty(),
                addresses: if pod.has_ended() { Box::default() } else { addresses },
                network_ready: pod.network_ready_ms,
                has_ended: pod.has_ended(),
            };
        }
    }

    /// The Pod is there no longer.
    pub(super) fn pod_left(&mut self, live: Live<TrackedPod>, is_final: bool) {
        self.release(live.object.addresses.iter().copied(), live.tenant, self.now);
        self.local_ports_left(&live.uid);
        self.depart(Departure::Object(objects::Kind::Pod, live.uid.clone(), Name::default()));
        self.pods.depart(live.uid, live.tenant, is_final, self.now);
    }

    fn release(&mut self, addresses: impl IntoIterator<Item = IpAddr>, tenant: u64, left: u64) {
        for address in addresses {
            leave(&mut self.cluster.pods, address, tenant, left);
            self.depart(Departure::PodAddress(address, tenant));
        }
    }

    /// The earliest time at which the Pod can have got an address that is new to us, and the time
    /// by which it had it. `last_ready` says since when it had had others before, if it had.
    fn pod_bounds(&self, pod: &objects::Pod, last_ready: Option<u64>) -> [u64; 2] {
        let earliest = pod.created_ms.max(pod.started_ms);
        if let Some(last_ready) = last_ready {
            // Kubelets tell when a network is ready; one that is replaced was ready before.
            let is_newer = pod.network_ready_ms > last_ready;
            let since = if is_newer { self.not_after_now(pod.network_ready_ms) } else { self.now };
            return [earliest.max(last_ready), since];
        }
        // 0 means nobody says since when: it is certain from now on only.
        let since = self.not_after_now(pod.network_ready_ms);
        let ended = if pod.has_ended() { self.not_after_now(pod.ended_ms) } else { self.now };
        [earliest, since.min(ended)]
    }

    /// Whether a Pod that ended is none of our business: it did too long ago, or a list shows it
    /// and nobody knows when it did. Clusters keep many such.
    fn is_past(&self, ended: u64) -> bool {
        match ended {
            0 => self.pods.is_listing(),
            ended => ended.saturating_add(self.cluster.margins.keep_ms) < self.now,
        }
    }

    /// By when something had happened that the API dates to the second; now if it does not.
    fn not_after_now(&self, told: u64) -> u64 {
        match told {
            0 => self.now,
            told => self.now.min(told.saturating_add(RESOLUTION_MS)),
        }
    }

    /// Its addresses if they are its own.
    fn own_addresses(&mut self, pod: &objects::Pod) -> Box<[IpAddr]> {
        if pod.host_network {
            return Box::default();
        }
        let mut addresses = Vec::new();
        for &address in &pod.addresses {
            if addresses.len() == self.limits.addresses_per_pod {
                self.stats.addresses_cut += 1;
            } else if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses.into()
    }

    fn resolved(&mut self, pod: &objects::Pod) -> Arc<Pod> {
        let labels = self.kept_labels(&pod.labels);
        let owner = pod.owner.as_ref().map(|owner| self.shared_owner(owner));
        let (name, namespace) = (pod.name.clone(), self.names.intern(&pod.namespace));
        let node = self.names.intern(&pod.node);
        let end = Endpoint {
            pod: name.clone(),
            namespace: namespace.clone(),
            node: node.clone(),
            ..Endpoint::default()
        };
        Arc::new(Pod {
            uid: pod.uid.clone(),
            name,
            namespace,
            node,
            owner,
            end: end.into(),
            labels,
        })
    }

    /// The owner with its texts shared: it has other Pods, too.
    pub(super) fn shared_owner(&mut self, owner: &Owner) -> Owner {
        Owner {
            kind: self.names.intern(&owner.kind),
            name: self.names.intern(&owner.name),
            uid: self.names.intern(&owner.uid),
        }
    }
}
