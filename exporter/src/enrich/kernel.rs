//! What the kernel tells of a connection, as attributes of a record.

use std::net::IpAddr;

use flow::{FlowEndReason, FlowKey};

use crate::conntrack::Counters;
use crate::meter::{Due, EndReason};

/// Source as the client has it, destination after NAT.
pub(super) fn key(due: &Due<'_>) -> FlowKey {
    let (source, destination) = (due.original.source(), due.reply.source());
    let protocol = due.original.protocol();
    match due.original.as_icmp() {
        Some(icmp) => FlowKey {
            source,
            destination,
            // Antrea's template has no room for what tells pings apart; its ports are 0.
            source_port: icmp.id,
            destination_port: 0,
            protocol,
            icmp_type_code: u16::from_be_bytes([icmp.kind, icmp.code]),
        },
        None => FlowKey {
            source,
            destination,
            source_port: due.original.source_port(),
            destination_port: due.reply.source_port(),
            protocol,
            icmp_type_code: 0,
        },
    }
}

/// Where the client sent to, if destination NAT replaced that.
pub(super) fn service_address(due: &Due<'_>) -> Option<(IpAddr, u16)> {
    let asked = (due.original.destination(), due.original.destination_port());
    let served = (due.reply.source(), due.reply.source_port());
    (asked != served && due.original.as_icmp().is_none()).then_some(asked)
}

/// What source NAT made of the client's address and port, if it changed them.
pub(super) fn translated_source(due: &Due<'_>) -> Option<(IpAddr, u16)> {
    let seen = (due.reply.destination(), due.reply.destination_port());
    let client = (due.original.source(), due.original.source_port());
    (seen != client).then_some(seen)
}

pub(super) fn end_reason(reason: EndReason) -> FlowEndReason {
    match reason {
        EndReason::IdleTimeout => FlowEndReason::IdleTimeout,
        EndReason::ActiveTimeout => FlowEndReason::ActiveTimeout,
        EndReason::EndOfFlow => FlowEndReason::EndOfFlow,
        EndReason::Forced => FlowEndReason::ForcedEnd,
    }
}

pub(super) fn forward(totals: &Counters, deltas: &Counters) -> flow::Counters {
    flow::Counters {
        packets_total: totals.packets,
        octets_total: totals.octets,
        packets_delta: deltas.packets,
        octets_delta: deltas.octets,
    }
}

pub(super) fn reverse(totals: &Counters, deltas: &Counters) -> flow::Counters {
    flow::Counters {
        packets_total: totals.reverse_packets,
        octets_total: totals.reverse_octets,
        packets_delta: deltas.reverse_packets,
        octets_delta: deltas.reverse_octets,
    }
}
