//! What of a new configuration a running exporter can take over.

use config::Setting;

use super::{Collector, Settings, keys};

impl Settings {
    /// Takes over what can change while an exporter runs. Returns the names of what differs and
    /// cannot.
    pub(crate) fn take_over(&mut self, new: Self) -> Vec<&'static str> {
        let waiting = [
            (&keys::ENABLE, self.exports() != new.exports()),
            (&keys::NODE, differ(&self.node, &new.node)),
            (&keys::CLUSTER, differ(&self.cluster, &new.cluster)),
            (&keys::PROFILE, differ(&self.profile, &new.profile)),
            (&keys::ZONES, differ(&self.zones, &new.zones)),
            (&keys::RELIABLE, differ(&self.reliable_events, &new.reliable_events)),
            (&keys::SET_SYSCTLS, differ(&self.set_sysctls, &new.set_sysctls)),
            (&keys::CONNECTIONS, differ(&self.connections, &new.connections)),
            (&keys::ADMIN, differ(&self.admin, &new.admin)),
            (&keys::COPY, differ(&self.copy, &new.copy)),
        ];
        self.collector = new.collector;
        self.poll_interval = new.poll_interval;
        self.active_timeout = new.active_timeout;
        self.idle_timeout = new.idle_timeout;
        self.protocols = new.protocols;
        waiting.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key.name()).collect()
    }
}

impl Collector {
    /// Whether sessions with `other` are of no use for this one.
    pub(crate) fn is_another(&self, other: &Self) -> bool {
        (self.target(), self.transport()) != (other.target(), other.transport())
    }
}

fn differ<T: PartialEq>(old: &Setting<T>, new: &Setting<T>) -> bool {
    old.value != new.value
}
