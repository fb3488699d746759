//! Nodes: their own addresses, the networks of their Pods, and where they stand.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::claims::leave;
use super::departures::Departure;
use super::{Key, Live, Sight, Tracker};
use crate::cluster::Node;
use crate::holding::Tenancy;
use crate::objects;

impl Tracker {
    pub(super) fn node_applied(&mut self, mut node: objects::Node) {
        if !self.is_well_formed(&[&node.uid, &node.name], &[&node.zone, &node.region]) {
            return;
        }
        self.cut(&mut node);
        let order = self.next_order(self.nodes.is_listing());
        let key = Key::from((<_>::default(), node.name.clone()));
        match self.nodes.see(&key, &node.uid) {
            Sight::Late => self.stats.objects_late += 1,
            Sight::Known => self.node_changed(&key, node, order),
            Sight::New { tenant, replaced } => {
                if let Some(replaced) = replaced {
                    self.node_left(replaced, true);
                }
                if self.nodes.len() >= self.limits.objects {
                    self.stats.objects_refused += 1;
                    return;
                }
                let tenant = tenant.unwrap_or_else(|| self.next_tenant());
                let nothing = objects::Node::default();
                self.nodes.insert(key.clone(), node.uid.clone(), tenant, nothing);
                self.node_changed(&key, node, order);
            }
        }
    }

    fn node_changed(&mut self, key: &Key, node: objects::Node, order: u64) {
        let Some(live) = self.nodes.get_mut(key) else { return };
        // Kubelets say every few minutes that nothing has changed.
        if live.object == node {
            return;
        }
        let tenant = live.tenant;
        let before = std::mem::replace(&mut live.object, node.clone());
        let named = Arc::new(Node {
            uid: node.uid,
            name: self.names.intern(&node.name),
            zone: self.names.intern(&node.zone),
            region: self.names.intern(&node.region),
            pod_networks: node.pod_cidrs.iter().map(ipnet::IpNet::trunc).collect(),
        });
        self.cluster.nodes.insert(node.name, Arc::clone(&named));
        let is_first = self.cluster.coverage.nodes.is_none();
        let since = if is_first { node.created_ms.min(self.now) } else { self.now };
        for &address in &node.addresses {
            let bounds = [node.created_ms, since];
            let tenancy = Tenancy::new(Arc::clone(&named), tenant, bounds, order);
            let claims = self.claims();
            let cut = claims.claim(&mut self.cluster.node_addresses, address, tenancy);
            self.stats.histories_cut += cut;
        }
        for &network in node.pod_cidrs.iter().filter(|cidr| !before.pod_cidrs.contains(cidr)) {
            self.cluster.networks.insert(network);
        }
        let left = before.addresses.iter().filter(|address| !node.addresses.contains(address));
        let networks = before.pod_cidrs.iter().filter(|cidr| !node.pod_cidrs.contains(cidr));
        self.release_node(left, networks, tenant);
    }

    /// The Node is there no longer.
    pub(super) fn node_left(&mut self, live: Live<objects::Node>, is_final: bool) {
        let node = &live.object;
        self.release_node(&node.addresses, &node.pod_cidrs, live.tenant);
        let name = live.object.name;
        self.depart(Departure::Object(objects::Kind::Node, live.uid.clone(), name));
        self.nodes.depart(live.uid, live.tenant, is_final, self.now);
    }

    fn release_node<'a>(
        &mut self,
        addresses: impl IntoIterator<Item = &'a IpAddr>,
        networks: impl IntoIterator<Item = &'a IpNet>,
        tenant: u64,
    ) {
        for &address in addresses {
            leave(&mut self.cluster.node_addresses, address, tenant, self.now);
            self.depart(Departure::NodeAddress(address, tenant));
        }
        // Connections of its last Pods are still to be told.
        for &network in networks {
            self.depart(Departure::Network(network));
        }
    }

    fn cut(&mut self, node: &mut objects::Node) {
        let (addresses, networks) = (self.limits.addresses_per_node, self.limits.networks_per_node);
        self.stats.addresses_cut += node.addresses.len().saturating_sub(addresses) as u64;
        self.stats.networks_cut += node.pod_cidrs.len().saturating_sub(networks) as u64;
        node.addresses.truncate(addresses);
        node.pod_cidrs.truncate(networks);
        // A network counts once per Node.
        node.pod_cidrs.sort_unstable();
        node.pod_cidrs.dedup();
    }
}
