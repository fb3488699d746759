//! By which Egress a Pod's connection leaves the cluster.

use std::net::IpAddr;
use std::sync::Arc;

use flow::{Exit, Shared};
use k8s::Cluster;

use super::{Enricher, Seat};
use crate::names::End;
use crate::names::egress::{Effective, Uncertain};

impl Enricher {
    /// How a connection from `source` gets `to` where it wants, outside of the cluster. Nothing if
    /// there is no Egress, or none that is certain. It is the one of now, as in Antrea; that may not be the one by which the connection began.
    pub(super) fn exit(&self, cluster: &Cluster, source: Seat<'_>, to: IpAddr) -> Shared<Exit> {
        let found = self.found_exit(cluster, source, to);
        let found = found.inspect_err(|why| self.counts.unresolved(End::Exit, why.name()));
        let Ok(Some(egress)) = found else { return Shared::NOTHING };
        let Some(address) = egress.address(to) else { return Shared::NOTHING };
        let (name, ip, node) = (egress.name.clone(), address.clone(), egress.node.clone());
        Exit { name, ip, node }.into()
    }

    /// Whether an Egress that is not known now may be known soon.
    pub(super) fn exit_may_come(&self, cluster: &Cluster, source: Seat<'_>, to: IpAddr) -> bool {
        let may_be_external = !cluster.is_pod_address(to);
        let found = || self.found_exit(cluster, source, to);
        may_be_external && found().is_err_and(Uncertain::may_be_known_soon)
    }

    fn found_exit(
        &self,
        cluster: &Cluster,
        source: Seat<'_>,
        to: IpAddr,
    ) -> Result<Option<Arc<Effective>>, Uncertain> {
        let Some(egresses) = &self.egresses else { return Ok(None) };
        // Without a name there is nothing to look for, which is counted already.
        let Some(pod) = source.pod.owner().filter(|_| source.place.is_local) else {
            return Ok(None);
        };
        // Antrea sends what goes to a Node there directly.
        if cluster.is_node_address(to) {
            return Ok(None);
        }
        egresses.of(pod, cluster)
    }
}
