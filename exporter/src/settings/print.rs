//! The configuration in force, written so that `--config` can read it.

use std::fmt::Display;

use config::duration::format as duration;
use config::write::{self, Line, text};
use config::{Key, Setting};

use super::values::{PROTOCOLS, profile_word, traffic_mode_word};
use super::{Collector, OWN, ProtocolFilter, Settings, destinations, keys};

impl Settings {
    /// Every key with its value, and who gave it.
    pub fn to_yaml(&self) -> String {
        let path = |path: &std::path::PathBuf| text(&path.to_string_lossy());
        let maybe_path = |it: &Option<std::path::PathBuf>| it.as_ref().map_or(text(""), path);
        let Collector { address, ca, certificate, key, server_name, .. } = &self.collector;
        let naming = &self.naming;
        let lines = [
            line(&keys::ENABLE, &self.enable, |it| it.word().to_owned()),
            line(&keys::NODE, &self.node, |it| text(it)),
            line(&keys::CLUSTER, &self.cluster, maybe_path),
            line(&keys::KUBERNETES, &self.kubernetes, |it| it.word().to_owned()),
            line(&keys::KUBECONFIG, &self.kubeconfig, maybe_path),
            line(&keys::COLLECTOR, address, |it| text(&it.to_string())),
            line(&keys::CA, ca, maybe_path),
            line(&keys::CERTIFICATE, certificate, maybe_path),
            line(&keys::PRIVATE_KEY, key, maybe_path),
            line(&keys::SERVER_NAME, server_name, |it| text(it.as_deref().unwrap_or_default())),
            line(&keys::POLL, &self.poll_interval, |it| duration(*it)),
            line(&keys::ACTIVE, &self.active_timeout, |it| duration(*it)),
            line(&keys::IDLE, &self.idle_timeout, |it| duration(*it)),
            line(&keys::PROTOCOLS, &self.protocols, |it| protocols(it.as_ref())),
            line(&keys::PROFILE, &self.profile, |it| profile_word(*it).to_owned()),
            Line {
                path: keys::DESTINATIONS.name(),
                above: Vec::new(),
                value: destinations::list(&self.destinations),
                is_off: false,
                behind: None,
            },
            line(&keys::ZONES, &self.zones, |it| list(it)),
            line(&keys::RELIABLE, &self.reliable_events, bool::to_string),
            line(&keys::SET_SYSCTLS, &self.set_sysctls, bool::to_string),
            line(&keys::CONNECTIONS, &self.connections, usize::to_string),
        ];
        let last = [
            line(&keys::ADMIN, &self.admin, |it| text(&it.to_string())),
            line(&keys::COPY, &self.copy, maybe_path),
            line(&keys::NAME_WAIT, &naming.wait, |it| duration(*it)),
            line(&keys::TRAFFIC_MODE, &naming.mode, |it| traffic_mode_word(*it).to_owned()),
            line(&keys::POD_NETWORKS, &naming.pod_networks, |it| list(it)),
            line(&keys::HOST_FLOWS, &naming.host_flows, bool::to_string),
            line(&keys::AGENT_PORT, &naming.agent_port, u16::to_string),
            line(&keys::AGENT_TOKEN, &naming.agent_token, path),
        ];
        let lines = lines.into_iter().chain(self.denial.lines()).chain(last);
        write::file(&lines.collect::<Vec<_>>())
    }
}

pub(super) fn line<T>(key: &Key, setting: &Setting<T>, value: impl Fn(&T) -> String) -> Line {
    write::setting(OWN, key, setting, value)
}

pub(super) fn protocols(filter: Option<&ProtocolFilter>) -> String {
    let Some(filter) = filter else { return "null".to_owned() };
    let allowed = PROTOCOLS.iter().filter(|(_, number)| filter.allows(*number));
    list(&allowed.map(|(word, _)| *word).collect::<Vec<_>>())
}

pub(super) fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    format!("[{}]", items.join(", "))
}
