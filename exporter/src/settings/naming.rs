//! What concerns names.

use std::path::PathBuf;
use std::time::Duration;

use config::{Setting, Sources, read};
use ipnet::IpNet;

use super::{keys, values};
use crate::enrich::{Rules, TrafficMode};

/// Where names come from, how long is waited for them, and whose connections are told at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Naming {
    /// How long a connection that has ended may wait for its names.
    pub wait: Setting<Duration>,
    pub mode: Setting<TrafficMode>,
    pub pod_networks: Setting<Vec<IpNet>>,
    pub host_flows: Setting<bool>,
    pub agent_port: Setting<u16>,
    pub agent_token: Setting<PathBuf>,
}

impl Naming {
    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let wait = sources.pick(&keys::NAME_WAIT, read::duration);
        let mode = sources.pick(&keys::TRAFFIC_MODE, values::traffic_mode);
        let networks = Setting::optional(sources.pick(&keys::POD_NETWORKS, values::networks));
        let host_flows = sources.pick(&keys::HOST_FLOWS, read::truth);
        let port = sources.pick(&keys::AGENT_PORT, values::port);
        let token = sources.pick(&keys::AGENT_TOKEN, values::path);
        Some(Self {
            wait: wait?,
            mode: mode?,
            pod_networks: Setting::new(networks.value.unwrap_or_default(), networks.origin),
            host_flows: host_flows?,
            agent_port: port?,
            agent_token: token?,
        })
    }

    pub fn rules(&self) -> Rules {
        Rules {
            mode: self.mode.value,
            pod_networks: self.pod_networks.value.clone(),
            host_flows: self.host_flows.value,
        }
    }
}
