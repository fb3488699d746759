//! How one exporter is configured: by its command line, its environment, its own file, and the
//! file of the Antrea Agent, in this order.
mod keys; // every setting, described once
mod values; // how values are read
mod sources; // files and flags, read
mod change; // what a running exporter can take over
mod naming; // where names come from
mod denial; // where denied packets are heard of
mod collector; // where to send, and what keeps that from working
mod destinations; // where else
mod print; // the configuration in force, as a file
pub mod reference; // the shipped files and the reference

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::address::Protocol;
use config::{Findings, Key, Origin, Setting, Severity, Sources, read};
use flow::Profile;
use k8s::client::Source;

pub use collector::Collector;
pub use denial::Denial;
pub(crate) use keys::POD;
pub use keys::{AGENT, OWN};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use keys::{AGENT_FILE, KEYS, OWN_FILE};
pub use naming::Naming;
pub use sources::{Files, Texts};
pub use values::{Enable, Kubernetes};

use crate::destination::{self, Compatibility, Filter, Redaction, STATIC, Spec};
use crate::filter::ProtocolFilter;
use crate::zones::{self, Part};

/// The configuration in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub enable: Setting<Enable>,
    pub gate: Setting<bool>,
    pub agent_enable: Setting<bool>,
    pub node: Setting<String>,
    /// `None` to ask the API server.
    pub cluster: Setting<Option<PathBuf>>,
    pub kubernetes: Setting<Kubernetes>,
    pub kubeconfig: Setting<Option<PathBuf>>,
    pub naming: Naming,
    /// The destination `static`, if there is one.
    pub collector: Collector,
    pub destinations: Vec<Spec>,
    pub poll_interval: Setting<Duration>,
    pub active_timeout: Setting<Duration>,
    pub idle_timeout: Setting<Duration>,
    /// `None` for all.
    pub protocols: Setting<Option<ProtocolFilter>>,
    pub profile: Setting<Profile>,
    pub zones: Setting<Vec<Part>>,
    pub reliable_events: Setting<bool>,
    pub set_sysctls: Setting<bool>,
    pub connections: Setting<usize>,
    pub denial: Denial,
    pub admin: Setting<SocketAddr>,
    pub copy: Setting<Option<PathBuf>>,
}

/// Everything as it was read at one time.
#[derive(Debug)]
pub struct Loaded {
    /// `None` if it is refused.
    pub settings: Option<Settings>,
    pub findings: Findings,
    pub texts: Texts,
}

impl Settings {
    /// Puts together what all sources say. `None` if it is refused; the findings say why, and
    /// whatever else there is to say.
    pub fn resolve(mut sources: Sources) -> (Option<Self>, Findings) {
        let settings = Self::pick(&mut sources);
        let mut findings = sources.findings;
        findings.sort();
        (settings.filter(|_| !findings.any(Severity::Error)), findings)
    }

    fn pick(sources: &mut Sources) -> Option<Self> {
        let enable = sources.pick(&keys::ENABLE, values::enable);
        let gate = sources.pick(&keys::GATE, read::truth);
        let agent_enable = sources.pick(&keys::AGENT_ENABLE, read::truth);
        let node = required(sources, &keys::NODE, values::node);
        let cluster = Setting::optional(sources.pick(&keys::CLUSTER, values::path));
        let kubernetes = sources.pick(&keys::KUBERNETES, values::kubernetes);
        let kubeconfig = Setting::optional(sources.pick(&keys::KUBECONFIG, values::path));
        let naming = Naming::pick(sources);
        let profile = sources.pick(&keys::PROFILE, values::profile);
        let zones = zones(sources);
        let reliable_events = sources.pick(&keys::RELIABLE, read::truth);
        let set_sysctls = sources.pick(&keys::SET_SYSCTLS, read::truth);
        let connections = sources.pick(&keys::CONNECTIONS, values::connections);
        let denial = denial::pick(sources);
        let admin = sources.pick(&keys::ADMIN, read::socket);
        let copy = Setting::optional(sources.pick(&keys::COPY, values::path));
        let protocols = Setting::optional(sources.pick(&keys::PROTOCOLS, values::protocols));
        let times = times(sources);
        let (enable, gate, agent_enable) = (enable?, gate?, agent_enable?);
        beside_the_agent(&mut sources.findings, &enable, &gate, &agent_enable);
        check_filter(&mut sources.findings, &protocols);
        check_cluster(&mut sources.findings, &cluster, kubernetes.as_ref());
        let exports = exports(enable.value, gate.value, agent_enable.value);
        let common = times.as_ref().map(|[poll, active, idle]| destinations::Common {
            poll: poll.value,
            timeouts: destination::Timeouts { active: active.value, idle: idle.value },
        });
        let (destinations, are_listed) = destinations::pick(sources, common);
        let in_cluster = sources.environment.contains_key(keys::POD);
        let objects = kubernetes.as_ref().is_some_and(|kubernetes| {
            way_to_api_server(kubernetes.value, kubeconfig.value.as_ref(), in_cluster).is_some()
        });
        let collector = collector::pick(sources, exports, are_listed, objects);
        check_copy(&mut sources.findings, &copy, collector.as_ref(), are_listed);
        let [poll_interval, active_timeout, idle_timeout] = times?;
        Some(Self {
            enable,
            gate,
            agent_enable,
            node: node?,
            cluster,
            kubernetes: kubernetes?,
            kubeconfig,
            naming: naming?,
            collector: collector?,
            destinations,
            poll_interval,
            active_timeout,
            idle_timeout,
            protocols,
            profile: profile?,
            zones: zones?,
            reliable_events: reliable_events?,
            set_sysctls: set_sysctls?,
            connections: connections?,
            denial: denial?,
            admin: admin?,
            copy,
        })
    }

