//! A flow, as one Node reports it or as the aggregator has put it together.

use std::net::{IpAddr, Ipv4Addr};

use crate::{Name, Part, Shared, Uid, Uids};

/// IANA protocol numbers that Fyke treats in a way of their own.
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;

    /// The protocol's name as Kubernetes and `conntrack` write it, if it has one.
    pub fn name(number: u8) -> Option<&'static str> {
        Some(match number {
            ICMP => "ICMP",
            TCP => "TCP",
            UDP => "UDP",
            ICMPV6 => "ICMPv6",
            SCTP => "SCTP",
            _ => return None,
        })
    }
}

/// Why a record was sent: `flowEndReason` (RFC 5102, element 136).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum FlowEndReason {
    #[default]
    Unspecified = 0,
    IdleTimeout = 1,
    ActiveTimeout = 2,
    EndOfFlow = 3,
    ForcedEnd = 4,
    LackOfResources = 5,
}

impl FlowEndReason {
    /// Values the registry does not assign become `Unspecified`.
    pub fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::IdleTimeout,
            2 => Self::ActiveTimeout,
            3 => Self::EndOfFlow,
            4 => Self::ForcedEnd,
            5 => Self::LackOfResources,
            _ => Self::Unspecified,
        }
    }
}

/// Where a flow runs: Antrea's `flowType` (PEN 56506, element 137).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum FlowType {
    #[default]
    Unspecified = 0,
    IntraNode = 1,
    InterNode = 2,
    ToExternal = 3,
    FromExternal = 4,
}

impl FlowType {
    /// Values Antrea does not define become `Unspecified`.
    pub fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::IntraNode,
            2 => Self::InterNode,
            3 => Self::ToExternal,
            4 => Self::FromExternal,
            _ => Self::Unspecified,
        }
    }

    /// The name people type and read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::IntraNode => "intra-node",
            Self::InterNode => "inter-node",
            Self::ToExternal => "to-external",
            Self::FromExternal => "from-external",
        }
    }
}

/// Which of the Nodes that see a flow have been heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum Correlation {
    /// One Node sees all of this flow.
    #[default]
    NotNeeded = 0,
    /// Both Nodes' halves are joined in this record.
    Complete = 1,
    /// The destination Node's half never came.
    SourceOnly = 2,
    /// The source Node's half never came.
    DestinationOnly = 3,
    /// Not one flow: what a Node told of all those for which there was no room.
    Overflow = 4,
}

impl Correlation {
    pub fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Complete,
            2 => Self::SourceOnly,
            3 => Self::DestinationOnly,
            4 => Self::Overflow,
            _ => Self::NotNeeded,
        }
    }
}

/// At which ends of a flow there was somebody who told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum ObservedBy {
    /// Nobody has said where.
    #[default]
    Unspecified = 0,
    /// Only the Node of the source.
    Source = 1,
    /// Only the Node of the destination.
    Destination = 2,
    /// Both Nodes, or the one that both ends are on.
    Both = 3,
}

impl ObservedBy {
    pub fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Source,
            2 => Self::Destination,
            3 => Self::Both,
            _ => Self::Unspecified,
        }
    }
}

/// Which way a flow passes its observer: `flowDirection` (RFC 5102, element 61).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum Direction {
    Ingress = 0,
    Egress = 1,
    #[default]
    Unspecified = 255,
}

impl Direction {
    /// Values the registry does not assign become `Unspecified`.
    pub fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::Ingress,
            1 => Self::Egress,
            _ => Self::Unspecified,
        }
    }
}

/// Who told a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// The address the record came from: `originalExporterIPv4Address`, `…IPv6Address` (elements
    /// 403, 404).
    pub exporter: Option<IpAddr>,
    /// The Observation Domain it was told for: `originalObservationDomainId` (element 405).
    pub domain: u32,
}

/// What tells flows apart on the wire. Addresses and ports are those after destination NAT.
///
/// ICMP has no ports; as in the kernel's own tuple, the Echo identifier stands in
/// `source_port`, so that parallel pings between two hosts are different flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
    /// ICMP type in the high byte, code in the low one; 0 for other protocols.
    pub icmp_type_code: u16,
}

impl Default for FlowKey {
    fn default() -> Self {
        let unset = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            source: unset,
            destination: unset,
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            icmp_type_code: 0,
        }
    }
}

/// Packets and octets (IP header included) in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Since the connection began.
    pub packets_total: u64,
    pub octets_total: u64,
    /// Since the previous record.
    pub packets_delta: u64,
    pub octets_delta: u64,
}

/// One end of a flow. Names are empty where they are not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Endpoint {
    pub pod: Name,
    pub namespace: Name,
    pub node: Name,
    /// The Pod's labels as a JSON object whose keys are sorted: `{}` if it has none, empty if they
    /// were not looked up.
    pub labels: Name,
    /// What a person would say the Pod belongs to: `Kind/name` of the controller that is at the
    /// top, `Deployment/web` rather than its `ReplicaSet`.
    pub workload: Name,
    /// The zone where the Node stands.
    pub zone: Name,
    pub pod_uid: Option<Uid>,
    pub node_uid: Option<Uid>,
}

