//! Whether the kernel tells enough, and tells it to us.

use daemon::Chain;

use super::Step;
use crate::conntrack::{NetlinkOptions, NetlinkSource, SysctlProblem, check_sysctls};

/// Enough for a moment.
const RECEIVE_BUFFER: usize = 64 << 10;

pub(super) fn sysctls() -> Step {
    let mut step = Step::new("sysctls");
    for problem in check_sysctls() {
        let found = Chain(&problem).to_string();
        step = match problem {
            // Without it nothing is counted, and what is not counted is not told.
            SysctlProblem::Off { name: name @ "nf_conntrack_acct", .. } => {
                step.fail(found, set(name))
            }
            SysctlProblem::Off { name, .. } | SysctlProblem::Stuck { name, .. } => {
                step.warn(found, set(name))
            }
            SysctlProblem::Unreadable { .. } => step.fail(
                found,
                "load the kernel's module nf_conntrack, and run in the host's network namespace",
            ),
        };
    }
    if step.findings.is_empty() {
        step = step.ok("connections are counted, their times kept, and their ends told");
    }
    step
}

fn set(name: &str) -> String {
    format!(
        "sysctl -w net.netfilter.{name}=1, and write it into /etc/sysctl.d; it concerns connections that begin afterwards"
    )
}

/// By trying: to listen for events, as an exporter does.
pub(super) fn permissions() -> Step {
    let step = Step::new("permissions");
    let options = NetlinkOptions { receive_buffer: RECEIVE_BUFFER, ..NetlinkOptions::default() };
    match NetlinkSource::open(options) {
        Ok(_) => step.ok("conntrack's events are heard"),
        Err(error) => step.fail(
            Chain(&error).to_string(),
            "give CAP_NET_ADMIN: in a Pod securityContext.capabilities.add: [NET_ADMIN] and \
             hostNetwork: true",
        ),
    }
}