    /// Every destination.
    pub fn specs(&self) -> Vec<Spec> {
        let first = self.has_static().then(|| self.static_spec()).flatten();
        first.into_iter().chain(self.destinations.iter().cloned()).collect()
    }

    /// Where others are listed, the collector of Antrea's keys is only one if somebody gives it.
    fn has_static(&self) -> bool {
        self.destinations.is_empty() || self.collector.address.origin != Origin::Default
    }

    /// `None` if something is missing, which the findings have told.
    fn static_spec(&self) -> Option<Spec> {
        let protocols = self.protocols.value.unwrap_or_default();
        let timeouts = destination::Timeouts {
            active: self.active_timeout.value,
            idle: self.idle_timeout.value,
        };
        Some(Spec {
            name: STATIC.to_owned(),
            address: self.collector.address.value.clone(),
            transport: self.collector.transport()?,
            filter: Filter { protocols, ..Filter::default() },
            profile: self.profile.value,
            compatibility: Compatibility::of(self.profile.value),
            timeouts,
            redaction: Redaction::default(),
            template_refresh: Spec::TEMPLATE_REFRESH,
        })
    }

    /// Whether there is anything to do.
    pub const fn exports(&self) -> bool {
        exports(self.enable.value, self.gate.value, self.agent_enable.value)
    }

    /// The way to the API server; `None` if it is not to be asked, or there is none.
    /// `in_cluster`: this process runs in a Pod, as [`k8s::client::in_cluster`] says.
    pub fn api_server(&self, in_cluster: bool) -> Option<Source> {
        way_to_api_server(self.kubernetes.value, self.kubeconfig.value.as_ref(), in_cluster)
    }
}

const fn exports(enable: Enable, gate: bool, agent_enable: bool) -> bool {
    match enable {
        Enable::Always => true,
        Enable::FollowAgent => gate && agent_enable,
    }
}

fn way_to_api_server(
    kubernetes: Kubernetes,
    kubeconfig: Option<&PathBuf>,
    in_cluster: bool,
) -> Option<Source> {
    match (kubernetes, kubeconfig) {
        (Kubernetes::Off, _) => None,
        (Kubernetes::Auto, Some(path)) => Some(Source::Kubeconfig(path.clone())),
        (Kubernetes::Auto, None) => in_cluster.then_some(Source::InCluster),
    }
}

fn required<T, R: Into<config::Reading<T>>>(
    sources: &mut Sources,
    key: &Key,
    read: impl Fn(&config::Raw) -> R,
) -> Option<Setting<T>> {
    let mistakes = sources.findings.iter().count();
    let picked = sources.pick(key, read);
    if picked.is_none() && sources.findings.iter().count() == mistakes {
        let flag = key.flag.map(|flag| format!("give --{flag}, or "));
        let variable = key.variable.map(|name| format!("set {name}, or "));
        let (flag, variable) = (flag.unwrap_or_default(), variable.unwrap_or_default());
        let name = key.name();
        let what = format!(
            "expected {}, found nothing; {flag}{variable}write {name} into {OWN}",
            key.form
        );
        sources.findings.note(Severity::Error, None, name, what);
    }
    picked
}

