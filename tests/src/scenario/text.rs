//! What a scenario's file says.

use std::net::SocketAddr;
use std::time::Duration;

use flow::Profile;
use serde::Deserialize;

use crate::egresses::DescribedEgress;
use crate::pipeline::Timers;
use crate::policies::DescribedRule;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    /// As in a cluster file.
    pub cluster: serde_yaml::Value,
    /// Rules of policies, which an Antrea Agent tells of every Node.
    #[serde(default)]
    pub policies: Vec<DescribedRule>,
    #[serde(default)]
    pub egresses: Vec<DescribedEgress>,
    #[serde(default)]
    pub profile: ProfileName,
    /// Pods' connections are tracked in Antrea's zones, and those from outside in zone 0 before.
    #[serde(default)]
    pub antrea: bool,
    #[serde(default)]
    pub timers: DescribedTimers,
    #[serde(default)]
    pub connections: Vec<Described>,
    #[serde(default)]
    pub denied: Vec<Refused>,
    pub expect: Vec<Expected>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ProfileName {
    Antrea,
    #[default]
    Fyke,
}

/// In seconds; without any, the defaults.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedTimers {
    poll: f64,
    active: f64,
    idle: f64,
    /// The aggregator's own active timeout.
    aggregator: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    pub protocol: String,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub backend: Option<SocketAddr>,
    /// What the host makes of `to` where Antrea itself chooses the backend.
    pub r#virtual: Option<SocketAddr>,
    pub snat: Option<SocketAddr>,
    /// From and to, since the scenario began.
    pub seconds: [f64; 2],
    /// From the client, to the client.
    pub octets: [u64; 2],
    #[serde(default)]
    pub end_unheard: bool,
    /// Ids of the rules that let it pass, each on the Node of its Pod.
    pub ingress: Option<u32>,
    pub egress: Option<u32>,
    /// No other Node has it in its table.
    pub only_at: Option<String>,
    /// The Node by whose Egress it leaves the cluster, if that is another.
    pub leaves_by: Option<String>,
}

/// Packets that a policy denied, as the Node's Open vSwitch tells.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refused {
    pub protocol: String,
    pub from: SocketAddr,
    /// Behind destination NAT.
    pub to: SocketAddr,
    /// What the client asked for, if that was another.
    pub service: Option<SocketAddr>,
    /// When each packet came.
    pub seconds: Vec<f64>,
    /// Of each packet.
    pub octets: u64,
    pub direction: String,
    pub action: String,
    /// Without: a Pod that K8s policies isolate.
    pub rule: Option<u32>,
    /// The rule of the other direction, which let it pass.
    pub allowed_by: Option<u32>,
}

/// One flow of the store. Counters are packets, octets, reverse packets, reverse octets.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expected {
    pub r#type: String,
    /// `namespace/pod@node`, or an address.
    pub source: String,
    pub destination: String,
    pub service: String,
    /// What the client sent to, if destination NAT replaced it; what source NAT made of it.
    pub dialled: Option<SocketAddr>,
    pub proxy_snat: Option<SocketAddr>,
    /// Type, name and rule, action: as [`super::told::rule`] writes it.
    pub ingress: String,
    pub egress: String,
    /// Name, address and Node of the Egress; nothing if there is none.
    pub leaves: Vec<String>,
    /// `flowEndReason` of the last record; not looked at if not given.
    pub reason: Option<u8>,
    pub records: u64,
    pub from_source: [u64; 4],
    pub from_destination: [u64; 4],
}

impl Expected {
    pub(super) fn is_met_by(&self, told: &Self) -> bool {
        *self == Self { reason: self.reason.and(told.reason), ..told.clone() }
    }
}

impl ProfileName {
    pub(super) const fn profile(self) -> Profile {
        match self {
            Self::Antrea => Profile::Antrea,
            Self::Fyke => Profile::Fyke,
        }
    }
}

impl Default for DescribedTimers {
    fn default() -> Self {
        Self { poll: 2.0, active: 5.0, idle: 15.0, aggregator: 10.0 }
    }
}

impl DescribedTimers {
    pub(super) fn timers(self) -> Timers {
        let [poll, active, idle, aggregator] =
            [self.poll, self.active, self.idle, self.aggregator].map(Duration::from_secs_f64);
        Timers { poll, active, idle, aggregator }
    }
}
