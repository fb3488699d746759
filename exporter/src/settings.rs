//! How one exporter is configured: by its command line, its environment, its own file, and the
//! file of the Antrea Agent, in this order.
mod keys; // every setting, described once
mod values; // how values are read
mod sources; // files and flags, read
mod change; // what a running exporter can take over
mod collector; // where to send, and what keeps that from working
mod print; // the configuration in force, as a file
pub mod reference; // the shipped files and the reference

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::{Finding, Findings, Key, Origin, Setting, Severity, Sources, read};
use flow::Profile;

pub use collector::{Collector, Protection, Transport};
pub use keys::{AGENT, OWN};
pub use sources::{Files, Texts};
pub use values::Enable;

use crate::filter::ProtocolFilter;
use crate::zones::{self, Part};

/// The configuration in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub enable: Setting<Enable>,
    pub gate: Setting<bool>,
    pub agent_enable: Setting<bool>,
    pub node: Setting<String>,
    pub cluster: Setting<PathBuf>,
    pub collector: Collector,
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
        let cluster = required(sources, &keys::CLUSTER, values::path);
        let profile = sources.pick(&keys::PROFILE, values::profile);
        let zones = zones(sources);
        let reliable_events = sources.pick(&keys::RELIABLE, read::truth);
        let set_sysctls = sources.pick(&keys::SET_SYSCTLS, read::truth);
        let connections = sources.pick(&keys::CONNECTIONS, values::connections);
        let admin = sources.pick(&keys::ADMIN, read::socket);
        let copy = optional(sources.pick(&keys::COPY, values::path));
        let protocols = optional(sources.pick(&keys::PROTOCOLS, values::protocols));
        let times = times(sources);
        let (enable, gate, agent_enable) = (enable?, gate?, agent_enable?);
        beside_the_agent(&mut sources.findings, &enable, &gate, &agent_enable);
        check_filter(&mut sources.findings, &protocols);
        let exports = exports(enable.value, gate.value, agent_enable.value);
        let collector = collector::pick(sources, exports);
        let [poll_interval, active_timeout, idle_timeout] = times?;
        Some(Self {
            enable,
            gate,
            agent_enable,
            node: node?,
            cluster: cluster?,
            collector: collector?,
            poll_interval,
            active_timeout,
            idle_timeout,
            protocols,
            profile: profile?,
            zones: zones?,
            reliable_events: reliable_events?,
            set_sysctls: set_sysctls?,
            connections: connections?,
            admin: admin?,
            copy,
        })
    }

    /// Whether there is anything to do.
    pub const fn exports(&self) -> bool {
        exports(self.enable.value, self.gate.value, self.agent_enable.value)
    }
}

const fn exports(enable: Enable, gate: bool, agent_enable: bool) -> bool {
    match enable {
        Enable::Always => true,
        Enable::FollowAgent => gate && agent_enable,
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

fn optional<T>(picked: Option<Setting<T>>) -> Setting<Option<T>> {
    match picked {
        Some(Setting { value, origin, .. }) => Setting::new(Some(value), origin),
        None => Setting::new(None, Origin::Default),
    }
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

fn check_filter(findings: &mut Findings, protocols: &Setting<Option<ProtocolFilter>>) {
    if protocols.value == Some(ProtocolFilter::only(&[])) {
        let what = "the filter lets nothing through, so nothing is exported; \
                    leave the key out to record everything";
        findings.note(Severity::Doubt, protocols.origin.clone(), keys::PROTOCOLS.name(), what);
    }
}

/// Returns true if a check should fail: on anything that is hardly what was meant.
pub fn fails_check(findings: &Findings) -> bool {
    findings.any(Severity::Doubt)
}

/// Writes findings into the log.
pub fn log(findings: &Findings) {
    for finding in findings.iter() {
        let Finding { severity, origin, key, what } = finding;
        let at = origin.as_ref().map(ToString::to_string).unwrap_or_default();
        match severity {
            Severity::Note => tracing::info!(at, key, "{what}"),
            Severity::Doubt => tracing::warn!(at, key, "{what}"),
            Severity::Error => tracing::error!(at, key, "{what}"),
        }
    }
}

#[cfg(test)]
mod tests;
