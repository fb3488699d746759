//! Whether the configuration is good, whether its files are there, and what gate and switch say.

use std::fs::File;
use std::path::Path;

use config::Severity;
use daemon::Chain;

use super::Step;
use crate::destinations::Way;
use crate::settings::{Enable, Loaded, Settings};

/// As `--check-config`, and then each file that is named.
pub(super) fn look_at(loaded: &Loaded) -> Step {
    let mut step = Step::new("configuration");
    for finding in loaded.findings.iter() {
        let text = finding.to_string();
        step = match finding.severity {
            Severity::Note => step.ok(text),
            Severity::Doubt | Severity::Error => {
                step.fail(text, "correct it; --check-config says when all is well")
            }
        };
    }
    let Some(settings) = &loaded.settings else { return step };
    for (what, path) in [
        ("cluster file", &settings.cluster.value),
        ("kubeconfig", &settings.kubeconfig.value),
        ("the Agent's log", &settings.denial.audit_log.value),
    ] {
        if let Some(path) = path {
            step = readable(step, what, path);
        }
    }
    for spec in settings.specs() {
        if let Err(error) = Way::check(&spec) {
            let found = format!("destination {}: {}", spec.name, Chain(&error));
            step = step.fail(found, "name files that are there, are readable and fit together");
        }
    }
    if step.findings.is_empty() {
        step.ok("no mistakes, and every file it names is there")
    } else {
        step
    }
}

fn readable(step: Step, what: &str, path: &Path) -> Step {
    match File::open(path) {
        Ok(_) => step,
        Err(error) => {
            let found = format!("{what} {} cannot be opened: {error}", path.display());
            step.fail(found, "mount it, or correct its name")
        }
    }
}

/// Whether anything is exported, and whether only by us.
pub(super) fn gate(settings: &Settings) -> Step {
    let step = Step::new("gate");
    let (gate, agent) = (settings.gate.value, settings.agent_enable.value);
    if !settings.exports() {
        let found = if gate {
            "the Agent's flowExporter.enable is false, so nothing is exported"
        } else {
            "the Agent's feature gate FlowExporter is off, so nothing is exported"
        };
        return step.fail(
            found,
            "say enable: always in flow-exporter.conf and leave the gate on, or set both as the \
             Agent's own exporter needs them, with --agent-config",
        );
    }
    match (settings.enable.value, gate, agent) {
        (Enable::Always, true, true) => step.warn(
            "the Agent exports as well, so every flow is exported twice",
            "set the Agent's flowExporter.enable to false and leave its gate FlowExporter on",
        ),
        (Enable::Always, _, _) => step.ok("this exporter exports, and the Agent does not"),
        (Enable::FollowAgent, ..) => step.warn(
            "this exporter follows the Agent's switch, so where an Agent reads the same file \
             every flow is exported twice",
            "say enable: always here, and set the Agent's flowExporter.enable to false",
        ),
    }
}
