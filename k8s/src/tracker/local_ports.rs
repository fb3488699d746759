//! Ports of Nodes that Antrea's `NodePortLocal` has given Pods, and the Services they are for.
//!
//! An annotation of the Pod says which port of its Node leads to which of its own. For whom that
//! was done nobody says: it is each Service of the Pod's namespace that asks for such ports,
//! selects the Pod, and leads to that port of it.

use std::net::IpAddr;
use std::sync::Arc;

use flow::Name;
use hashbrown::HashMap;

use super::Tracker;
use super::services::Front;
use crate::cluster::Service;
use crate::holding::Tenancy;
use crate::objects::{self, Labels, LocalPort, Localized, TargetPort};

/// Services that one port is for; others are not named.
const SERVICES: usize = 8;

/// Both by uid.
#[derive(Debug, Default)]
pub(super) struct LocalPorts {
    pods: HashMap<Name, LocalPod>,
    services: HashMap<Name, LocalService>,
}

#[derive(Debug)]
struct LocalPod {
    namespace: Name,
    labels: Labels,
    ports: Vec<LocalPort>,
    created_ms: u64,
    tenant: u64,
    /// What it is known by now.
    named: Vec<(Front, Arc<Service>)>,
}

#[derive(Debug, PartialEq, Eq)]
struct LocalService {
    namespace: Name,
    name: Name,
    localized: Localized,
}

#[cfg(test)]
impl LocalPorts {
    pub(super) fn is_empty_of_pods(&self) -> bool {
        self.pods.is_empty()
    }
}

impl Tracker {
    pub(super) fn local_ports_applied(&mut self, pod: &objects::Pod, tenant: u64, order: u64) {
        if pod.local_ports.is_empty() || pod.has_ended() {
            return self.local_ports_left(&pod.uid);
        }
        let named = self.local_ports.pods.remove(&pod.uid).map(|known| known.named);
        let local = LocalPod {
            namespace: pod.namespace.clone(),
            labels: pod.labels.clone(),
            ports: pod.local_ports.clone(),
            created_ms: pod.created_ms,
            tenant,
            named: named.unwrap_or_default(),
        };
        self.local_ports.pods.insert(pod.uid.clone(), local);
        self.name_local_ports(&pod.uid, order);
    }

    pub(super) fn local_ports_left(&mut self, uid: &Name) {
        let Some(left) = self.local_ports.pods.remove(uid) else { return };
        for (front, _) in left.named {
            self.release_front(front, left.tenant);
        }
    }

    pub(super) fn localized_applied(&mut self, service: &objects::Service, order: u64) {
        let now = service.localized.as_ref().map(|localized| LocalService {
            namespace: service.namespace.clone(),
            name: service.name.clone(),
            localized: localized.clone(),
        });
        if self.local_ports.services.get(&service.uid) == now.as_ref() {
            return;
        }
        self.local_ports.services.remove(&service.uid);
        self.local_ports.services.extend(now.map(|now| (service.uid.clone(), now)));
        self.name_all_in(&service.namespace, order);
    }

    pub(super) fn localized_left(&mut self, uid: &Name) {
        let Some(left) = self.local_ports.services.remove(uid) else { return };
        let order = self.next_order(self.services.is_listing());
        self.name_all_in(&left.namespace, order);
    }

    fn name_all_in(&mut self, namespace: &Name, order: u64) {
        let pods = self.local_ports.pods.iter();
        let uids: Vec<_> = pods
            .filter(|(_, pod)| pod.namespace == *namespace)
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in uids {
            self.name_local_ports(&uid, order);
        }
    }

    /// Says by which names the ports of a Pod are known from now on.
    fn name_local_ports(&mut self, uid: &Name, order: u64) {
        let LocalPorts { pods, services } = &mut self.local_ports;
        let Some(pod) = pods.get_mut(uid) else { return };
        let mut named = Vec::new();
        for port in &pod.ports {
            let Some(front) = front(port) else { continue };
            let service = |name: Name| {
                let (uid, namespace) = (uid.clone(), pod.namespace.clone());
                Arc::new(Service { uid, name: name.clone(), namespace, port_name: name })
            };
            named.extend(joined(pod, port, services).map(|name| (front, service(name))));
        }
        named.sort_by_key(|(front, _)| *front);
        named.dedup_by_key(|(front, _)| *front);
        let before = std::mem::replace(&mut pod.named, named.clone());
        // Nobody tells when it was given.
        let (tenant, bounds) = (pod.tenant, [pod.created_ms, self.now]);
        for (front, service) in &named {
            if !before.iter().any(|known| known == &(*front, Arc::clone(service))) {
                let tenancy = Tenancy::new(Arc::clone(service), tenant, bounds, order);
                self.claim_front(*front, tenancy);
            }
        }
        for (front, _) in before {
            if !named.iter().any(|(other, _)| *other == front) {
                self.release_front(front, tenant);
            }
        }
    }
}

fn front(port: &LocalPort) -> Option<Front> {
    let (address, number): (Option<IpAddr>, u16) = port.node;
    Some(Front::Local(address?, number, port.protocol))
}

/// `namespace/name` of the Services that a port is for, with `|` between them.
fn joined(
    pod: &LocalPod,
    port: &LocalPort,
    services: &HashMap<Name, LocalService>,
) -> Option<Name> {
    let is_for = |service: &&LocalService| {
        let Localized { selector, targets } = &service.localized;
        let selects = !selector.is_empty() && selector.iter().all(|it| pod.labels.contains(it));
        let is_target = |(protocol, target): &(u8, TargetPort)| {
            let is_it = match target {
                TargetPort::Number(number) => *number == port.port,
                TargetPort::Named(name) => !name.is_empty() && *name == port.name,
            };
            is_it && *protocol == port.protocol
        };
        service.namespace == pod.namespace && selects && targets.iter().any(is_target)
    };
    let found = services.values().filter(is_for);
    let mut names: Vec<_> =
        found.map(|service| format!("{}/{}", service.namespace, service.name)).collect();
    names.sort_unstable();
    names.truncate(SERVICES);
    (!names.is_empty()).then(|| Name::from(names.join("|").as_str()))
}
