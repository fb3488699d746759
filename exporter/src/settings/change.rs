//! What of a new configuration a running exporter can take over.

use config::Setting;

use super::{Settings, keys};

impl Settings {
    /// Takes over what can change while an exporter runs. Returns the names of what differs and
    /// cannot.
    pub(crate) fn take_over(&mut self, new: Self) -> Vec<&'static str> {
        let waiting = [
            (&keys::ENABLE, self.exports() != new.exports()),
            (&keys::NODE, differ(&self.node, &new.node)),
            (&keys::CLUSTER, differ(&self.cluster, &new.cluster)),
            (&keys::KUBERNETES, differ(&self.kubernetes, &new.kubernetes)),
            (&keys::KUBECONFIG, differ(&self.kubeconfig, &new.kubeconfig)),
            (&keys::TRAFFIC_MODE, differ(&self.naming.mode, &new.naming.mode)),
            (&keys::POD_NETWORKS, differ(&self.naming.pod_networks, &new.naming.pod_networks)),
            (&keys::HOST_FLOWS, differ(&self.naming.host_flows, &new.naming.host_flows)),
            (&keys::AGENT_PORT, differ(&self.naming.agent_port, &new.naming.agent_port)),
            (&keys::AGENT_TOKEN, differ(&self.naming.agent_token, &new.naming.agent_token)),
            (&keys::ZONES, differ(&self.zones, &new.zones)),
            (&keys::RELIABLE, differ(&self.reliable_events, &new.reliable_events)),
            (&keys::SET_SYSCTLS, differ(&self.set_sysctls, &new.set_sysctls)),
            (&keys::CONNECTIONS, differ(&self.connections, &new.connections)),
            (&keys::ADMIN, differ(&self.admin, &new.admin)),
            (&keys::COPY, differ(&self.copy, &new.copy)),
        ];
        let denial = self.denial.differing(&new.denial);
        self.naming.wait = new.naming.wait;
        self.collector = new.collector;
        self.destinations = new.destinations;
        self.profile = new.profile;
        self.poll_interval = new.poll_interval;
        self.active_timeout = new.active_timeout;
        self.idle_timeout = new.idle_timeout;
        self.protocols = new.protocols;
        waiting
            .into_iter()
            .chain(denial)
            .filter(|(_, differs)| *differs)
            .map(|(key, _)| key.name())
            .collect()
    }
}

fn differ<T: PartialEq>(old: &Setting<T>, new: &Setting<T>) -> bool {
    old.value != new.value
}