impl Part for Endpoint {
    fn nothing() -> &'static Self {
        static NOTHING: Endpoint = Endpoint {
            pod: Name::EMPTY,
            namespace: Name::EMPTY,
            node: Name::EMPTY,
            labels: Name::EMPTY,
            workload: Name::EMPTY,
            zone: Name::EMPTY,
            pod_uid: None,
            node_uid: None,
        };
        &NOTHING
    }
}

/// The Service address the client used, before destination NAT.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Service {
    pub ip: Option<IpAddr>,
    pub port: u16,
    /// `namespace/name:portName`.
    pub name: Name,
}

impl Part for Service {
    fn nothing() -> &'static Self {
        static NOTHING: Service = Service { ip: None, port: 0, name: Name::EMPTY };
        &NOTHING
    }
}

/// The NetworkPolicy rule that decided about one direction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PolicyRule {
    pub name: Name,
    pub namespace: Name,
    /// Antrea's `ingressNetworkPolicyType`: 0 none, 1 K8s, 2 Antrea, 3 Antrea cluster, 4 K8s cluster.
    pub policy_type: u8,
    pub rule: Name,
    /// Antrea's `ingressNetworkPolicyRuleAction`: 0 none, 1 allow, 2 drop, 3 reject.
    pub action: u8,
}

impl PolicyRule {
    pub const ALLOW: u8 = 1;
    pub const DROP: u8 = 2;
    pub const REJECT: u8 = 3;
}

impl Part for PolicyRule {
    fn nothing() -> &'static Self {
        static NOTHING: PolicyRule = PolicyRule {
            name: Name::EMPTY,
            namespace: Name::EMPTY,
            policy_type: 0,
            rule: Name::EMPTY,
            action: 0,
        };
        &NOTHING
    }
}

/// The Egress by which a flow leaves the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Exit {
    pub name: Name,
    pub ip: Name,
    pub node: Name,
}

impl Part for Exit {
    fn nothing() -> &'static Self {
        static NOTHING: Exit = Exit { name: Name::EMPTY, ip: Name::EMPTY, node: Name::EMPTY };
        &NOTHING
    }
}

/// What one Node counted of a flow; only the aggregator fills it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Side {
    /// The reporting Node, by its Observation Domain.
    pub domain: u32,
    /// The reporting Node's own id of the connection (the conntrack id); 0 if it sent none.
    pub flow_id: u64,
    /// When the connection began on that Node, in milliseconds since 1970.
    pub start_ms: u64,
    /// Milliseconds since 1970; 0 if the Node has not reported.
    pub end_ms: u64,
    pub forward: Counters,
    pub reverse: Counters,
    /// Bits per second over the time this record's deltas cover.
    pub throughput: u64,
    pub reverse_throughput: u64,
}

/// What both Nodes told; only the aggregator fills it in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Joined {
    pub from_source: Side,
    pub from_destination: Side,
    /// Bits per second, from the Node that reported last.
    pub throughput: u64,
    pub reverse_throughput: u64,
}

impl Part for Joined {
    fn nothing() -> &'static Self {
        const NONE: Counters =
            Counters { packets_total: 0, octets_total: 0, packets_delta: 0, octets_delta: 0 };
        const SIDE: Side = Side {
            domain: 0,
            flow_id: 0,
            start_ms: 0,
            end_ms: 0,
            forward: NONE,
            reverse: NONE,
            throughput: 0,
            reverse_throughput: 0,
        };
        static NOTHING: Joined = Joined {
            from_source: SIDE,
            from_destination: SIDE,
            throughput: 0,
            reverse_throughput: 0,
        };
        &NOTHING
    }
}

/// A Flow Record (RFC 7011, section 2) with Antrea's attributes.
///
/// There are many at a time, and each is handed on several times: what flows have in common is
/// [`Shared`], and so is what only the aggregator's have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowRecord {
    /// From an exporter: the conntrack id. From the aggregator: one id for all records of a flow.
    pub flow_id: u64,
    pub key: FlowKey,
    /// Milliseconds since 1970.
    pub start_ms: u64,
    /// Milliseconds since 1970.
    pub end_ms: u64,
    pub end_reason: FlowEndReason,
    pub flow_type: FlowType,
    pub correlation: Correlation,
    pub observed_by: ObservedBy,
    pub direction: Direction,
    pub forward: Counters,
    pub reverse: Counters,
    pub source: Shared<Endpoint>,
    pub destination: Shared<Endpoint>,
    pub service: Service,
    pub ingress: Shared<PolicyRule>,
    pub egress: Shared<PolicyRule>,
    /// The kernel's name of the TCP state, such as `TIME_WAIT`; empty for other protocols.
    pub tcp_state: Name,
    pub exit: Shared<Exit>,
    /// The address and port that source NAT put in the place of the client's.
    pub proxy_snat_ip: Option<IpAddr>,
    pub proxy_snat_port: u16,
    pub joined: Shared<Joined>,
    pub uids: Shared<Uids>,
    pub origin: Origin,
}

/// A record is copied on its way, and many wait: it has not grown unnoticed.
const _: () = assert!(size_of::<FlowRecord>() <= 296);
