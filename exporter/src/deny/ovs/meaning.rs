//! What a packet-in of the Antrea Agent's flows means.
//!
//! The Agent's conventions, in which bits are counted from the least significant one:
//!
//! | Where | Bits | What |
//! |---|---|---|
//! | user data, byte 0 | | 1: about a NetworkPolicy |
//! | user data, byte 1 | 2 | remember a denied connection; set only with the gate `FlowExporter` on |
//! | register 0 | 10 | a rule has denied the packet, not a K8s policy's isolation |
//! | | 11-12 | 0 allowed, 1 dropped, 2 rejected, 3 passed on to other policies |
//! | register 2 | 0-7 | the table that has decided |
//! | register 3 | | the rule's id; else whatever was there before |
//! | conntrack's label | 0-31, 32-63 | the rules that have allowed ingress and egress |

use std::net::{IpAddr, Ipv4Addr};

use super::fields::{Ct, Fields};
use super::frame;
use super::packet_in::PacketIn;
use super::tables::{Table, Tables};
use crate::deny::packet::Packet;
use crate::deny::{Action, Denied, Direction, RuleRef, Source};

const NETWORK_POLICY: u8 = 1;
const STORE_DENY: u8 = 4;

const DENIED_BY_RULE: u32 = 1 << 10;
const DROPPED: u32 = 1;
const REJECTED: u32 = 2;

/// `ct_state`: the packet goes against the direction of its connection's first one.
const REPLY: u32 = 1 << 3;

/// Why a packet-in tells of no denied packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Passed {
    /// The packet waits for the Agent to resume it (FQDN rules, IGMP).
    Paused,
    /// Not about a `NetworkPolicy`: `Traceflow`, IGMP, Services without endpoints and others.
    OtherCategory,
    /// About a policy, for logging or for rejecting alone.
    NotStored,
    /// The registers do not say that the packet was dropped or rejected.
    NotDenied,
    /// Not IP.
    NotIp,
    /// Lengths that lie, or a packet cut off before its ports.
    Unreadable,
}

impl Passed {
    pub const ALL: [Self; 6] = [
        Self::Paused,
        Self::OtherCategory,
        Self::NotStored,
        Self::NotDenied,
        Self::NotIp,
        Self::Unreadable,
    ];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::OtherCategory => "other_category",
            Self::NotStored => "not_stored",
            Self::NotDenied => "not_denied",
            Self::NotIp => "not_ip",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Whether user data are those of denied packets.
pub(super) fn tells_denied(user_data: &[u8]) -> Result<(), Passed> {
    match *user_data {
        [NETWORK_POLICY, operations, ..] if operations & STORE_DENY != 0 => Ok(()),
        [NETWORK_POLICY, ..] => Err(Passed::NotStored),
        _ => Err(Passed::OtherCategory),
    }
}

/// Makes of a packet-in what it tells.
pub(super) fn denied(
    packet_in: &PacketIn<'_>,
    tables: &Tables,
    time_ns: u64,
) -> Result<Denied, Passed> {
    if packet_in.is_paused {
        return Err(Passed::Paused);
    }
    tells_denied(packet_in.user_data)?;
    let Fields { registers: [flags, _, decided_by, rule, ..], ct } = packet_in.fields;
    let action = match flags >> 11 & 3 {
        DROPPED => Action::Drop,
        REJECTED => Action::Reject,
        _ => return Err(Passed::NotDenied),
    };
    let packet = frame::read(packet_in.packet).map_err(|_| Passed::Unreadable)?;
    let packet = packet.ok_or(Passed::NotIp)?;
    let Packet { tuple, octets } = packet;
    let table = table(tables, decided_by, packet_in.table);
    let direction = table.map(|table| table.direction);
    let by_rule = flags & DENIED_BY_RULE != 0;
    Ok(Denied {
        time_ns,
        original: tuple,
        service: service(&packet, ct),
        octets,
        packets: 1,
        direction,
        action,
        rule: rule_of(by_rule, table, rule, tuple.destination()),
        other_rule: direction.and_then(|direction| other_rule(direction, ct.label)),
        mark: (ct.state != 0).then_some(ct.mark),
        source: Source::Ovs,
    })
}

/// The table in register 2: flows that deny send the packet on to another table, which sends it
/// to the controller. Some versions tell from the deciding table itself.
fn table(tables: &Tables, register: u32, sent_by: u8) -> Option<Table> {
    let [.., decided_by] = register.to_be_bytes();
    tables.get(decided_by).or_else(|| tables.get(sent_by))
}

/// Isolation does not write the rule's register, in which load balancing has left the endpoint it
/// chose; so a number there proves nothing. Neither does the table: rules of the baseline tier
/// share it with isolation. The mark in register 0 tells; where a version of Antrea has it
/// elsewhere, the table and the endpoint do.
fn rule_of(by_rule: bool, table: Option<Table>, id: u32, destination: IpAddr) -> RuleRef {
    let may_isolate = table.is_none_or(|table| table.isolates);
    let is_endpoint = destination == IpAddr::V4(Ipv4Addr::from(id));
    match id {
        0 if by_rule => RuleRef::Unknown,
        _ if by_rule => RuleRef::Id(id),
        _ if may_isolate => RuleRef::IsolationDrop,
        0 => RuleRef::Unknown,
        _ if is_endpoint => RuleRef::Unknown,
        _ => RuleRef::Id(id),
    }
}

fn other_rule(direction: Direction, label: u128) -> Option<u32> {
    let shift = match direction {
        Direction::Ingress => 32,
        Direction::Egress => 0,
    };
    let id = u32::try_from(label >> shift & u128::from(u32::MAX)).unwrap_or_default();
    (id != 0).then_some(id)
}

/// Where the client sent the packet, if conntrack knows another destination than it has now and
/// means the same packet.
fn service(packet: &Packet, ct: Ct) -> Option<(IpAddr, u16)> {
    let tuple = &packet.tuple;
    let is_same = ct.state & REPLY == 0
        && ct.protocol == tuple.protocol()
        && ct.source == Some(tuple.source());
    let destination = ct.destination.filter(|_| is_same)?;
    // Without ports, as ICMP is, conntrack has type and code there.
    let has_ports = tuple.as_icmp().is_none();
    let port = if has_ports { ct.destination_port } else { 0 };
    let now = (tuple.destination(), tuple.destination_port());
    (now != (destination, port)).then_some((destination, port))
}

#[cfg(test)]
mod tests;
