//! Who tells of denied packets.
//!
//! A queue or a log group has one listener, so neither is bound here: the kernel says which are.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::Step;
use crate::deny::Source;
use crate::settings::Denial;

/// `proc` is where the kernel says who listens.
pub(super) fn look_at(denial: &Denial, gate: bool, proc: &Path) -> Step {
    let mut step = Step::new("denied");
    if let Some(options) = denial.ovs_options() {
        step = ovs(step, &options.socket, gate);
    }
    for (source, numbers, file) in [
        (Source::Nflog, &denial.nflog.value, "net/netfilter/nfnetlink_log"),
        (Source::Nfqueue, &denial.nfqueue.value, "net/netfilter/nfnetlink_queue"),
    ] {
        let numbers = numbers.as_deref().unwrap_or_default();
        if !numbers.is_empty() {
            step = bound(step, source, numbers, &proc.join(file));
        }
    }
    if let Some(path) = &denial.audit_log.value {
        step = match File::open(path) {
            Ok(_) => step.ok(told(Source::AuditLog, &format!("{} is read", path.display()))),
            Err(error) => step.warn(
                format!("auditLog: {} cannot be read: {error}", path.display()),
                "mount the Agent's /var/log/antrea/networkpolicy; the file is written once a rule \
                 with logging on denies a packet",
            ),
        };
    }
    if step.findings.is_empty() {
        return step.warn(
            "no source of denied packets is configured, so denied connections are not seen",
            "beside an Antrea Agent with its gate FlowExporter on, watch the bridge (ovs)",
        );
    }
    step
}

fn ovs(step: Step, socket: &Path, gate: bool) -> Step {
    let shown = socket.display();
    let step = match UnixStream::connect(socket) {
        Ok(_) => step.ok(told(Source::Ovs, &format!("{shown} answers"))),
        Err(error) => step.warn(
            format!("ovs: {shown} cannot be reached: {error}"),
            "mount /var/run/openvswitch of the host, and name the bridge that the Agent uses",
        ),
    };
    if gate {
        return step;
    }
    step.warn(
        "ovs: as far as is known here the Agent's gate FlowExporter is off, and then the switch \
         tells nobody of denied packets",
        "turn the gate on, set the Agent's flowExporter.enable to false, and name its file with \
         --agent-config",
    )
}

/// Both files have a line for each listener, which begins with the number.
fn bound(step: Step, source: Source, numbers: &[u16], file: &Path) -> Step {
    let name = source.name();
    let Ok(text) = fs::read_to_string(file) else {
        return step.warn(
            format!("{name}: {} cannot be read, so nobody has ever listened", file.display()),
            format!("load the kernel's module {}", module(source)),
        );
    };
    let number = |line: &str| line.split_whitespace().next()?.parse::<u16>().ok();
    let listened: Vec<_> = text.lines().filter_map(number).collect();
    numbers.iter().fold(step, |step, number| {
        if listened.contains(number) {
            return step.ok(told(source, &format!("somebody listens to {number}")));
        }
        let found = format!("{name}: nobody listens to {number}");
        match source {
            Source::Nfqueue => step.warn(
                found,
                "start the exporter; until then the kernel drops what rules send to that queue, \
                 unless they say bypass",
            ),
            _ => step.warn(found, "start the exporter"),
        }
    })
}

const fn module(source: Source) -> &'static str {
    match source {
        Source::Nfqueue => "nfnetlink_queue",
        _ => "nfnetlink_log",
    }
}

fn told(source: Source, found: &str) -> String {
    format!("{}: {found}; it does not tell {}", source.name(), source.blind_to())
}
