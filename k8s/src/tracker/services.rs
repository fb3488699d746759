//! Services and what leads to them.

use std::net::IpAddr;
use std::sync::Arc;

use flow::Name;

use super::claims::leave;
use super::departures::Departure;
use super::{Live, RESOLUTION_MS, Sight, Tracker};
use crate::cluster::Service;
use crate::holding::Tenancy;
use crate::objects;

/// What a client connects to. Protocols are IANA numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Front {
    End(IpAddr, u16, u8),
    /// A port of every Node.
    NodePort(u16, u8),
    /// A port of one Node that is one Pod's.
    Local(IpAddr, u16, u8),
}

/// In the order of the fronts.
pub(super) type TrackedService = Vec<(Front, Arc<Service>)>;

impl Tracker {
    pub(super) fn service_applied(&mut self, service: &objects::Service) {
        let named = [&service.uid, &service.namespace, &service.name];
        let ports: Vec<&Name> = service.ports.iter().map(|port| &port.name).collect();
        if !self.is_well_formed(&named, &ports) {
            return;
        }
        let order = self.next_order(self.services.is_listing());
        let key = (service.namespace.clone(), service.name.clone());
        match self.services.see(&key, &service.uid) {
            Sight::Late => self.stats.objects_late += 1,
            Sight::Known => self.service_changed(service, order),
            Sight::New { tenant, replaced } => {
                if let Some(replaced) = replaced {
                    self.service_left(replaced, true);
                }
                if self.services.len() >= self.limits.objects {
                    self.stats.objects_refused += 1;
                    return;
                }
                let tenant = tenant.unwrap_or_else(|| self.next_tenant());
                self.services.insert(key, service.uid.clone(), tenant, Vec::new());
                self.service_changed(service, order);
            }
        }
    }

    fn service_changed(&mut self, service: &objects::Service, order: u64) {
        self.localized_applied(service, order);
        let fronts = self.fronts(service);
        let key = (service.namespace.clone(), service.name.clone());
        let Some(live) = self.services.get_mut(&key) else { return };
        let tenant = live.tenant;
        let before = std::mem::replace(&mut live.object, fronts.clone());
        let find = |among: &TrackedService, front| {
            let at = among.binary_search_by_key(&front, |(front, _)| *front).ok()?;
            among.get(at).map(|(_, service)| Arc::clone(service))
        };
        for (front, named) in &fronts {
            if find(&before, *front).as_ref() != Some(named) {
                let bounds = self.service_bounds(service, *front);
                let tenancy = Tenancy::new(Arc::clone(named), tenant, bounds, order);
                self.claim_front(*front, tenancy);
            }
        }
        for (front, _) in before {
            if find(&fronts, front).is_none() {
                self.release_front(front, tenant);
            }
        }
    }

    /// The Service is there no longer.
    pub(super) fn service_left(&mut self, live: Live<TrackedService>, is_final: bool) {
        for (front, _) in live.object {
            self.release_front(front, live.tenant);
        }
        self.localized_left(&live.uid);
        self.depart(Departure::Object(objects::Kind::Service, live.uid.clone(), Name::default()));
        self.services.depart(live.uid, live.tenant, is_final, self.now);
    }

    /// A Service has its ClusterIP from the beginning; other addresses and node ports may come
    /// later, and nobody tells when.
    fn service_bounds(&self, service: &objects::Service, front: Front) -> [u64; 2] {
        let is_first = self.cluster.coverage.services.is_none();
        let is_cluster_ip =
            matches!(front, Front::End(address, ..) if service.cluster_ips.contains(&address));
        let since = if is_first && is_cluster_ip {
            self.now.min(service.created_ms.saturating_add(RESOLUTION_MS))
        } else {
            self.now
        };
        [service.created_ms, since]
    }

    pub(super) fn claim_front(&mut self, front: Front, tenancy: Tenancy<Service>) {
        let claims = self.claims();
        let cut = match front {
            Front::End(address, port, protocol) => {
                let key = (address, port, protocol);
                claims.claim(&mut self.cluster.front_ends, key, tenancy)
            }
            Front::NodePort(port, protocol) => {
                claims.claim(&mut self.cluster.node_ports, (port, protocol), tenancy)
            }
            Front::Local(address, port, protocol) => {
                let key = (address, port, protocol);
                claims.claim(&mut self.cluster.local_ports, key, tenancy)
            }
        };
        self.stats.histories_cut += cut;
    }

    pub(super) fn release_front(&mut self, front: Front, tenant: u64) {
        let now = self.now;
        match front {
            Front::End(address, port, protocol) => {
                let key = (address, port, protocol);
                leave(&mut self.cluster.front_ends, key, tenant, now);
            }
            Front::NodePort(port, protocol) => {
                leave(&mut self.cluster.node_ports, (port, protocol), tenant, now);
            }
            Front::Local(address, port, protocol) => {
                leave(&mut self.cluster.local_ports, (address, port, protocol), tenant, now);
            }
        }
        self.depart(Departure::Front(front, tenant));
    }

    /// Everything that leads to the Service; the first port that has a front keeps it.
    fn fronts(&mut self, service: &objects::Service) -> TrackedService {
        let addresses = [&service.cluster_ips, &service.external_ips, &service.load_balancer_ips];
        let addresses: Vec<IpAddr> = addresses.into_iter().flatten().copied().collect();
        let mut fronts = Vec::new();
        for port in &service.ports {
            let named = Arc::new(Service {
                uid: service.uid.clone(),
                name: service.name.clone(),
                namespace: self.names.intern(&service.namespace),
                port_name: port_name(service, port),
            });
            let ends =
                addresses.iter().map(|&address| Front::End(address, port.port, port.protocol));
            let node_port = port.node_port.map(|number| Front::NodePort(number, port.protocol));
            for front in ends.chain(node_port) {
                if fronts.len() < self.limits.front_ends_per_service {
                    fronts.push((front, Arc::clone(&named)));
                } else {
                    self.stats.front_ends_cut += 1;
                }
            }
        }
        fronts.sort_by_key(|(front, _)| *front);
        fronts.dedup_by_key(|(front, _)| *front);
        fronts
    }
}

/// `namespace/name:portName`.
fn port_name(service: &objects::Service, port: &objects::ServicePort) -> Name {
    let mut name = format!("{}/{}", service.namespace, service.name);
    if !port.name.is_empty() {
        name.push(':');
        name.push_str(&port.name);
    }
    Name::from(name.as_str())
}
