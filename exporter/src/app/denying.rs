//! Who is listened to for packets that are denied.

use daemon::{Supervisor, now_ns};

use crate::deny::nfqueue::Treatment;
use crate::deny::prefix::Prefixes;
use crate::deny::sources::{AuditSource, NflogSource, NfqueueSource};
use crate::deny::{Reporter, Source, ovs};
use crate::settings::Denial;

/// Listens to whoever denies packets.
pub(super) fn hear(
    from: &Denial,
    reporter: &Reporter,
    ovs: &ovs::Counters,
    servers: &mut Supervisor,
) {
    if let Some(options) = from.ovs_options() {
        let reporter = reporter.of(Source::Ovs);
        let watching = ovs::watch(options, reporter, ovs.clone(), now_ns);
        servers.spawn("Open vSwitch", watching);
    }
    let prefixes = Prefixes::new(from.prefixes.value.clone().unwrap_or_default());
    if let Some(groups) = from.nflog.value.clone().filter(|it| !it.is_empty()) {
        let reporter = reporter.of(Source::Nflog);
        let source = NflogSource { groups, prefixes, reporter };
        servers.spawn("netfilter's log", source.run(now_ns));
    }
    if let Some(queues) = from.nfqueue.value.clone().filter(|it| !it.is_empty()) {
        let treatment = Treatment { fate: from.fate.value, fail_open: from.fail_open.value };
        let reporter = reporter.of(Source::Nfqueue);
        let source = NfqueueSource { queues, treatment, reporter };
        servers.spawn("netfilter's queues", source.run(now_ns));
    }
    if let Some(path) = from.audit_log.value.clone() {
        let (zone, reporter) = (from.zone(), reporter.of(Source::AuditLog));
        let source = AuditSource { path, zone, reporter };
        servers.spawn("the Agent's log", source.run(now_ns));
    }
}