/// Antrea's zones where there is a file of the Agent, unless somebody says otherwise.
fn zones(sources: &mut Sources) -> Option<Setting<Vec<Part>>> {
    let written = sources.pick(&keys::ZONES, values::zones)?;
    let value = written.value.unwrap_or_else(|| {
        vec![if sources.has_file(AGENT) { Part::Antrea } else { Part::Zone(zones::HOST) }]
    });
    Some(Setting::new(value, written.origin))
}

/// Poll interval, active and idle timeout. As in Antrea, the latter two are raised to the first.
fn times(sources: &mut Sources) -> Option<[Setting<Duration>; 3]> {
    let poll = sources.pick(&keys::POLL, read::timeout);
    let active = sources.pick(&keys::ACTIVE, read::duration);
    let polls = sources.pick(&keys::FREQUENCY, values::frequency);
    let idle = sources.pick(&keys::IDLE, read::duration);
    let (poll, mut active, mut idle) = (poll?, active?, idle?);
    if let Some(polls) = polls.filter(|polls| polls.value > 0)
        && active.origin == Origin::Default
    {
        active = Setting::new(poll.value.saturating_mul(polls.value), polls.origin);
    }
    for (key, timeout) in [(&keys::ACTIVE, &mut active), (&keys::IDLE, &mut idle)] {
        let asked = config::duration::format(timeout.value);
        if timeout.raise_to(poll.value) {
            let interval = config::duration::format(poll.value);
            let what = format!("{asked} is less than flowPollInterval; it is raised to {interval}");
            sources.findings.note(Severity::Note, timeout.origin.clone(), key.name(), what);
        }
    }
    Some([poll, active, idle])
}

/// Says what gate and `enable` of the Agent mean for this exporter.
fn beside_the_agent(
    findings: &mut Findings,
    enable: &Setting<Enable>,
    gate: &Setting<bool>,
    agent: &Setting<bool>,
) {
    let from_file = |it: &Setting<bool>| matches!(it.origin, Origin::File { .. });
    let mut note = |key: &Key, origin: &Origin, what| {
        findings.note(Severity::Note, origin.clone(), key.name(), what);
    };
    match (enable.value, gate.value, agent.value) {
        (Enable::Always, true, true) => {
            let what = "the Agent exports as well, so every flow is exported twice; \
                        set it to false and leave the gate on";
            note(&keys::AGENT_ENABLE, &agent.origin, what);
        }
        (Enable::FollowAgent, false, true) => {
            let what = "has no effect while the feature gate FlowExporter is off";
            note(&keys::AGENT_ENABLE, &agent.origin, what);
        }
        (Enable::FollowAgent, _, false) if !from_file(gate) && !from_file(agent) => {
            let what = "Antrea's file does not speak of the Flow Exporter, so nothing is exported; \
                        name the file with --agent-config";
            note(&keys::ENABLE, &enable.origin, what);
        }
        _ => {}
    }
}

fn check_cluster(
    findings: &mut Findings,
    cluster: &Setting<Option<PathBuf>>,
    kubernetes: Option<&Setting<Kubernetes>>,
) {
    if let Some(off) = kubernetes.filter(|it| it.value == Kubernetes::Off)
        && cluster.value.is_none()
    {
        let what = "nobody says which Pods there are: give --cluster, or write clusterFile into \
                    flow-exporter.conf, or let the API server be asked";
        findings.note(Severity::Error, off.origin.clone(), keys::KUBERNETES.name(), what);
    }
}

fn check_filter(findings: &mut Findings, protocols: &Setting<Option<ProtocolFilter>>) {
    if protocols.value == Some(ProtocolFilter::only(&[])) {
        let what = "the filter lets nothing through, so nothing is exported; \
                    leave the key out to record everything";
        findings.note(Severity::Doubt, protocols.origin.clone(), keys::PROTOCOLS.name(), what);
    }
}

/// Says so if nothing will ever be written into the copy.
fn check_copy(
    findings: &mut Findings,
    copy: &Setting<Option<PathBuf>>,
    collector: Option<&Collector>,
    are_listed: bool,
) {
    let Some(Collector { address, .. }) = collector else { return };
    let what = if are_listed && address.origin == Origin::Default {
        "stays empty: only what the collector of flowCollectorAddr is sent is written there"
    } else if address.value.protocol == Some(Protocol::Grpc) {
        "stays empty: what is sent over gRPC is no IPFIX"
    } else {
        return;
    };
    if copy.value.is_some() {
        findings.note(Severity::Doubt, copy.origin.clone(), keys::COPY.name(), what);
    }
}

#[cfg(test)]
mod tests;
