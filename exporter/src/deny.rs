//! Packets that a policy has dropped or rejected.
//!
//! Conntrack never hears of them, so they come from elsewhere: from whoever denied them. Each
//! source tells of packets as [`Denied`] through one bounded channel.
mod channel; // from the sources to the observer
mod counts; // what sources have told, and what was lost
pub mod packet; // what a packet says of itself
pub mod prefix; // what a log rule says of its packets
pub mod nflog; // packets that netfilter logs
pub mod nfqueue; // packets that netfilter queues
pub mod audit; // what the Antrea Agent logs
pub mod ovs; // packets that Open vSwitch tells the Antrea Agent of
pub mod sources; // keeps them going
mod rules; // rules by their names
mod owners; // one packet, several sources
mod table; // packets become flows
mod judge; // what was decided, in a record

use std::net::IpAddr;

use flow::PolicyRule;

use crate::conntrack::Tuple;
pub use crate::verdict::{Action, Direction};
pub use channel::{CAPACITY, Denials, Reporter, channel};
pub use counts::{Counts, Loss};
pub use judge::judge;
pub use rules::Rules;
pub use table::Table;

/// One packet that was denied, or several alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// When, in nanoseconds since 1970.
    pub time_ns: u64,
    /// The packet's addresses and ports as they were when it was denied: behind destination NAT
    /// if that came first.
    pub original: Tuple,
    /// Where the client sent it, if destination NAT had replaced that.
    pub service: Option<(IpAddr, u16)>,
    /// Of the IP packets, with their headers.
    pub octets: u64,
    pub packets: u64,
    /// Whose rule denied it; `None` if the source cannot tell.
    pub direction: Option<Direction>,
    pub action: Action,
    pub rule: RuleRef,
    /// The id of the rule that had allowed the other direction, from the connection's label.
    pub other_rule: Option<u32>,
    /// The connection's mark, if the source tells.
    pub mark: Option<u32>,
    pub source: Source,
}

/// Which rule denied a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RuleRef {
    /// The Antrea Agent's id of it (conjunction id), which names it only for a time.
    Id(u32),
    /// No rule: some K8s `NetworkPolicy` isolates the Pod, and none lets the packet through.
    IsolationDrop,
    /// The source knows the names. The action is that of [`Denied`].
    Named(PolicyRule),
    Unknown,
}

/// Who told of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Open vSwitch, by `OpenFlow` packet-in.
    Ovs,
    /// Netfilter's log.
    Nflog,
    /// A netfilter queue.
    Nfqueue,
    /// The Antrea Agent's `np.log`.
    AuditLog,
}

impl Source {
    /// What no packet of it tells, for people.
    pub const fn blind_to(self) -> &'static str {
        match self {
            Self::Ovs => {
                "packets that the Agent's meter drops, the host's firewall, and what is denied \
                 before the tables of policies"
            }
            Self::Nflog => {
                "rules, but for what their log prefix says, and Services, if the kernel cannot \
                 add the connection"
            }
            Self::Nfqueue => "rules, directions and Services",
            Self::AuditLog => {
                "rules with logging off, Services, ICMP types, and the lengths of all but the \
                 first of packets alike"
            }
        }
    }

    pub const ALL: [Self; 4] = [Self::Ovs, Self::Nflog, Self::Nfqueue, Self::AuditLog];

    /// The name in metrics and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ovs => "ovs",
            Self::Nflog => "nflog",
            Self::Nfqueue => "nfqueue",
            Self::AuditLog => "auditLog",
        }
    }
}
