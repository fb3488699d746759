//! One packet may be told by two sources. Then one of them counts it.
//!
//! Who tells of a flow first owns it, and what others tell of it is passed over until the owner
//! has been silent for [`LAPSE`]. The audit log trails the packets by a second, so it loses a flow
//! at once to a source that sees the packets themselves. The order of sources follows: Open
//! vSwitch, then netfilter (which gets only what Open vSwitch let through), then the audit log.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::Source;
use crate::conntrack::Tuple;

/// Longer than the Agent collects duplicates for one line of its log (a second), and than reading
/// that line takes.
pub(super) const LAPSE: u64 = 3_000_000_000;

/// Who counts which flow.
#[derive(Debug, Default)]
pub(super) struct Owners(HashMap<Subject, Owner>);

/// What all sources know of a flow: the audit log has no ICMP identifiers, and no port that NAT
/// replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    protocol: u8,
}

#[derive(Debug, Clone, Copy)]
struct Owner {
    source: Source,
    last_ns: u64,
}

impl Subject {
    pub(super) fn of(tuple: &Tuple) -> Self {
        Self {
            source: (tuple.source(), tuple.source_port()),
            destination: (tuple.destination(), tuple.destination_port()),
            protocol: tuple.protocol(),
        }
    }
}

impl Owners {
    /// Whether `source` counts what it tells of at `time`, and owns it from now on.
    pub(super) fn claim(&mut self, subject: Subject, source: Source, time: u64) -> bool {
        let owner = self.0.entry(subject).or_insert(Owner { source, last_ns: time });
        let has_lapsed = time > owner.last_ns.saturating_add(LAPSE);
        if owner.source != source && owner.source != Source::AuditLog && !has_lapsed {
            return false;
        }
        *owner = Owner { source, last_ns: time.max(owner.last_ns) };
        true
    }

    /// A flow of it has ended, of which nothing was heard after `last`.
    pub(super) fn release(&mut self, subject: Subject, last: u64) {
        if self.0.get(&subject).is_some_and(|owner| owner.last_ns <= last) {
            self.0.remove(&subject);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[track_caller]
    fn check(claims: &[(Source, u64, bool)]) {
        let end = ([10, 0, 0, 1].into(), 1);
        let subject = Subject::of(&Tuple::new(end, end, 6));
        let mut owners = Owners::default();
        for &(source, tenths, expected) in claims {
            let counts = owners.claim(subject, source, tenths * SECOND / 10);
            assert_eq!(counts, expected, "{source:?} at {tenths}");
        }
    }

    #[test]
    fn the_audit_log_says_again_what_was_seen() {
        use Source::{AuditLog, Ovs};
        check(&[(Ovs, 0, true), (AuditLog, 10, false), (Ovs, 30, true), (AuditLog, 45, false)]);
        // The switch has gone away.
        check(&[(Ovs, 0, true), (AuditLog, 31, true), (AuditLog, 41, true)]);
        // It is back, and sees packets before they are logged.
        check(&[(AuditLog, 0, true), (Ovs, 1, true), (AuditLog, 11, false)]);
    }

    #[test]
    fn of_two_that_see_a_packet_the_first_counts_it() {
        use Source::{Nflog, Nfqueue};
        check(&[(Nflog, 0, true), (Nfqueue, 0, false), (Nfqueue, 9, false), (Nflog, 9, true)]);
        // The two may change places once there was silence; the packet still counts once.
        check(&[(Nflog, 0, true), (Nfqueue, 0, false), (Nfqueue, 50, true), (Nflog, 50, false)]);
    }
}
